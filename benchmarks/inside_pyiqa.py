"""What pyiqa gains by this package, unchanged: speed, memory and the gradient of a loss, with and without it.

pyiqa's own network and ours have the same random weights; both are called through pyiqa's metric object, alternating,
in one process. Memory is the peak of a process of its own, on Linux. `speed.py --inside pyiqa` runs this.

    python benchmarks/inside_pyiqa.py [--repeats 9] [--threads 2] [--json FILE]
        [--parts speed openvino loss bundled-loss memory]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

OFFLINE = {"pretrained": False, "backbone_pretrain": False}
SPEED = {
    ("topiq_nr", 8, 384, 512): 2.2,
    ("topiq_nr", 1, 384, 512): 1.5,
    ("topiq_nr", 1, 768, 1024): 1.5,
    ("topiq_fr", 1, 384, 512): 1.4,
    ("topiq_fr", 8, 384, 512): 2.0,
}
"""Times as fast as without us, at least."""
OPENVINO = 7.0
LOSS_TIME, LOSS_MEMORY = 1.3, 0.7
MEMORY_GB = 3.0
LARGE = (3000, 4000)
LOSS_CASE = (16, 192, 192)


def pair(name: str, **options: Any) -> tuple[Any, Any]:
    """pyiqa's metric without us, and with us, on the same random weights."""
    os.environ["TOPIQ_METRICS_PYIQA"] = "0"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyiqa
        from pyiqa.archs.topiq_arch import CFANet
        from pyiqa.utils.registry import ARCH_REGISTRY

    ours = {key: options.pop(key) for key in ("backend", "precision") if key in options}
    ARCH_REGISTRY.register(CFANet, name="CFANet", override=True)
    torch.manual_seed(0)
    without = pyiqa.create_metric(name, device="cpu", **OFFLINE, **options)
    del os.environ["TOPIQ_METRICS_PYIQA"]
    from topiq_metrics.plugins.pyiqa import register

    register()
    within = pyiqa.create_metric(name, device="cpu", **OFFLINE, **options, **ours)
    within.net.load_state_dict(without.net.state_dict())
    assert type(without.net) is CFANet
    assert type(within.net) is not CFANet
    return without, within


def images_of(name: str, batch: int, height: int, width: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(batch)
    return [torch.rand(batch, 3, height, width, generator=generator) for _ in range(2 if "fr" in name else 1)]


def ratio(runs: tuple[Callable[[], Any], Callable[[], Any]], repeats: int) -> tuple[float, float]:
    """How many times as fast the second is, pair by pair, and its milliseconds; medians."""
    times: tuple[list[float], list[float]] = ([], [])
    for repeat in range(repeats + 2):
        for run, kept in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            if repeat >= 2:
                kept.append(time.perf_counter() - start)
    return statistics.median(a / b for a, b in zip(*times, strict=True)), 1000 * statistics.median(times[1])


def backward(metric: Any, images: list[Tensor]) -> Callable[[], None]:
    def run() -> None:
        image = images[0].clone().requires_grad_()
        metric(image, *images[1:]).backward()
        # What a restoration loop does not want.
        metric.net.zero_grad(set_to_none=True)

    return run


class Report:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, what: str, value: float, bar: float | None, *, at_most: bool = False, note: str = "") -> None:
        met = bar is None or (value <= bar if at_most else value >= bar)
        self.rows.append({"what": what, "value": value, "bar": bar, "met": met, "note": note})
        told = "" if bar is None else f"{'<=' if at_most else '>='} {bar:.1f} {'ok' if met else 'MISSED'}"
        print(f"{what:44} {value:7.2f}  {told:14}  {note}", flush=True)


def speed(report: Report, repeats: int) -> None:
    for (name, batch, height, width), bar in SPEED.items():
        without, within = pair(name)
        images = images_of(name, batch, height, width)
        off = (without(*images) - within(*images)).abs().max().item()
        times, ms = ratio((lambda: without(*images), lambda: within(*images)), repeats)  # noqa: B023
        note = f"{ms / batch:.0f} ms an image, scores differ by {off:.1e}"
        report.add(f"{name}, {batch} x {height}x{width}, x as fast", times, bar, note=note)


def openvino(report: Report, repeats: int) -> None:
    if importlib.util.find_spec("openvino") is None:
        print("openvino is not installed: left out")
        return
    without, within = pair("topiq_nr", backend="openvino", precision="bfloat16")
    images = images_of("topiq_nr", 8, 384, 512)
    times, ms = ratio((lambda: without(*images), lambda: within(*images)), repeats)
    report.add("topiq_nr, 8 x 384x512, OpenVINO bfloat16", times, OPENVINO, note=f"{ms / 8:.0f} ms an image")


def loss(report: Report, repeats: int) -> None:
    name = "topiq_fr"
    without, within = pair(name, as_loss=True)
    images = images_of(name, *LOSS_CASE)
    times, ms = ratio((backward(without, images), backward(within, images)), repeats)
    case = "x".join(map(str, LOSS_CASE))
    report.add(f"{name} as a loss, {case}, x as fast", times, LOSS_TIME, note=f"{ms:.0f} ms a step")
    peaks = [peak("loss", name, which) for which in ("without", "within")]
    note = " and ".join(f"{gb:.2f} GB" for gb in peaks)
    report.add(f"{name} as a loss, {case}, peak memory, x", peaks[1] / peaks[0], LOSS_MEMORY, at_most=True, note=note)


def bundled_loss(report: Report, repeats: int) -> None:
    """The bundled model as a loss, which pyiqa does not have, beside pyiqa's TOPIQ."""
    from topiq_metrics.losses import TOPIQLoss

    without, _ = pair("topiq_fr", as_loss=True)
    images = images_of("topiq_fr", *LOSS_CASE)
    ours = TOPIQLoss()

    def step() -> None:
        ours(images[0].clone().requires_grad_(), images[1]).backward()

    times, ms = ratio((backward(without, images), step), repeats)
    report.add("TOPIQLoss(), topiq_fr-lite, x pyiqa's topiq_fr", times, None, note=f"{ms:.0f} ms a step")


def memory(report: Report, _: int) -> None:
    size = "x".join(map(str, LARGE))
    report.add(f"topiq_nr, {size}, peak memory in GB", peak("score", "topiq_nr", "within"), MEMORY_GB, at_most=True)


def peak(what: str, name: str, which: str) -> float:
    """The peak of a process that scores one large image, or takes a step, in GB."""
    command = [sys.executable, "-W", "ignore", __file__, "--child", what, name, which]
    command += ["--threads", str(torch.get_num_threads())]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(output.strip().splitlines()[-1])


def child(what: str, name: str, which: str) -> None:
    metric = pair(name, as_loss=what == "loss")[which == "within"]
    if what == "loss":
        step = backward(metric, images_of(name, *LOSS_CASE))
        step()
        step()
    else:
        metric(*images_of(name, 1, *LARGE))
    from topiq_metrics.leaderboard.peak_memory import resident

    # Not what `resource` tells, which begins with what the parent held when it forked.
    print(resident("VmHWM") / 1e9)


PARTS = {"speed": speed, "openvino": openvino, "loss": loss, "bundled-loss": bundled_loss, "memory": memory}


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args(given)
    torch.set_num_threads(arguments.threads)
    if arguments.child:
        child(*arguments.child)
        return 0
    if importlib.util.find_spec("pyiqa") is None:
        print("pyiqa is not installed: pip install 'topiq-metrics[pyiqa]'", file=sys.stderr)
        return 2
    packages = ("pyiqa", "torch", "torchvision", "openvino")
    versions = {name: importlib.metadata.version(name) for name in packages if importlib.util.find_spec(name)}
    versions |= {"python": platform.python_version(), "machine": f"{platform.machine()}, {arguments.threads} threads"}
    print(f"median of {arguments.repeats}; {versions}")
    report = Report()
    for part in arguments.parts:
        PARTS[part](report, arguments.repeats)
    if arguments.json:
        arguments.json.write_text(json.dumps({"versions": versions, "results": report.rows}, indent=2))
    return 0 if all(row["met"] for row in report.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
