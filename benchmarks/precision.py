"""How far are the scores of each backend and precision from PyTorch's in float32?

Scores photographs with the bundled model on all backends that are installed, on the same batches in turn, and prints
the largest and mean difference, the rank correlations, how many images have a score of their own, and how many times as
fast as PyTorch in float32 it was. The exit code is 1 where a deviation that a backend states is not kept, or an SRCC of
0.999, or a KRCC of 0.99, or less than 99 % of the images have a score of their own.

    python benchmarks/precision.py --images FOLDER [--limit N] [--only BACKEND] [--threads 2] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torchmetrics.functional.regression import spearman_corrcoef

import topiq_metrics
from topiq_metrics.evaluation import krcc
from topiq_metrics.images import load_image
from topiq_metrics.inference import NetworkPredictor
from topiq_metrics.inference.backends import BACKENDS, choose_backend
from topiq_metrics.scoring.sources import IMAGE_SUFFIXES

NAME = "topiq_nr-lite"
LIMIT = 500
BATCH = 8
SRCC = 0.999
KRCC = 0.99
DISTINCT = 0.99
EXACT = ("torch", "float32")


def find_images(folder: Path, limit: int) -> list[Path]:
    """Some of a folder's images, evenly spread over their sorted names."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    return [paths[index * len(paths) // limit] for index in range(limit)] if len(paths) > limit else paths


def open_all(device: str, only: Sequence[str] = ()) -> dict[tuple[str, str], NetworkPredictor]:
    """The bundled model in each precision of each backend that is installed and runs on the device."""
    predictors = {}
    for backend, kind in BACKENDS.items():
        for precision in kind.deviations:
            try:
                if (backend, precision) == EXACT or not only or backend in only:
                    chosen = choose_backend(backend, precision)
                    predictor = NetworkPredictor(NAME, device=device, backend=chosen)
                    predictor(torch.rand(1, 3, 64, 64))
                    predictors[backend, precision] = predictor
            except (ModuleNotFoundError, ValueError) as error:
                print(f"{backend} {precision} is left out: {error}", file=sys.stderr)
    return predictors


def batches(images: Iterable[Tensor], size: int = BATCH) -> Iterator[Tensor]:
    """Images ``(3, H, W)`` in batches of one size; what is left over comes last."""
    waiting: dict[tuple[int, ...], list[Tensor]] = defaultdict(list)
    for image in images:
        same = waiting[tuple(image.shape)]
        same.append(image)
        if len(same) == size:
            yield torch.stack(same)
            same.clear()
    yield from (torch.stack(same) for same in waiting.values() if same)


def compare(predictors: dict[tuple[str, str], NetworkPredictor], images: Iterable[Tensor]) -> list[dict]:
    """A row for each predictor: how its scores of images ``(3, H, W)`` differ from PyTorch's in float32."""
    scores: dict[tuple[str, str], list[Tensor]] = {key: [] for key in predictors}
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in predictors}
    for batch in batches(images):
        for key, predictor in predictors.items():
            start = time.perf_counter()
            scores[key].append(predictor(batch))
            seconds[key].append(time.perf_counter() - start)
    exact = torch.cat(scores[EXACT]).double()
    rows = []
    for (backend, precision), parts in scores.items():
        values, stated = torch.cat(parts).double(), BACKENDS[backend].deviations[precision]
        delta = (values - exact).abs()
        rows.append(
            {
                "backend": backend,
                "precision": precision,
                "images": len(values),
                "max": delta.max().item(),
                "mean": delta.mean().item(),
                "stated": stated,
                "srcc": spearman_corrcoef(values, exact).item(),
                "krcc": krcc(values.numpy(), exact.numpy()),
                "distinct": len(values.unique()) / len(exact.unique()),
                # Batch by batch, so that a drift of the machine's speed cancels.
                "times_as_fast": statistics.median(
                    a / b for a, b in zip(seconds[EXACT], seconds[backend, precision], strict=True)
                ),
            }
        )
    return rows


def is_kept(row: dict, srcc: float = SRCC, krcc: float = KRCC) -> bool:
    # Not a comparison the other way round, which NaN would pass.
    close = row["max"] <= row["stated"] and row["srcc"] >= srcc
    return close and row["krcc"] >= krcc and row["distinct"] >= DISTINCT


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=LIMIT)
    parser.add_argument("--only", action="append", default=[], help="a backend to measure; all if not given")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    paths = find_images(arguments.images, arguments.limit)
    if len(paths) < 2:
        print(f"{arguments.images} holds fewer than two images.", file=sys.stderr)
        return 2
    predictors = open_all(arguments.device, arguments.only)
    size = next(iter(predictors.values())).size
    rows = compare(predictors, (size.apply(load_image(path)) for path in paths))

    versions = {
        "topiq-metrics": topiq_metrics.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {arguments.threads} threads",
    }
    print(f"{NAME} on {len(paths)} images, {arguments.device}; against torch float32; {versions}")
    print(
        f"{'backend':12} {'precision':9} {'max |d|':>9} {'stated':>8} {'mean |d|':>9} "
        f"{'SRCC':>8} {'KRCC':>7} {'own':>5} {'speed':>6}"
    )
    for row in rows:
        print(
            f"{row['backend']:12} {row['precision']:9} {row['max']:9.2g} {row['stated']:8.2g} {row['mean']:9.2g} "
            f"{row['srcc']:8.6f} {row['krcc']:7.5f} {row['distinct']:5.3f} "
            f"{row['times_as_fast']:6.2f}{'' if is_kept(row) else '  NOT KEPT'}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps({"versions": versions, "results": rows}, indent=2))
    return 0 if all(map(is_kept, rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
