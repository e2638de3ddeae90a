"""FLIVE, also LIVE-FB or PaQ-2-PiQ: authentic distortions, and patches of them (Ying et al., CVPR 2020)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PureWindowsPath
from typing import Any, ClassVar

from topiq_metrics.datasets.base import ALL, DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.files import DatasetError, Folder, read_csv, read_score

_LABELS, _PATCHES = "labels_image.csv", "labels_patch.csv"
# Some file systems have no < and > in names.
_TEST, _REST = ("labels640.csv", "labels>640.csv"), ("labels=640_padded.csv", "labels<=640_padded.csv")
_COMMON: dict[str, Any] = {
    "score_range": (0.0, 100.0),
    "higher_is_better": True,
    "citation": "Z. Ying, H. Niu, P. Gupta, D. Mahajan, D. Ghadiyaram, A. C. Bovik. From patches to pictures "
    "(PaQ-2-PiQ): mapping the perceptual space of picture quality. CVPR 2020",
    "license": "none stated with the images; the repository of the label files says CC BY-NC-SA 4.0",
    "source": "https://github.com/niu-haoran/FLIVE_Database",
}


class FLIVE(IQADataset):
    """``database/{voc_emotic_ava,blur_dataset,EE371R}/*.jpg`` with mean opinion scores 0…100, higher better.

    The images of ``labels640.csv`` are the test part, those that are ``is_valid`` in ``labels=640_padded.csv``
    validation, the others training. These files are in ``database/`` of https://github.com/baidut/PaQ-2-PiQ, not where
    the images come from. Label files stand beside ``database/`` or in it. The patches are a set of their own.
    """

    facts = DatasetFacts(
        name="FLIVE",
        size={"train": None, "validation": None, "test": 1827},
        total=39810,
        note="the files that say the splits, `labels640.csv` and `labels=640_padded.csv`, are in `database/` of "
        "github.com/baidut/PaQ-2-PiQ",
        **_COMMON,
    )
    marks: ClassVar = (_LABELS, f"database/{_LABELS}", "database/voc_emotic_ava", "voc_emotic_ava")

    def read(self, folder: Folder) -> Iterator[Record]:
        labels = folder.labels(_LABELS, f"database/{_LABELS}")
        images = "database/" if folder.find("database") is not None else ""
        part_of = _parts(folder, is_asked=self.split is not None)
        for row in read_csv(labels, ("name", "mos")):
            split = part_of.get(_name(row["name"]), "train") if part_of is not None else ALL
            if part_of is not None and split not in self.wanted:
                continue
            path = folder.image(labels, images + row["name"])
            if path is not None:
                id_ = row["name"].replace("\\", "/").lower()
                yield Record(path, read_score(row["mos"], row.place), split, id=id_)


class FLIVEPatches(IQADataset):
    """``database/patches/*_patch_{1,2,3}.jpg``: three patches of each image, with scores of their own, 0…100.

    A patch is in the part of its image; see `FLIVE`.
    """

    facts = DatasetFacts(
        name="FLIVE patches",
        size={"train": None, "validation": None, "test": 3 * 1827},
        total=3 * 39810,
        note="three patches of each image; `labels_patch.csv` and the files that say the splits are in `database/` of "
        "github.com/baidut/PaQ-2-PiQ; the layout of `labels_patch.csv` could not be checked here",
        **_COMMON,
    )
    marks: ClassVar = (_PATCHES, f"database/{_PATCHES}")

    def read(self, folder: Folder) -> Iterator[Record]:
        labels = folder.labels(_PATCHES, f"database/{_PATCHES}")
        images = "database/" if folder.find("database") is not None else ""
        part_of = _parts(folder, is_asked=self.split is not None)
        for row in read_csv(labels, ("name", "mos")):
            name = _name(row["name"])
            parent, count = re.subn(r"_patch_\d+\.jpg$", "", name)
            if not count:
                raise DatasetError(f"{row.place}: expected a name like 'a.jpg_patch_1.jpg', but got {row['name']!r}.")
            split = part_of.get(parent, "train") if part_of is not None else ALL
            if part_of is not None and split not in self.wanted:
                continue
            path = folder.image(labels, images + row["name"], f"{images}patches/{row['name']}")
            if path is not None:
                yield Record(path, read_score(row["mos"], row.place), split, group=parent)


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
