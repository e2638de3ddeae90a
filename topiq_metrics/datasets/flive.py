"""FLIVE, also LIVE-FB or PaQ-2-PiQ: authentic distortions (Ying et al., CVPR 2020)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PureWindowsPath
from typing import ClassVar

from topiq_metrics.datasets.base import ALL, DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.files import Folder, read_csv, read_score

_LABELS = "labels_image.csv"
# Some file systems have no < and > in names.
_TEST, _REST = ("labels640.csv", "labels>640.csv"), ("labels=640_padded.csv", "labels<=640_padded.csv")


class FLIVE(IQADataset):
    """``database/{voc_emotic_ava,blur_dataset,EE371R}/*.jpg`` with mean opinion scores 0…100, higher better.

    The images of ``labels640.csv`` are the test part, those that are ``is_valid`` in ``labels=640_padded.csv``
    validation, the others training. Label files stand beside ``database/`` or in it. Patches are not read.
    """

    facts = DatasetFacts(
        name="FLIVE",
        size={"train": None, "validation": None, "test": None},
        total=39810,
        score_range=(0.0, 100.0),
        higher_is_better=True,
        citation="Z. Ying, H. Niu, P. Gupta, D. Mahajan, D. Ghadiyaram, A. C. Bovik. From patches to pictures "
        "(PaQ-2-PiQ): mapping the perceptual space of picture quality. CVPR 2020",
        license="none stated in its repository",
        source="https://github.com/niu-haoran/FLIVE_Database",
    )
    marks: ClassVar = (_LABELS, f"database/{_LABELS}", "database/voc_emotic_ava", "voc_emotic_ava")

    def read(self, folder: Folder) -> Iterator[Record]:
        labels = folder.labels(_LABELS, f"database/{_LABELS}")
        images = "database/" if folder.find("database") is not None else ""
        part_of = self._parts(folder)
        for row in read_csv(labels, ("name", "mos")):
            path = folder.image(labels, images + row["name"])
            if path is not None:
                split = part_of.get(_name(row["name"]), "train") if part_of is not None else ALL
                id_ = row["name"].replace("\\", "/").lower()
                yield Record(path, read_score(row["mos"], row.place), split, id=id_)

    def _parts(self, folder: Folder) -> dict[str, str] | None:
        """The images outside the training part; None where that is not known and not asked for."""
        test, rest = ([*names, *(f"database/{name}" for name in names)] for names in (_TEST, _REST))
        if self.split is None and all(folder.find(name) is None for name in test):
            return None
        rows = read_csv(folder.labels(*rest), ("name_image", "is_valid"))
        parts = {_name(row["name_image"]): "validation" for row in rows if row["is_valid"].lower() in {"true", "1"}}
        rows = read_csv(folder.labels(*test), ("name_image",))
        return parts | {_name(row["name_image"]): "test" for row in rows}


def _name(path: str) -> str:
    """The files do not agree on the folders of images, whose names are unique."""
    return PureWindowsPath(path).name.lower()
