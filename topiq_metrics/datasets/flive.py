"""FLIVE, also LIVE-FB or PaQ-2-PiQ: authentic distortions, and patches of them (Ying et al., CVPR 2020)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import PureWindowsPath
from typing import Any, ClassVar

from topiq_metrics.datasets.base import ALL, DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.files import DatasetError, Folder, Row, read_csv, read_score

_LABELS, _PATCHES = "labels_image.csv", "labels_patch.csv"
# Some file systems have no < and > in names.
_TEST, _REST = ("labels640.csv", "labels>640.csv"), ("labels=640_padded.csv", "labels<=640_padded.csv")
_PATCHES_OF_IMAGE = 3


class FLIVE(IQADataset):
    """``database/{voc_emotic_ava,blur_dataset,EE371R}/*.jpg`` with mean opinion scores 0…100, higher is better.

    The images of ``labels640.csv`` are the test split, those that are ``is_valid`` in ``labels=640_padded.csv``
    validation, the others training. These files are in ``database/`` of https://github.com/baidut/PaQ-2-PiQ, not where
    the images come from. Label files are next to ``database/`` or in it.

    Args:
        root: the dataset's folder.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        transform: as for `IQADataset`.
        patches: read ``database/patches/*_patch_{1,2,3}.jpg`` instead, three patches of each image, with the scores of
            ``labels_patch.csv``; each is in the split of its image. The name in ``facts`` is then "FLIVE patches".
        options: those of `IQADataset`.
    """

    facts = DatasetFacts(
        name="FLIVE",
        size={"train": None, "validation": None, "test": 1827},
        total=39810,
        score_range=(0.0, 100.0),
        higher_is_better=True,
        citation="Z. Ying, H. Niu, P. Gupta, D. Mahajan, D. Ghadiyaram, A. C. Bovik. From patches to pictures "
        "(PaQ-2-PiQ): mapping the perceptual space of picture quality. CVPR 2020",
        license="none stated with the images; the repository of the label files says CC BY-NC-SA 4.0",
        source="https://github.com/niu-haoran/FLIVE_Database",
        note="the files that say the splits, `labels640.csv` and `labels=640_padded.csv`, are in `database/` of "
        "github.com/baidut/PaQ-2-PiQ; with the option `patches`, three patches of each image, whose label file "
        "`labels_patch.csv` could not be checked here",
    )
    marks: ClassVar = (_LABELS, f"database/{_LABELS}", "database/voc_emotic_ava", "voc_emotic_ava")
    choices: ClassVar = {"patches": {"no": False, "yes": True}}

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | None = None,
        transform: Callable[..., Any] | None = None,
        *,
        patches: bool = False,
        **options: Any,
    ) -> None:
        self.patches = patches
        if patches:
            each = _PATCHES_OF_IMAGE
            size = {split: None if count is None else each * count for split, count in self.facts.size.items()}
            total = None if self.facts.count is None else each * self.facts.count
            self.facts = replace(self.facts, name=f"{self.facts.name} patches", size=size, total=total)
        super().__init__(root, split, transform, **options)

    def read(self, folder: Folder) -> Iterator[Record]:
        file = _PATCHES if self.patches else _LABELS
        labels = folder.labels(file, f"database/{file}")
        images = "database/" if folder.find("database") is not None else ""
        part_of = _parts(folder, is_asked=self.split is not None)
        for row in read_csv(labels, ("name", "mos")):
            name = row["name"].replace("\\", "/")
            parent = _parent(row) if self.patches else _name(name)
            split = part_of.get(parent, "train") if part_of is not None else ALL
            if part_of is not None and split not in self.wanted:
                continue
            path = folder.image(labels, images + name, *((f"{images}patches/{name}",) if self.patches else ()))
            if path is not None:
                id_ = _name(name) if self.patches else name.lower()
                group = parent if self.patches else ""
                yield Record(path, read_score(row["mos"], row.place), split, id=id_, group=group)


def _parent(row: Row) -> str:
    """The name of the image that a patch is of."""
    parent, count = re.subn(r"_patch_\d+\.jpg$", "", _name(row["name"]))
    if not count:
        raise DatasetError(f"{row.place}: expected a name like 'a.jpg_patch_1.jpg', but got {row['name']!r}.")
    return parent


def _parts(folder: Folder, *, is_asked: bool) -> dict[str, str] | None:
    """The images outside the training part; None where that is not known and not asked for."""
    test, rest = ([*names, *(f"database/{name}" for name in names)] for names in (_TEST, _REST))
    if not is_asked and all(folder.find(name) is None for name in test):
        return None
    try:
        rows = read_csv(folder.labels(*rest), ("name_image", "is_valid"))
        parts = {_name(row["name_image"]): "validation" for row in rows if row["is_valid"].lower() in {"true", "1"}}
        rows = read_csv(folder.labels(*test), ("name_image",))
    except DatasetError as error:
        raise DatasetError(
            f"{error} The files that say the splits are in database/ of https://github.com/baidut/PaQ-2-PiQ."
        ) from error
    return parts | {_name(row["name_image"]): "test" for row in rows}


def _name(path: str) -> str:
    """The files do not agree on the folders of images, whose names are unique."""
    return PureWindowsPath(path).name.lower()
