"""Make the data of `topiq_fr-lite`: clean pictures, damaged versions of them, and scores that people gave such damage.

    python benchmarks/make_pairs.py --cid22 FOLDER --biq2021 FOLDER --kadid10k FOLDER -o PAIRS

References are crops of CID22's pictures, these as they are, four of them put together, and the best-rated photographs
of BIQ2021: some scaled down by 2, so that traces of their own compression vanish, others cut to the size that
KADID-10k's observers saw. A third of the versions of the small ones is there at 1.5 times the size, too.

Many versions have a damage of KADID-10k at a level from 1 to 5, and for a score what people gave that kind and level
there, on other pictures, on average; others are enlargements, the bank of `topiq_metrics.training.distortions`,
mixtures, and moves by a pixel. What people would say of these, and what the content of a small picture changes, is
foretold from full-reference metrics, the teachers, whose weights are fitted to the human scores (`consensus.py`). A
score s is (MOS - 1) / 4 on KADID-10k's scale from 1 (very annoying) to 5 (imperceptible).

Writes `PAIRS/measured.csv` as it goes, and `PAIRS/pairs.csv` at the end. What is there is not made again.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from consensus import label
from PIL import Image
from teachers import QUICK, measure
from torch import Tensor

from topiq_metrics.datasets import BIQ2021
from topiq_metrics.images import load_image
from topiq_metrics.training.crops import generator_of
from topiq_metrics.training.distortions import DISTORTIONS, distort
from topiq_metrics.training.distortions.arrays import as_picture
from topiq_metrics.training.distortions.kadid import KADID, kadid_damage
from topiq_metrics.training.splitting import split_by_name

LOWEST_MOS = 0.75
VALIDATION, TEST = 0.08, 0.14
SIDE = 256
WHOLE = (384, 512)
"""Height and width of KADID-10k's pictures."""
CROPS = 2
"""Small references that are cut out of each picture of CID22."""
LARGER_SIDE, LARGER_EVERY = 384, 3
"""So many small pairs are there at a larger size, too."""

UPSCALINGS = tuple(kind for kind in DISTORTIONS if kind.endswith("upscaling"))
OTHERS = {"upscaling": 0.45, "bank": 0.3, "mixture": 0.15, "shift": 0.1}
"""Shares of the versions that are not KADID-10k's."""

COLUMNS = ["image", "reference", "group", "split", "kind", "level", "larger", *QUICK]


@dataclass(frozen=True)
class Content:
    """A clean picture, and how many versions of it there are to be: of KADID-10k's kinds, and others."""

    name: str
    split: str
    kadid: int
    others: int
    picture: Image.Image
    group: str

    @property
    def is_small(self) -> bool:
        return self.picture.size == (SIDE, SIDE)


def find_contents(cid22: Path, biq2021: Path, small: int, whole: int) -> Iterator[Content]:
    pictures = split_pictures(cid22)
    for path, split in pictures.items():
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        generator = generator_of("crops", path.stem)
        for crop in range(CROPS):
            yield Content(f"cid22-{path.stem}-{crop}", split, 9, 4, _cut(picture, (SIDE, SIDE), generator), path.stem)
        yield Content(f"cid22-{path.stem}-whole", split, 20, 6, _cut(picture, WHOLE, generator), path.stem)
        yield Content(f"cid22-{path.stem}-full", split, 5, 2, picture, path.stem)
    for split in ("train", "validation", "test"):
        named = [path for path, of in pictures.items() if of == split]
        for first in range(0, len(named) - 3, 4):
            four = named[first : first + 4]
            yield Content(f"cid22-{four[0].stem}-four", split, 10, 0, _put_together(four), four[0].stem)
    photographs = {
        record.image.stem.replace(" ", "-"): record.image
        for record in BIQ2021(biq2021, "train", partial=True).records
        if record.score >= LOWEST_MOS
    }
    splits = _split_names(sorted(photographs))
    # In an order that has nothing to do with their names.
    order = sorted(photographs, key=lambda name: generator_of("order", name).initial_seed())
    for place, name in enumerate(order[: small + whole]):
        with Image.open(photographs[name]) as opened:
            picture = opened.convert("RGB")
        if place < small:
            yield Content(f"biq2021-{name}", splits[name], 5, 4, picture.reduce(2), name)
        elif picture.height >= WHOLE[0] and picture.width >= WHOLE[1]:
            cut = _cut(picture, WHOLE, generator_of("crops", name))
            yield Content(f"biq2021-{name}-whole", splits[name], 8, 3, cut, name)


def _cut(picture: Image.Image, size: tuple[int, int], generator: torch.Generator) -> Image.Image:
    top, left = (_draw(picture.size[1 - axis] - size[axis] + 1, generator) for axis in (0, 1))
    return picture.crop((left, top, left + size[1], top + size[0]))


def _put_together(paths: Sequence[Path]) -> Image.Image:
    """Four pictures of one size, as one of twice their sides."""
    pictures = []
    for path in paths:
        with Image.open(path) as opened:
            pictures.append(np.asarray(opened.convert("RGB")))
    return Image.fromarray(np.block([[[pictures[0]], [pictures[1]]], [[pictures[2]], [pictures[3]]]]))


def split_pictures(cid22: Path) -> dict[Path, str]:
    """The part of each of CID22's pictures: ``train``, ``validation`` or ``test``."""
    paths = sorted((cid22 / "images").glob("*.webp"))
    if not paths:
        raise SystemExit(f"There are no pictures of CID22 in {cid22 / 'images'}.")
    splits = _split_names([path.stem for path in paths])
    return {path: splits[path.stem] for path in paths}


def _split_names(names: Sequence[str]) -> dict[str, str]:
    parts = split_by_name(names, VALIDATION, TEST)
    found = {"train": parts.training, "validation": parts.validation, "test": parts.test}
    return {names[index]: split for split, indices in found.items() for index in indices}


def make_versions(content: Content, folder: Path) -> list[dict[str, object]]:
    """The rows of one content, without scores."""
    reference = f"contents/{content.name}.png"
    content.picture.save(folder / reference, compress_level=1)
    if content.is_small:
        save_larger(content.picture, folder / reference)
    clean = load_image(folder / reference)
    generator = generator_of("versions", content.name)
    rows: list[dict[str, object]] = []
    taught = []
    for version in range(content.kadid + content.others):
        is_kadid = version < content.kadid
        damaged, kind, level = _kadid(clean, generator) if is_kadid else _other(clean, generator)
        # The teachers see what is saved, in 8 bits.
        picture = as_picture(damaged)
        name = f"pairs/{content.name}-{version}.png"
        picture.save(folder / name, compress_level=1)
        row: dict[str, object] = {"image": name, "reference": reference, "kind": kind, "level": level}
        rows.append(row)
        # People have scored KADID-10k's kinds: of large pictures, which take long, that will do.
        if content.is_small or not is_kadid:
            taught.append((row, load_image(picture)))
        if content.is_small and version % LARGER_EVERY == 0:
            row["larger"] = "yes"
            save_larger(picture, folder / name)
    if taught:
        images = torch.stack([image for _, image in taught])
        values = measure(images, clean.expand(len(images), -1, -1, -1), QUICK)
        for metric, scores in values.items():
            for (row, _), score in zip(taught, scores, strict=True):
                row[metric] = f"{score:.6g}"
    return [{**row, "group": content.group, "split": content.split} for row in rows]


def save_larger(picture: Image.Image, path: Path) -> None:
    """Enlarge what is saved under a path, and save it beside that."""
    larger = picture.resize((LARGER_SIDE, LARGER_SIDE), Image.Resampling.BICUBIC)
    larger.save(_larger(path), compress_level=1)


def _larger(path: Path) -> Path:
    return path.with_stem(f"{path.stem}-larger")


def larger_pairs(rows: Sequence[dict[str, str]]) -> Iterator[dict[str, str]]:
    """The enlarged ones of scored pairs: people see the same damage, and the network sees it larger."""
    for row in rows:
        if row["larger"]:
            paths = {key: _larger(Path(row[key])).as_posix() for key in ("image", "reference")}
            yield {**row, **paths, **dict.fromkeys(QUICK, "")}


def _kadid(clean: Tensor, generator: torch.Generator) -> tuple[Tensor, str, str]:
    number = list(KADID)[_draw(len(KADID), generator)]
    level = float(f"{1 + 4 * torch.rand((), generator=generator).item():.3f}")
    if torch.rand((), generator=generator) < 0.5:
        level = float(round(level))
    return kadid_damage(clean, number, level, seed=_draw(2**31, generator)), f"kadid-{number}", f"{level:g}"


def _other(clean: Tensor, generator: torch.Generator) -> tuple[Tensor, str, str]:
    share = torch.rand((), generator=generator).item()
    chosen = next(name for name in _passed(share) if name)
    severity, seed = torch.rand((), generator=generator).item(), _draw(2**31, generator)
    if chosen == "shift":
        rows, columns = ((0, 1), (1, 0), (0, -1), (-1, 0))[_draw(4, generator)]
        padded = torch.nn.functional.pad(clean[None], (1, 1, 1, 1), mode="replicate")[0]
        height, width = clean.shape[-2:]
        return padded[:, 1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width], "shift", ""
    if chosen == "upscaling":
        kind = UPSCALINGS[_draw(len(UPSCALINGS), generator)]
    else:
        kinds = [list(DISTORTIONS)[_draw(len(DISTORTIONS), generator)] for _ in range(2 if chosen == "mixture" else 1)]
        kind = "+".join(dict.fromkeys(kinds))
    return distort(clean, kind, severity, seed=seed), kind, f"{severity:.3f}"


def _passed(share: float) -> Iterator[str]:
    """The name in whose part of [0, 1] a share lies."""
    total = 0.0
    for name, part in OTHERS.items():
        total += part
        if share < total:
            yield name
    yield "upscaling"


def _draw(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cid22", type=Path, required=True, help="the folder with CID22's clean pictures in images/")
    parser.add_argument("--biq2021", type=Path, required=True, help="its folder")
    parser.add_argument("--kadid10k", type=Path, required=True, help="the folder of kinds.csv: mean scores")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the pairs")
    parser.add_argument("--small", type=int, default=260, help="so many photographs of BIQ2021 at most, scaled down")
    parser.add_argument("--whole", type=int, default=120, help="so many others of them, not scaled down")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="so many make pairs at a time")
    arguments = parser.parse_args()
    folder = arguments.output
    for name in ("contents", "pairs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    measured = folder / "measured.csv"
    done: Counter[str] = Counter()
    if measured.exists():
        with measured.open(newline="") as stream:
            reader = csv.DictReader(stream)
            if reader.fieldnames not in (None, COLUMNS):
                raise SystemExit(f"{measured} is not of this version: give another folder")
            done.update({row["image"]: row["reference"] for row in reader}.values())
    start = time.monotonic()
    with measured.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        if stream.tell() == 0:
            writer.writeheader()
        contents = find_contents(arguments.cid22, arguments.biq2021, arguments.small, arguments.whole)
        # One that was interrupted is made again; of rows that are there twice, the last counts.
        missing = (
            content for content in contents if done[f"contents/{content.name}.png"] < content.kadid + content.others
        )
        with multiprocessing.get_context("spawn").Pool(arguments.processes, torch.set_num_threads, (1,)) as pool:
            for count, made in enumerate(pool.imap(partial(make_versions, folder=folder), missing)):
                writer.writerows(made)
                stream.flush()
                if count % 25 == 0:
                    print(f"{count} references, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    with measured.open(newline="") as stream:
        rows = list({row["image"]: row for row in csv.DictReader(stream)}.values())
    scored = label(rows, arguments.kadid10k / "kinds.csv")
    scored = [*scored, *larger_pairs(scored)]
    with (folder / "pairs.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [*COLUMNS[:2], "score", *COLUMNS[2:]])
        writer.writeheader()
        writer.writerows(scored)
    print(f"{folder / 'pairs.csv'}: {len(scored)} pairs of {len({row['group'] for row in rows})} contents")
    return 0


if __name__ == "__main__":
    sys.exit(main())
