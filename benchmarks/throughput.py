"""How fast is a folder, from JPEG files on disk to rows on disk? `topiq score` beside pyiqa, in one run, alternating.

Whole processes on the CPU, all on the same images; those with `topiq_nr` have the same random weights. A contender
does N images and 2N images: the difference is its time for N images without start-up, the first is its whole time.

    python benchmarks/throughput.py [--images DIR] [--count N] [--repeats 3] [--threads 2] [--json FILE]
    python benchmarks/throughput.py --memory --resume [--images DIR]

The second form measures peak memory on 200 images and on the whole folder (Linux), and what resuming a finished job
costs, instead of speed. Without ``--images``, images of several sizes are made from the demo's photographs. The exit
code is 1 where a bar is missed or a contender fails.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from parity import MISSING, has_pyiqa, random_reference
from PIL import Image

PHOTOGRAPHS = Path(__file__).parents[1] / "docs" / "photographs"
SIZES = ((384, 512), (512, 384), (480, 640), (333, 500), (448, 448))
FEW = 200
MANY = 1000
# The small network does so many images in the time of one by the large one.
LITE = 4
# Of a batch: as `topiq score` makes them.
BATCH_PIXELS = 2_000_000
SAMPLE_SECONDS = 0.05

SCRIPTS = {
    "topiq": """
import sys
from topiq_metrics.cli import main

if __name__ == "__main__":
    sys.exit(main())
""",
    # It writes no file: with -v it prints each image's score at the end, and its output goes to one.
    "pyiqa-command": """
import sys
from importlib.metadata import entry_points
from pyiqa.default_model_configs import DEFAULT_CONFIGS

weights, folder = sys.argv[1:]
options = DEFAULT_CONFIGS["topiq_nr"]["metric_opts"]
options.update(pretrained=False, backbone_pretrain=False, pretrained_model_path=weights)
sys.argv = ["pyiqa", "topiq_nr", "-t", folder, "-v"]
(command,) = entry_points(group="console_scripts", name="pyiqa")
sys.exit(command.load()())
""",
    "pyiqa-loop": """
import csv, sys
from pathlib import Path
import pyiqa
from PIL import Image
from torchvision.transforms.functional import to_tensor

# Pictures are shrunk to the longest side, where one is given.
weights, folder, rows, *side = sys.argv[1:]
metric = pyiqa.create_metric(
    "topiq_nr", pretrained=False, backbone_pretrain=False, pretrained_model_path=weights
)
with open(rows, "w", newline="") as stream:
    writer = csv.writer(stream)
    writer.writerow(["path", "topiq_nr"])
    for path in sorted(Path(folder).iterdir()):
        image = str(path)
        if side:
            picture = Image.open(path).convert("RGB")
            picture.thumbnail((int(side[0]), int(side[0])), Image.Resampling.BILINEAR)
            image = to_tensor(picture)[None]
        writer.writerow([path, metric(image).item()])
""",
    "decoded": """
import sys, time
from collections import defaultdict
from pathlib import Path
import torch
from topiq_metrics import load_image
from topiq_metrics.inference import open_predictor

metric, weights, folder, pixels = sys.argv[1:]
predictor = open_predictor(metric, weights, size="native")
images = defaultdict(list)
for path in sorted(Path(folder).iterdir()):
    image = load_image(path)
    images[image.shape].append(image)
batches = []
for shape in list(images):
    group = images.pop(shape)
    count = max(1, min(predictor.max_batch, int(pixels) // (shape[-1] * shape[-2])))
    batches += [torch.stack(group[start : start + count]) for start in range(0, len(group), count)]
predictor(batches[0])
start = time.perf_counter()
for batch in batches:
    predictor(batch)
print(time.perf_counter() - start)
""",
}


NATIVE = ("--size", "native")
EXACT, FASTEST = "topiq score --backend auto", "topiq score, bfloat16"


@dataclass(frozen=True)
class Bar:
    what: str
    value: float
    low: float = -math.inf
    high: float = math.inf

    @property
    def met(self) -> bool:
        return self.low <= self.value <= self.high

    def __str__(self) -> str:
        bounds = [f"{sign} {bound:g}" for sign, bound in ((">=", self.low), ("<=", self.high)) if math.isfinite(bound)]
        return f"{self.what}: {self.value:.3g} (bar: {' and '.join(bounds)}){'' if self.met else '  MISSED'}"


class Processes:
    """Runs the scripts above, each in a process of its own."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "CUDA_VISIBLE_DEVICES": "",
            "HF_HUB_OFFLINE": "1",
            # pyiqa with its own networks.
            "TOPIQ_METRICS_PYIQA": "0",
        }
        for name, script in SCRIPTS.items():
            (folder / f"{name}.py").write_text(script.lstrip(), encoding="utf-8")

    def run(
        self,
        script: str,
        *arguments: object,
        codes: Sequence[int] = (0,),
        watch: Callable[[subprocess.Popen[bytes]], None] | None = None,
    ) -> tuple[float, str]:
        """Seconds from start to end, and what was printed.

        Raises:
            RuntimeError: another exit code than those expected.
        """
        command = [sys.executable, str(self.folder / f"{script}.py"), *map(str, arguments)]
        out, problems = self.folder / "out.txt", self.folder / "problems.txt"
        with out.open("wb") as stdout, problems.open("wb") as stderr:
            start = time.perf_counter()
            process = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
            )
            try:
                if watch:
                    watch(process)
                code = process.wait()
            finally:
                process.kill()
            seconds = time.perf_counter() - start
        if code not in codes:
            tail = problems.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"{script} ended with exit code {code}:\n{tail}")
        return seconds, out.read_text(encoding="utf-8", errors="replace")

    def new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.folder))


Contender = Callable[[Path], "tuple[float, dict[str, float]]"]
"""Does a folder: seconds, and the scores by file name."""


def topiq(processes: Processes, metric: str, weights: Path | None, *options: str) -> Contender:
    def do(folder: Path) -> tuple[float, dict[str, float]]:
        rows = processes.new_folder() / "rows.csv"
        option = () if weights is None else ("--weights", weights)
        seconds, _ = processes.run("topiq", "score", folder, "-m", metric, *option, *options, "-o", rows)
        return seconds, scores_in(rows, metric)

    return do


def save_random_weights(processes: Processes) -> Path:
    """A file of weights of `topiq_nr` for pyiqa and for us."""
    weights = processes.folder / "topiq_nr.pth"
    torch.save({"params": random_reference("topiq_nr", seed=0).state_dict()}, weights)
    return weights


def once_and_twice(
    name: str, do: Contender, folders: Sequence[Path], number: int
) -> tuple[float, float, dict[str, float]]:
    """Seconds for N images and for 2N, each with its start-up, and the scores of the latter.

    Raises:
        RuntimeError: if there are not as many scores as images, or N images take no time that can be told.
    """
    (once, _), (twice, scores) = (do(folder) for folder in folders)
    if len(scores) != 2 * number:
        raise RuntimeError(f"{name} wrote {len(scores)} rows for {2 * number} images.")
    if twice <= once:
        raise RuntimeError(f"{name}: {number} images are lost in the noise of the start-up; raise --count.")
    return once, twice, scores


def pyiqa_command(processes: Processes, weights: Path) -> Contender:
    def do(folder: Path) -> tuple[float, dict[str, float]]:
        seconds, text = processes.run("pyiqa-command", weights, folder)
        return seconds, {name: float(score) for name, score in re.findall(r"(\d+\.jpg)': ([-+.\de]+)", text)}

    return do


def pyiqa_loop(processes: Processes, weights: Path, *side: int) -> Contender:
    def do(folder: Path) -> tuple[float, dict[str, float]]:
        rows = processes.new_folder() / "rows.csv"
        seconds, _ = processes.run("pyiqa-loop", weights, folder, rows, *side)
        return seconds, scores_in(rows, "topiq_nr")

    return do


def scores_in(rows: Path, metric: str) -> dict[str, float]:
    with rows.open(newline="", encoding="utf-8") as stream:
        return {Path(row["path"]).name: float(row[metric]) for row in csv.DictReader(stream)}


def measure_speed(
    processes: Processes, images: list[Path], count: int, repeats: int
) -> tuple[list[dict[str, Any]], list[Bar]]:
    """Rows of the table, and the bars."""
    weights = save_random_weights(processes)
    counts = {"topiq_nr": count, "topiq_nr-lite": LITE * count}
    folders = {
        metric: [copy(pick(images, times * number), processes.new_folder()) for times in (1, 2)]
        for metric, number in counts.items()
    }
    contenders: dict[str, Contender] = {
        "pyiqa's loop": pyiqa_loop(processes, weights),
        "pyiqa's command": pyiqa_command(processes, weights),
        "topiq score": topiq(processes, "topiq_nr", weights, *NATIVE),
        EXACT: topiq(processes, "topiq_nr", weights, *NATIVE, "--backend", "auto"),
        FASTEST: topiq(processes, "topiq_nr", weights, *NATIVE, "--backend", "auto", "--precision", "bfloat16"),
        "topiq score, lite": topiq(processes, "topiq_nr-lite", None, *NATIVE),
    }
    decoded = {"decoded": ("topiq_nr", weights), "decoded, lite": ("topiq_nr-lite", "default")}
    metrics = {name: "topiq_nr-lite" if name.endswith("lite") else "topiq_nr" for name in (*contenders, *decoded)}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    rates: dict[str, list[float]] = {name: [] for name in metrics}

    warm = copy(pick(images, 2), processes.new_folder())
    scores = {name: do(warm)[1] for name, do in contenders.items()}
    difference = largest_difference(
        {name: scores[name] for name in scores if metrics[name] == "topiq_nr" and name != FASTEST}
    )
    for repeat in range(repeats):
        print(f"repeat {repeat + 1} of {repeats}", file=sys.stderr, flush=True)
        for name, do in contenders.items():
            number = counts[metrics[name]]
            once, twice, _ = once_and_twice(name, do, folders[metrics[name]], number)
            times[name].append((once, twice))
            rates[name].append(number / (twice - once))
        for name, (metric, path) in decoded.items():
            _, text = processes.run("decoded", metric, path, folders[metric][0], BATCH_PIXELS)
            rates[name].append(counts[metric] / float(text))

    table: list[dict[str, Any]] = []
    for name, values in rates.items():
        row = {
            "contender": name,
            "metric": metrics[name],
            "N": counts[metrics[name]],
            "images/s": statistics.median(values),
            "x loop": ratio(values, rates["pyiqa's loop"]) if metrics[name] == "topiq_nr" else None,
        }
        if name in times:
            row["s for N"], row["s for 2N"] = map(statistics.median, zip(*times[name], strict=True))
        table.append(row)
    whole = [[1 / once for once, _ in times[name]] for name in ("topiq score", "pyiqa's loop")]
    faster = "topiq score / pyiqa's loop"
    bars = [
        Bar(f"{faster}, images/s without start-up", ratio(rates["topiq score"], rates["pyiqa's loop"]), low=1.3),
        Bar(f"{EXACT} / pyiqa's loop, without start-up", ratio(rates[EXACT], rates["pyiqa's loop"]), low=1.5),
        Bar(f"{FASTEST} / pyiqa's loop, without start-up", ratio(rates[FASTEST], rates["pyiqa's loop"]), low=3),
        Bar(f"{faster}, whole processes on {count} images", ratio(*whole), low=1.3),
        Bar("topiq score / images decoded beforehand, topiq_nr", ratio(rates["topiq score"], rates["decoded"]), 0.85),
        Bar(
            "topiq score / images decoded beforehand, topiq_nr-lite",
            ratio(rates["topiq score, lite"], rates["decoded, lite"]),
            low=0.85,
        ),
        Bar("median |Δ| between the scores of the contenders", difference, high=1e-4),
    ]
    return table, bars


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    # Pair by pair, so that a drift of the machine's speed cancels.
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def largest_difference(scores: dict[str, dict[str, float]]) -> float:
    """The largest median difference from the loop's scores; where it is large, the weights are not the same."""
    reference = scores["pyiqa's loop"]
    medians = []
    for name, others in scores.items():
        if others.keys() != reference.keys():
            raise RuntimeError(f"{name} scored {sorted(others)}, not {sorted(reference)}.")
        # A colour profile or an orientation, which pyiqa ignores, moves the score of a single image.
        medians.append(statistics.median(abs(others[image] - reference[image]) for image in reference))
    return max(medians)


class Peak:
    """Watches a process until it ends.

    Attributes:
        total: the most memory of the process and its children together, in MiB; shared pages count once.
        main: the most that the process itself had resident, in MiB.
    """

    def __init__(self) -> None:
        self.total = self.main = 0.0

    def __call__(self, process: subprocess.Popen[bytes]) -> None:
        import psutil

        # Not ru_maxrss, in which Linux counts what this process had when it started the other.
        status = Path(f"/proc/{process.pid}/status")
        root = psutil.Process(process.pid)
        while process.poll() is None:
            total = 0
            with contextlib.suppress(psutil.Error):
                for each in (root, *root.children(recursive=True)):
                    with contextlib.suppress(psutil.Error):
                        total += each.memory_full_info().pss
            self.total = max(self.total, total / 2**20)
            if found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="utf-8")):
                self.main = max(self.main, int(found[1]) / 1024)
            time.sleep(SAMPLE_SECONDS)


def score_all(
    processes: Processes, folder: Path, rows: Path, watch: Callable[[subprocess.Popen[bytes]], None] | None = None
) -> None:
    # A reader's folder may well hold a file that cannot be scored.
    processes.run("topiq", "score", folder, "-m", "topiq_nr-lite", "-o", rows, codes=(0, 1), watch=watch)


def measure_memory(
    processes: Processes, images: list[Path], folder: Path, finished: Path, repeats: int
) -> tuple[list[dict[str, Any]], list[Bar]]:
    """Rows of the table, and the bar; ``finished`` will hold the rows of the whole folder."""
    small = copy(pick(images, min(FEW, len(images))), processes.new_folder())
    peaks = []
    for _ in range(repeats):
        peaks.append(Peak())
        score_all(processes, small, processes.new_folder() / "rows.csv", peaks[-1])
    peak = Peak()
    score_all(processes, folder, finished, peak)
    total, main = (statistics.median(values) for values in zip(*((p.total, p.main) for p in peaks), strict=True))
    few, many = min(FEW, len(images)), count_rows(finished)
    table = [
        {"images": few, "MiB with children": total, "MiB of the main process": main},
        {"images": many, "MiB with children": peak.total, "MiB of the main process": peak.main},
    ]
    return table, [Bar(f"peak memory, {many} images / {few} images", peak.total / total, low=0.9, high=1.1)]


def measure_resume(
    processes: Processes, folder: Path, finished: Path, repeats: int
) -> tuple[list[dict[str, Any]], list[Bar]]:
    """Rows of the table, and the bar; ``finished`` is made unless it is there."""
    if not finished.exists():
        score_all(processes, folder, finished)
    before, empty = finished.read_bytes(), processes.new_folder()
    resumed, refused = [], []
    for _ in range(repeats):
        rows = processes.new_folder() / "rows.csv"
        refused.append(processes.run("topiq", "score", empty, "-m", "topiq_nr-lite", "-o", rows, codes=(2,))[0])
        arguments = ("score", folder, "-m", "topiq_nr-lite", "-o", finished, "--resume")
        resumed.append(processes.run("topiq", *arguments, codes=(0, 1))[0])
    if finished.read_bytes() != before:
        raise RuntimeError("Resuming a finished job changed its rows.")
    table = [
        {"job": f"a finished one resumed, {count_rows(finished)} images", "seconds": statistics.median(resumed)},
        {"job": "an empty folder", "seconds": statistics.median(refused)},
    ]
    longer = statistics.median(a - b for a, b in zip(resumed, refused, strict=True))
    return table, [Bar("seconds that resuming a finished job takes longer than an empty folder", longer, high=1)]


def count_rows(rows: Path) -> int:
    with rows.open(newline="", encoding="utf-8", errors="replace") as stream:
        return sum(1 for _ in csv.DictReader(stream))


def jpegs(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"})


def make_images(folder: Path, count: int) -> list[Path]:
    """Crops of the demo's photographs, mirrored at their edges where they are too small."""
    photographs = jpegs(PHOTOGRAPHS)
    random = np.random.default_rng(0)
    paths = []
    for index in range(count):
        height, width = SIZES[index % len(SIZES)]
        with Image.open(photographs[index % len(photographs)]) as image:
            pixels = np.asarray(image.convert("RGB"))
        pixels = np.pad(pixels, ((0, height), (0, width), (0, 0)), mode="symmetric")
        top, left = (int(random.integers(room)) for room in (pixels.shape[0] - height, pixels.shape[1] - width))
        paths.append(folder / f"{index:06}.jpg")
        Image.fromarray(pixels[top : top + height, left : left + width]).save(paths[-1], quality=90)
    return paths


def pick(images: Sequence[Path], count: int) -> list[Path]:
    """So many of them, evenly spread; some repeatedly where there are fewer."""
    return [images[index * len(images) // count] for index in range(count)]


def copy(images: Sequence[Path], folder: Path) -> Path:
    for index, image in enumerate(images):
        shutil.copyfile(image, folder / f"{index:06}.jpg")
    return folder


def show(table: Sequence[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in table for name in row))
    lines = [names]
    for row in table:
        cells = [row.get(name) for name in names]
        lines.append(["" if c is None else f"{c:.2f}" if isinstance(c, float) else str(c) for c in cells])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def publish(
    title: str, facts: dict[str, Any], tables: dict[str, list[dict[str, Any]]], bars: Sequence[Bar], path: Path | None
) -> int:
    """Print tables and bars, write them as JSON to ``path`` if there is one, and give the exit code."""
    print(f"{title}; medians; {facts['versions']}")
    for name, table in tables.items():
        print(f"\n{name}")
        show(table)
    print("\n" + "\n".join(map(str, bars)))
    if path is not None:
        told = [{"what": bar.what, "value": bar.value, "met": bar.met, "text": str(bar)} for bar in bars]
        text = json.dumps({**facts, "results": tables, "bars": told}, indent=2)
        path.write_text(text + "\n", encoding="utf-8")
    return 0 if all(bar.met for bar in bars) else 1


def about(threads: int) -> dict[str, str]:
    packages = ("topiq-metrics", "pyiqa", "torch", "torchvision", "pillow")
    versions = {name: importlib.metadata.version(name) for name in packages if name != "pyiqa" or has_pyiqa()}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {threads} threads, CPU only, {platform.system()}"
    return {**versions, "python": platform.python_version(), "machine": machine}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, metavar="DIR", help="a folder of JPEG files; default: some are made")
    parser.add_argument("--count", type=int, default=64, metavar="N", help=f"images; {LITE}N for topiq_nr-lite")
    parser.add_argument("--repeats", type=int, help="default: 3 for speed and memory, 5 for resuming")
    parser.add_argument("--threads", type=int, default=2, help="of each process's network")
    parser.add_argument("--memory", action="store_true", help="measure peak memory instead of speed")
    parser.add_argument("--resume", action="store_true", help="measure resuming instead of speed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here")
    arguments = parser.parse_args(argv)
    speed = not arguments.memory and not arguments.resume
    if speed and not has_pyiqa():
        print(MISSING, file=sys.stderr)
        return 2
    if arguments.memory and sys.platform != "linux":
        parser.error("--memory needs Linux: it reads /proc.")
    if arguments.memory and importlib.util.find_spec("psutil") is None:
        parser.error("--memory needs psutil: pip install 'topiq-metrics[benchmarks]'")

    tables: dict[str, list[dict[str, Any]]] = {}
    bars: list[Bar] = []
    with tempfile.TemporaryDirectory() as scratch:
        processes = Processes(Path(scratch), arguments.threads)
        if arguments.images:
            folder = arguments.images
            images, kind = jpegs(folder), "as given"
            if not images:
                parser.error(f"There is no JPEG file in {folder}.")
        else:
            folder = processes.new_folder()
            images = make_images(folder, 2 * LITE * arguments.count if speed else MANY)
            kind = ", ".join(f"{width}x{height}" for height, width in SIZES)
        finished = processes.new_folder() / "rows.csv"
        if speed:
            tables["speed"], bars = measure_speed(processes, images, arguments.count, arguments.repeats or 3)
        if arguments.memory:
            tables["memory"], met = measure_memory(processes, images, folder, finished, arguments.repeats or 3)
            bars += met
        if arguments.resume:
            tables["resume"], met = measure_resume(processes, folder, finished, arguments.repeats or 5)
            bars += met
    facts = {"versions": about(arguments.threads), "images": kind}
    return publish(f"{len(images)} JPEG files, {kind}", facts, tables, bars, arguments.json)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as error:
        sys.exit(f"Error: {error}")
