"""Make the data of `topiq_fr-lite`: photographs, damaged versions of them, and what classical metrics say of these.

    python benchmarks/make_pairs.py --biq2021 FOLDER -o PAIRS

Contents are the best-rated photographs of BIQ2021, each scaled down by 2, so that traces of their own compression
vanish. Each has some damaged versions, with kinds and severities drawn from its name, and one that is moved by a pixel.
Labels are no human scores but the consensus of seven full-reference metrics of different kinds, as piq has them: each
metric's values become ranks among those of the training part, and the label is the rank of their weighted mean. Writes
`PAIRS/pairs.csv` with the columns image, reference, score, group, split, kind, severity and one for each metric. What
is there is not made again.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import piq
import torch
from PIL import Image
from torch import Tensor

from topiq_metrics.datasets import BIQ2021
from topiq_metrics.images import load_image
from topiq_metrics.training.crops import draw_seed, generator_of
from topiq_metrics.training.distortions import DISTORTIONS, distort
from topiq_metrics.training.distortions.arrays import as_picture
from topiq_metrics.training.parts import split_by_name

LOWEST_MOS = 0.75
VALIDATION, TEST = 0.1, 0.12
VERSIONS = {"train": 8, "validation": 8, "test": 12}
MIXED = 0.2
"""Share of the versions that have two kinds of damage."""

SHIFTED, LEAST_DAMAGED = 0.97, 0.94
"""The labels of an image that is moved by a pixel, and of the least damage. Of the network, 1 is the bound."""

Values = npt.NDArray[np.float64]

TEACHERS: dict[str, tuple[float, float, Callable[[Tensor, Tensor], Tensor]]] = {
    "vsi": (1, 1, lambda x, y: piq.vsi(x, y, reduction="none")),
    "fsimc": (1, 1, lambda x, y: piq.fsim(x, y, reduction="none")),
    "haarpsi": (1, 1, lambda x, y: piq.haarpsi(x, y, reduction="none")),
    "mdsi": (1, -1, lambda x, y: piq.mdsi(x, y, reduction="none")),
    "ms_gmsdc": (1, -1, lambda x, y: piq.multi_scale_gmsd(x, y, chromatic=True, reduction="none")),
    "iw_ssim": (0.5, 1, lambda x, y: piq.information_weighted_ssim(x, y, reduction="none")),
    "vif_p": (0.5, 1, lambda x, y: piq.vif_p(x, y, reduction="none")),
}
"""Each metric's weight, its direction, and itself. In this order they go by saliency, phase, wavelets, gradients and
colour, gradients, structure, and information. Those that agree less with people in their authors' comparisons count
half."""


COLUMNS = ["image", "reference", "group", "split", "kind", "severity", *TEACHERS]


def make_content(photograph: Path, name: str, split: str, folder: Path) -> list[dict[str, object]]:
    """The rows of one content, without labels."""
    path = folder / "contents" / f"{name}.png"
    with Image.open(photograph) as picture:
        picture.convert("RGB").reduce(2).save(path, compress_level=1)
    content = load_image(path)
    generator = generator_of("pairs", name)
    rows: list[dict[str, object]] = []
    images = []
    for version in range(VERSIONS[split]):
        count = 2 if torch.rand((), generator=generator) < MIXED else 1
        kinds = [list(DISTORTIONS)[i] for i in torch.randperm(len(DISTORTIONS), generator=generator)[:count]]
        severity = torch.rand((), generator=generator).item()
        seed = int(torch.randint(2**31, (), generator=generator))
        # The metrics see what is saved, in 8 bits.
        picture = as_picture(distort(content, "+".join(kinds), severity, seed=seed))
        rows.append({"image": f"pairs/{name}-{version}.png", "kind": "+".join(kinds), "severity": f"{severity:.4f}"})
        picture.save(folder / f"pairs/{name}-{version}.png", compress_level=1)
        images.append(load_image(picture))
    damaged, contents = torch.stack(images), content.expand(len(images), -1, -1, -1)
    with torch.inference_mode():
        for metric, (_, _, function) in TEACHERS.items():
            for row, value in zip(rows, function(damaged, contents).tolist(), strict=True):
                row[metric] = value
    shift = int(torch.randint(4, (), generator=generator))
    moved = content.roll((1, -1)[shift % 2], 1 + shift // 2)
    # What comes round at the edge is the edge.
    edge = 0 if shift % 2 == 0 else -1
    moved.select(1 + shift // 2, edge).copy_(content.select(1 + shift // 2, edge))
    as_picture(moved).save(folder / f"pairs/{name}-shift.png", compress_level=1)
    rows.append({"image": f"pairs/{name}-shift.png", "kind": "shift", "severity": ""})
    return [{**row, "reference": f"contents/{name}.png", "group": name, "split": split} for row in rows]


def with_labels(rows: list[dict[str, str]]) -> list[dict[str, object]]:
    damaged = [row for row in rows if row["severity"]]
    training = np.array([row["split"] == "train" for row in damaged])
    total = np.zeros(len(damaged))
    for metric, (weight, direction, _) in TEACHERS.items():
        total += weight * ranks(direction * np.array([float(row[metric]) for row in damaged]), training)
    labels = iter(LEAST_DAMAGED * ranks(total, training))
    return [{**row, "score": f"{next(labels) if row['severity'] else SHIFTED:.5f}"} for row in rows]


def ranks(values: Values, training: npt.NDArray[np.bool_]) -> Values:
    """From 0 to 1, among the values of the training part."""
    known = np.sort(values[training])
    middle = (np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right")) / 2
    return middle / len(known)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--biq2021", type=Path, required=True, help="its folder")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the pairs")
    parser.add_argument("--contents", type=int, help="so many at most")
    arguments = parser.parse_args()
    folder = arguments.output
    for name in ("contents", "pairs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    dataset = BIQ2021(arguments.biq2021, "train", partial=True)
    photographs = sorted(record.image for record in dataset.records if record.score >= LOWEST_MOS)
    names = [path.stem.replace(" ", "-") for path in photographs]
    parts = split_by_name(names, VALIDATION, TEST)
    splits = {i: split for split in VERSIONS for i in getattr(parts, "training" if split == "train" else split)}
    # In an order that has nothing to do with their names, so that fewer of them are like all.
    order = sorted(range(len(names)), key=lambda i: draw_seed("order", names[i]))[: arguments.contents]
    measured = folder / "measured.csv"
    done = set()
    if measured.exists():
        with measured.open(newline="") as stream:
            done = {row["group"] for row in csv.DictReader(stream) if row["kind"] == "shift"}
    start = time.monotonic()
    with measured.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        if stream.tell() == 0:
            writer.writeheader()
        for count, i in enumerate(index for index in order if names[index] not in done):
            writer.writerows(make_content(photographs[i], names[i], splits[i], folder))
            stream.flush()
            if count % 50 == 0:
                print(
                    f"{len(done) + count} of {len(order)}, {time.monotonic() - start:.0f} s",
                    file=sys.stderr,
                    flush=True,
                )
    with measured.open(newline="") as stream:
        # A content that a killed run had begun is there twice.
        rows = list({row["image"]: row for row in csv.DictReader(stream)}.values())
    with (folder / "pairs.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [*COLUMNS[:2], "score", *COLUMNS[2:]])
        writer.writeheader()
        writer.writerows(with_labels(rows))
    print(f"{folder / 'pairs.csv'}: {len(rows)} pairs of {len({row['group'] for row in rows})} contents")
    return 0


if __name__ == "__main__":
    sys.exit(main())
