"""The layout in which DSL-FIQA ships two sets of faces: ``{train,val,test}/img/*``, and ``label.json`` beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from topiq_metrics.datasets.files import DatasetError, Folder, Row, read_json

PARTS = ("train", "val", "test")
MARKS = tuple(f"{part}/label.json" for part in PARTS)
COUNTS = {"GFIQA-20k": 19_998, "CGFIQA-40k": 39_312}
"""Images of each of the sets that are shipped so."""

_COLUMNS = ("Image", "MOS")


def read_parts(folder: Folder, parts: Iterable[str], split: str | None) -> Iterator[tuple[Row, Path, str]]:
    """The rows of the label files of these parts, with image and part; of a copy, only ``split`` must be there."""
    for part in parts:
        if folder.partial and split != part and folder.find(f"{part}/label.json") is None:
            continue
        labels = folder.labels(f"{part}/label.json")
        images = folder.folder(f"{part}/img")
        for row in read_json(labels, _COLUMNS):
            path = folder.image(labels, f"{images}/{row['Image']}")
            if path is not None:
                yield row, path, part


def is_gfiqa20k(folder: Folder) -> bool:
    """Whether it is GFIQA-20k: by the number of images if every part has its labels, else by the folder's name."""
    paths = [path for path in map(folder.find, MARKS) if path is not None]
    if len(paths) < len(MARKS):
        name = folder.path.resolve().name.lower()
        return "gfiqa" in name and "cgfiqa" not in name
    try:
        count = sum(1 for path in paths for _ in read_json(path, _COLUMNS))
    except DatasetError:
        return False
    return min(COUNTS, key=lambda name: abs(COUNTS[name] - count)) == "GFIQA-20k"
