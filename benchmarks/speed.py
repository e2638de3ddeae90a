"""How fast is a score? Our networks, on each backend, beside pyiqa's, in one run, alternating.

pyiqa's network and ours have the same random weights; `topiq_nr-lite` is compared with pyiqa's `topiq_nr`. Prints
medians and ratios over alternating pairs; the ratios are what to quote. "bare" is the backbone alone, with BatchNorm
folded (run twice for full-reference).

    python benchmarks/speed.py --inside pyiqa [--repeats 9] [--threads 2] [--json FILE]
    python benchmarks/speed.py [--metrics topiq_nr topiq_fr topiq_nr-lite] [--backends torch:float32 openvino:bfloat16]
        [--repeats 9] [--threads 2] [--device cpu] [--json FILE]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import inside_pyiqa
import torch
import torchvision
from parity import MISSING, has_pyiqa, random_reference
from torch import Tensor

import topiq_metrics
from topiq_metrics.inference import NetworkPredictor
from topiq_metrics.inference.backends import BACKENDS, choose_backend
from topiq_metrics.models.rewrites.batch_norm import fold_batch_norm
from topiq_metrics.weights import load_network

CASES = ((1, 384, 512), (8, 384, 512), (1, 768, 1024))
BARS = {
    ("topiq_nr", "torch:float32", 1): 1.6,
    ("topiq_nr", "torch:float32", 8): 2.0,
    ("topiq_fr", "torch:float32", 1): 1.4,
    ("topiq_fr", "torch:float32", 8): 1.4,
}
"""Times as fast as pyiqa, at 384 x 512."""
MOST_OF_BARE = {"topiq_nr": 1.65, "topiq_fr": 1.30}
BEST = {("topiq_nr", "exact"): 2.4, ("topiq_nr", "bfloat16"): 4.5, ("topiq_nr-lite", "exact"): 8.0}
"""Of the best backend, at batch 8."""


def installed_backends() -> list[str]:
    """All but `compile`, which takes minutes to get ready."""
    return [
        f"{name}:{precision}"
        for name, kind in BACKENDS.items()
        for precision in kind.deviations
        if name != "compile" and precision != "float16" and importlib.util.find_spec(kind.package)
    ]


def contenders(metric: str, backends: list[str], device: str, folder: Path) -> dict[str, Callable[..., Any]]:
    peer = "topiq_nr" if metric.endswith("lite") else metric
    theirs = random_reference(peer, seed=0).to(device)
    path = folder / f"{peer}.pth"
    torch.save({"params": theirs.state_dict()}, path)
    weights = "default" if metric.endswith("lite") else path
    backbone = fold_batch_norm(load_network(metric, weights)).backbone.to(device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def bare(*images: Tensor) -> list[Any]:
        return [backbone(image.contiguous(memory_format=torch.channels_last)) for image in images]

    runs: dict[str, Callable[..., Any]] = {"pyiqa": torch.inference_mode()(theirs), "bare": bare}
    for backend in backends:
        chosen = choose_backend(*backend.split(":"))
        runs[backend] = NetworkPredictor(metric, weights, size="native", device=device, backend=chosen)
    return runs


def seconds(run: Callable[..., Any], images: list[Tensor]) -> float:
    start = time.perf_counter()
    run(*images)
    if images[0].is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metrics", nargs="+", default=["topiq_nr", "topiq_fr", "topiq_nr-lite"])
    parser.add_argument("--backends", nargs="+", default=installed_backends(), metavar="BACKEND:PRECISION")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--inside", choices=["pyiqa"], help="compare pyiqa's metrics with and without this package")
    arguments = parser.parse_args()
    if arguments.inside:
        given = [f"--repeats={arguments.repeats}", f"--threads={arguments.threads}"]
        return inside_pyiqa.main(given + ([f"--json={arguments.json}"] if arguments.json else []))
    torch.set_num_threads(arguments.threads)
    if not has_pyiqa():
        print(MISSING, file=sys.stderr)
        return 2
    versions = {
        "topiq-metrics": topiq_metrics.__version__,
        **{
            name: importlib.metadata.version(name)
            for name in ("pyiqa", *{BACKENDS[b.split(":")[0]].package for b in arguments.backends})
        },
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {arguments.threads} threads, {arguments.device}",
    }
    print(f"median of {arguments.repeats}; {versions}")
    print(
        f"{'metric':14} {'backend':20} {'batch':>5} {'size':>9} {'ms/image':>9} {'x pyiqa':>8} {'x bare':>7} {'bar':>5}"
    )
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for metric in arguments.metrics:
            runs = contenders(metric, arguments.backends, arguments.device, Path(folder))
            for batch, height, width in CASES:
                rows += measure(metric, runs, batch, height, width, arguments)
            del runs
    passed = all(row["bar"] is None or row["times_pyiqa"] >= row["bar"] for row in rows)
    passed = check_of_bare(rows) and check_best(rows) and passed
    if arguments.json:
        arguments.json.write_text(json.dumps({"versions": versions, "results": rows}, indent=2))
    return 0 if passed else 1


def measure(
    metric: str,
    runs: dict[str, Callable[..., Any]],
    batch: int,
    height: int,
    width: int,
    arguments: argparse.Namespace,
) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(batch)
    count = 2 if "fr" in metric else 1
    images = [torch.rand(batch, 3, height, width, generator=generator).to(arguments.device) for _ in range(count)]
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(arguments.repeats + 2):
        for name, run in runs.items():
            elapsed = seconds(run, images)
            if repeat >= 2:
                times[name].append(elapsed)
    rows = []
    for name, values in times.items():
        # Pair by pair, so that a drift of the machine's speed cancels.
        of_pyiqa = statistics.median(a / b for a, b in zip(times["pyiqa"], values, strict=True))
        of_bare = statistics.median(b / a for a, b in zip(times["bare"], values, strict=True))
        bar = BARS.get((metric, name, batch)) if (height, width) == (384, 512) else None
        row = {
            "metric": metric,
            "backend": name,
            "batch": batch,
            "size": f"{height}x{width}",
            "ms_per_image": 1000 * statistics.median(values) / batch,
            "times_pyiqa": of_pyiqa,
            "times_bare": of_bare,
            "bar": bar,
        }
        rows.append(row)
        print(
            f"{metric:14} {name:20} {batch:5} {row['size']:>9} {row['ms_per_image']:9.1f} {of_pyiqa:8.2f} "
            f"{of_bare:7.2f} {'' if bar is None else bar:>5}",
            flush=True,
        )
    return rows


def check_of_bare(rows: list[dict[str, Any]]) -> bool:
    passed = True
    for row in rows:
        most = MOST_OF_BARE.get(row["metric"])
        if most is not None and row["backend"] == "torch:float32" and row["size"] == "384x512":
            verdict = "ok" if row["times_bare"] <= most else "MISSED"
            print(f"{row['metric']} at batch {row['batch']}: {row['times_bare']:.2f} x bare, bar {most}: {verdict}")
            passed = passed and row["times_bare"] <= most
    return passed


def check_best(rows: list[dict[str, Any]]) -> bool:
    passed = True
    for (metric, kind), bar in BEST.items():
        wanted = "float32" if kind == "exact" else kind
        able = [
            row for row in rows if row["metric"] == metric and row["backend"].endswith(wanted) and row["batch"] == 8
        ]
        if able:
            best = max(able, key=lambda row: row["times_pyiqa"])
            verdict = "ok" if best["times_pyiqa"] >= bar else "MISSED"
            print(f"{metric}, best {kind}: {best['backend']} {best['times_pyiqa']:.2f} x pyiqa, bar {bar}: {verdict}")
            passed = passed and best["times_pyiqa"] >= bar
    return passed


if __name__ == "__main__":
    sys.exit(main())
