"""How fast is a score? Our networks beside pyiqa's `topiq_nr`, in one run, alternating.

Both have the same random weights, in float32 on the CPU. Prints medians and ratios; the ratios are what to quote.

    python benchmarks/speed.py [--repeats 15] [--threads 2] [--json FILE]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from parity import MISSING, has_pyiqa, random_reference
from torch import Tensor

import topiq_metrics
from topiq_metrics.inference import TorchPredictor

HEIGHT, WIDTH = 384, 512
BARS = {("topiq_nr", 1): 1.0, ("topiq_nr", 8): 1.0, ("topiq_nr-lite", 1): 5.0, ("topiq_nr-lite", 8): 6.0}


def seconds(run: Callable[[Tensor], Tensor], images: Tensor) -> float:
    start = time.perf_counter()
    run(images)
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    if not has_pyiqa():
        print(MISSING, file=sys.stderr)
        return 2
    theirs = random_reference("topiq_nr", seed=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "topiq_nr.pth"
        torch.save({"params": theirs.state_dict()}, path)
        contenders: dict[str, Callable[[Tensor], Tensor]] = {
            "pyiqa topiq_nr": torch.inference_mode()(theirs),
            "topiq_nr": TorchPredictor("topiq_nr", path, size="native", device="cpu"),
            "topiq_nr-lite": TorchPredictor("topiq_nr-lite", size="native", device="cpu"),
        }
    results = []
    for batch in (1, 8):
        images = torch.rand(batch, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(batch))
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for repeat in range(arguments.repeats + 2):
            for name, run in contenders.items():
                elapsed = seconds(run, images)
                if repeat >= 2:
                    times[name].append(elapsed)
        for name, values in times.items():
            # Pair by pair, so that a drift of the machine's speed cancels.
            ratios = [a / b for a, b in zip(times["pyiqa topiq_nr"], values, strict=True)]
            results.append(
                {
                    "network": name,
                    "batch": batch,
                    "ms_per_image": 1000 * statistics.median(values) / batch,
                    "times_as_fast": statistics.median(ratios),
                    "bar": BARS.get((name, batch)),
                }
            )
    versions = {
        "topiq-metrics": topiq_metrics.__version__,
        "pyiqa": importlib.metadata.version("pyiqa"),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {arguments.threads} threads",
    }
    print(f"{HEIGHT}x{WIDTH}, float32, CPU; median of {arguments.repeats}; {versions}")
    print(f"{'network':16} {'batch':>5} {'ms/image':>9} {'x pyiqa':>8} {'bar':>5}")
    for row in results:
        bar = "" if row["bar"] is None else f"{row['bar']:.1f}"
        print(f"{row['network']:16} {row['batch']:5} {row['ms_per_image']:9.1f} {row['times_as_fast']:8.2f} {bar:>5}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"versions": versions, "results": results}, indent=2))
    return 0 if all(row["bar"] is None or row["times_as_fast"] >= row["bar"] for row in results) else 1


if __name__ == "__main__":
    sys.exit(main())
