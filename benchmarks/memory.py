"""How much memory does a large image take? Our networks beside pyiqa's, each in a process of its own.

Prints the peak of the whole process (imports, weights and image included) and the seconds of the one scoring. Scores
under all budgets are compared with each other. pyiqa's is left out with --no-pyiqa: it needs 13 GB for 3000 x 4000.

    python benchmarks/memory.py [--size 3000x4000] [--metrics topiq_nr topiq_fr] [--budgets default 2GB] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torchvision

import topiq_metrics

BARS = {("topiq_nr", "default"): 3.0, ("topiq_fr", "default"): 5.0}
"""GB for 3000 x 4000."""


def measure(metric: str, budget: str, height: int, width: int, weights: Path, threads: int) -> None:
    """Score one image in this process and print the result as JSON."""
    torch.set_num_threads(threads)
    inputs = 2 if "fr" in metric else 1
    if budget == "pyiqa":
        from parity import random_reference

        run = torch.inference_mode()(random_reference(metric, seed=0))
    else:
        from topiq_metrics.inference import NetworkPredictor
        from topiq_metrics.inference.backends import choose_backend

        chosen = choose_backend() if budget == "default" else choose_backend(max_memory=budget)
        path = "default" if metric.endswith("lite") else weights
        run = NetworkPredictor(metric, path, size="native", device="cpu", backend=chosen)
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand(1, 3, height, width, generator=generator) for _ in range(inputs)]
    start = time.perf_counter()
    score = float(run(*images))
    seconds = time.perf_counter() - start
    # Only now, since what it imports is not to count.
    from topiq_metrics.leaderboard.peak_memory import resident

    peak = resident("VmHWM") / 1e9
    print(json.dumps({"metric": metric, "budget": budget, "peak_gb": peak, "seconds": seconds, "score": score}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="3000x4000", help="height x width")
    parser.add_argument("--metrics", nargs="+", default=["topiq_nr", "topiq_fr", "topiq_nr-lite"])
    parser.add_argument("--budgets", nargs="+", default=["default", "1GB"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-pyiqa", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", nargs=3, metavar=("METRIC", "BUDGET", "WEIGHTS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    height, width = (int(side) for side in arguments.size.split("x"))
    if arguments.measure:
        metric, budget, weights = arguments.measure
        measure(metric, budget, height, width, Path(weights), arguments.threads)
        return 0

    results, passed = [], True
    print(f"{height}x{width}, float32, CPU, {arguments.threads} threads; torch {torch.__version__}")
    print(f"{'metric':14} {'budget':>8} {'peak GB':>8} {'seconds':>8} {'bar':>5}")
    with tempfile.TemporaryDirectory() as folder:
        for metric in arguments.metrics:
            weights = Path(folder) / f"{metric}.pth"
            has_peer = not arguments.no_pyiqa and not metric.endswith("lite")
            if not metric.endswith("lite"):
                save_weights(metric, weights)
            for budget in [*arguments.budgets, *(["pyiqa"] if has_peer else [])]:
                command = [sys.executable, __file__, "--size", arguments.size, "--threads", str(arguments.threads)]
                command += ["--measure", metric, budget, str(weights)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    print(f"{metric:14} {budget:>8} {done.stderr.strip().splitlines()[-1:] or done.returncode}")
                    passed = passed and budget == "pyiqa"
                    continue
                row = json.loads(done.stdout.strip().splitlines()[-1])
                bar = BARS.get((metric, budget)) if (height, width) == (3000, 4000) else None
                results.append({**row, "bar": bar})
                passed = passed and (bar is None or row["peak_gb"] <= bar)
                print(f"{metric:14} {budget:>8} {row['peak_gb']:8.2f} {row['seconds']:8.1f} {bar or '':>5}", flush=True)
            scores = [row["score"] for row in results if row["metric"] == metric]
            spread = max(scores) - min(scores) if scores else 0.0
            print(f"{metric:14} largest difference of the scores: {spread:.1e}")
            passed = passed and spread <= 1e-5 * max(1.0, *map(abs, scores or [0]))
    if arguments.json:
        versions = {
            "topiq-metrics": topiq_metrics.__version__,
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "python": platform.python_version(),
            "machine": f"{platform.machine()}, {arguments.threads} threads",
        }
        arguments.json.write_text(
            json.dumps({"versions": versions, "size": arguments.size, "results": results}, indent=2)
        )
    return 0 if passed else 1


def save_weights(metric: str, path: Path) -> None:
    """Random weights in pyiqa's format, with pyiqa's own network where it is installed."""
    from parity import has_pyiqa, random_reference

    if not has_pyiqa():
        raise SystemExit("The networks are filled with pyiqa's random weights: pip install 'topiq-metrics[benchmarks]'")
    torch.save({"params": random_reference(metric, seed=0).state_dict()}, path)


if __name__ == "__main__":
    sys.exit(main())
