"""How fast is a folder of large photographs? `topiq score` beside an earlier build of itself and beside pyiqa.

Whole processes on the CPU, from JPEG files on disk to rows on disk, all on the same photographs, alternating. A
contender does N photographs and 2N: the difference is its time for N without start-up.

    python benchmarks/large_photographs.py DIR [--before CHECKOUT] [--small DIR] [--count N] [--repeats 3] [--json FILE]

``--before`` is a checkout of an earlier version, whose dependencies are those that are installed. ``--small`` is a
folder of JPEG files of one small size, say 512 x 512, which are scored from disk and as decoded before. What is not
given, or not installed (pyiqa, OpenVINO), is left out with its bars. Peak memory is that of all processes of a job
together, and needs Linux. The exit code is 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from parity import MISSING, has_pyiqa
from PIL import Image
from throughput import (
    BATCH_PIXELS,
    NATIVE,
    Bar,
    Contender,
    Peak,
    Processes,
    about,
    copy,
    jpegs,
    once_and_twice,
    pick,
    publish,
    pyiqa_loop,
    ratio,
    save_random_weights,
    topiq,
)

from topiq_metrics.weights import resolve

METRIC = "topiq_nr-lite"
LARGEST_SIDE = 1024
AUTO = ("--backend", "auto")
HALF = (*AUTO, "--precision", "bfloat16")
FAST = (*HALF, "--decode", "fast")


def lite(processes: Processes, *options: str) -> Contender:
    # Those of this checkout for both builds, which may bundle other ones.
    return topiq(processes, METRIC, resolve(METRIC, download=False), *options)


class Alternating:
    """Contenders that take turns, so that a drift of the machine's speed cancels in the ratios of their rates."""

    def __init__(self, contenders: dict[str, tuple[Contender, int]], images: Sequence[Path], processes: Processes):
        self.contenders = contenders
        self.rates: dict[str, list[float]] = {name: [] for name in contenders}
        self.scores: dict[str, dict[str, float]] = {}
        self._folders = {
            number: [copy(pick(images, times * number), processes.new_folder()) for times in (1, 2)]
            for number in {number for _, number in contenders.values()}
        }
        self._few = copy(pick(images, 2), processes.new_folder())

    def run(self, repeats: int) -> None:
        # Backends make a graph first, and keep it.
        for do, _ in self.contenders.values():
            do(self._few)
        for repeat in range(repeats):
            print(f"repeat {repeat + 1} of {repeats}", file=sys.stderr, flush=True)
            for name, (do, number) in self.contenders.items():
                once, twice, self.scores[name] = once_and_twice(name, do, self._folders[number], number)
                self.rates[name].append(number / (twice - once))

    def ratio(self, ours: str, theirs: str) -> float:
        return ratio(self.rates[ours], self.rates[theirs])

    def difference(self, ours: str, theirs: str) -> float:
        return max(abs(self.scores[ours][name] - self.scores[theirs][name]) for name in self.scores[ours])

    def table(self) -> list[dict[str, Any]]:
        return [
            {"contender": name, "N": self.contenders[name][1], "images/s": statistics.median(rates)}
            for name, rates in self.rates.items()
        ]


def measure_speed(
    now: Processes, before: Processes | None, images: Sequence[Path], count: int, repeats: int
) -> tuple[list[dict[str, Any]], list[Bar]]:
    exact = {"exact": (), "exact, auto": AUTO}
    contenders = {name: (lite(now, *options), count) for name, options in exact.items()}
    contenders |= {
        "bfloat16": (lite(now, *HALF), count),
        "bfloat16, fast": (lite(now, *FAST), count),
    }
    if before is not None:
        contenders |= {f"before: {name}": (lite(before, *options), count) for name, options in exact.items()}
        contenders["before: bfloat16"] = lite(before, *HALF), count
    if has_pyiqa():
        few = max(1, count // 6)
        contenders[f"bfloat16, fast, max_side={LARGEST_SIDE}"] = (
            lite(now, *FAST, "--size", f"max_side={LARGEST_SIDE}"),
            count,
        )
        loop = pyiqa_loop(now, save_random_weights(now), LARGEST_SIDE)
        contenders[f"pyiqa's loop over topiq_nr, max_side={LARGEST_SIDE}"] = loop, few
    else:
        print(MISSING, file=sys.stderr)
    runs = Alternating(contenders, images, now)
    runs.run(repeats)
    bars = []
    if before is not None:
        best_now, best_before = (
            max((tag + name for name in exact), key=lambda name: statistics.median(runs.rates[name]))
            for tag in ("", "before: ")
        )
        bars += [
            Bar(f"{best_now} / {best_before}, images/s", runs.ratio(best_now, best_before), low=1.6),
            Bar("bfloat16, fast / before: bfloat16, images/s", runs.ratio("bfloat16, fast", "before: bfloat16"), low=3),
            Bar("largest |Δ| of exact scores, before and now", runs.difference("exact", "before: exact"), high=1e-5),
        ]
    if has_pyiqa():
        *_, ours, theirs = contenders
        bars.append(Bar(f"{ours} / pyiqa's loop, images/s", runs.ratio(ours, theirs), low=20))
    return runs.table(), bars


def measure_small(
    processes: Processes, images: Sequence[Path], count: int, repeats: int
) -> tuple[list[dict[str, Any]], list[Bar]]:
    """From disk, and as decoded before: the latter's rates have no start-up in them by themselves."""
    runs = Alternating({"from disk": (lite(processes, *NATIVE), count)}, images, processes)
    folder = copy(pick(images, count), processes.new_folder())
    runs.run(repeats)
    seconds = [float(processes.run("decoded", METRIC, "default", folder, BATCH_PIXELS)[1]) for _ in range(repeats)]
    decoded = [count / each for each in seconds]
    table = [*runs.table(), {"contender": "decoded before", "N": count, "images/s": statistics.median(decoded)}]
    return table, [Bar("from disk / decoded before, images/s", ratio(runs.rates["from disk"], decoded), low=0.9)]


def measure_job(
    builds: dict[str, Processes], folder: Path, repeats: int, one: Sequence[object]
) -> tuple[list[dict[str, Any]], list[Bar]]:
    """Peak memory of a job, and the time for one image, start-up included."""
    peaks: dict[str, list[float]] = {name: [] for name in builds}
    seconds: dict[str, list[float]] = {name: [] for name in builds}
    for _ in range(repeats):
        for name, processes in builds.items():
            peak = Peak()
            processes.run("topiq", "score", folder, "-m", METRIC, "-o", processes.new_folder() / "rows.csv", watch=peak)
            peaks[name].append(peak.total)
        for _ in range(3):
            for name, processes in builds.items():
                seconds[name].append(processes.run("topiq", "score", *one)[0])
    table = [
        {
            "build": name,
            "MiB of all processes": statistics.median(peaks[name]),
            "seconds for one image": statistics.median(seconds[name]),
        }
        for name in builds
    ]
    if "before" not in builds:
        return table, []
    return table, [
        Bar("peak memory, now / before", ratio(peaks["now"], peaks["before"]), high=0.6),
        Bar("seconds for one image, now / before", ratio(seconds["now"], seconds["before"]), high=0.6),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, metavar="DIR", help="a folder of large JPEG files")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="an earlier version to compare with")
    parser.add_argument("--small", type=Path, metavar="DIR", help="a folder of small JPEG files of one size")
    parser.add_argument("--count", type=int, default=24, metavar="N", help="photographs")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of each process's network")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here")
    arguments = parser.parse_args(argv)
    images = jpegs(arguments.images)
    if not images:
        parser.error(f"There is no JPEG file in {arguments.images}.")
    if arguments.before is not None and not (arguments.before / "topiq_metrics" / "__init__.py").exists():
        parser.error(f"There is no topiq_metrics in {arguments.before}.")
    with tempfile.TemporaryDirectory() as scratch:
        now = processes_of(Path(scratch) / "now", Path(__file__).parents[1], arguments.threads)
        before = None
        if arguments.before is not None:
            before = processes_of(Path(scratch) / "before", arguments.before.resolve(), arguments.threads)
        builds = {"now": now} | ({} if before is None else {"before": before})
        measures: dict[str, Callable[[], tuple[list[dict[str, Any]], list[Bar]]]] = {
            "speed": lambda: measure_speed(now, before, images, arguments.count, arguments.repeats),
            "job": lambda: measure_job(
                builds, copy(pick(images, arguments.count), now.new_folder()), arguments.repeats, [images[0]]
            ),
        }
        if arguments.small is not None:
            small = jpegs(arguments.small)
            measures["small"] = lambda: measure_small(now, small, 10 * arguments.count, arguments.repeats)
        results = {name: measure() for name, measure in measures.items()}
    pixels = sorted(map(megapixels, pick(images, arguments.count)))
    facts = {"versions": about(arguments.threads), "megapixels": [pixels[0], pixels[-1]]}
    tables = {name: table for name, (table, _) in results.items()}
    bars = [bar for _, found in results.values() for bar in found]
    title = f"{len(images)} JPEG files of {pixels[0]:.1f} to {pixels[-1]:.1f} megapixels"
    return publish(title, facts, tables, bars, arguments.json)


def megapixels(path: Path) -> float:
    with Image.open(path) as image:
        return image.width * image.height / 1e6


def processes_of(folder: Path, checkout: Path, threads: int) -> Processes:
    folder.mkdir()
    processes = Processes(folder, threads)
    processes.environment["PYTHONPATH"] = str(checkout)
    return processes


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as error:
        sys.exit(f"Error: {error}")
