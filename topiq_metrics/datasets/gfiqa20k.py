"""GFIQA-20k: faces (Su et al., IEEE Transactions on Multimedia 26, 2024)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from topiq_metrics.datasets.base import ALL, DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.dslfiqa import COUNTS, MARKS, PARTS, is_gfiqa20k, read_parts
from topiq_metrics.datasets.files import DatasetError, Folder, has_columns, read_csv, read_score
from topiq_metrics.datasets.splits import OFFICIAL, SplitRule

_LABELS = "mos_val_rating.csv"
_NAMES = ("name", "img_name", "image_name", "image")


class GFIQA20k(IQADataset):
    """``image/*`` with mean opinion scores 0…1, higher is better.

    Or as DSL-FIQA ships it: ``{train,val,test}/img/*`` with ``label.json`` next to each ``img/``; these are official
    splits.

    Args:
        root: the dataset's folder.
        split: ``"train"``, ``"validation"`` or ``"test"``: of a random split, with ``seed``, or
            of DSL-FIQA's official split, without.
        transform: as for `IQADataset`.
        labels: the CSV file with the columns ``mos`` and ``name``, ``img_name``, ``image_name`` or ``image``; by
            default ``mos_val_rating.csv``, else the only CSV file in ``root``.
        options: those of `IQADataset`.
    """

    facts = DatasetFacts(
        name="GFIQA-20k",
        size={ALL: COUNTS["GFIQA-20k"]},
        score_range=(0.0, 1.0),
        higher_is_better=True,
        citation="S. Su, H. Lin, V. Hosu, O. Wiedemann, J. Sun, Y. Zhu, H. Liu, Y. Zhang, D. Saupe. Going the extra "
        "mile in face image quality assessment: a novel database and model. IEEE Transactions on Multimedia 26, 2024",
        license="see its page",
        source="https://database.mmsp-kn.de/gfiqa-20k-database.html",
        split=SplitRule("random", "image", (("train", 0.7), ("validation", 0.1), ("test", 0.2))),
        note="in the layout of DSL-FIQA, folders are the splits; whether its scores are on the same scale could not be "
        "checked here",
    )
    marks: ClassVar = (_LABELS,)

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | None = None,
        transform: Callable[..., Any] | None = None,
        *,
        labels: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        self.labels = None if labels is None else Path(labels)
        self.facts = self.facts_in(Folder(Path(root), self.facts.name), labels=labels)
        self.has_parts = self.facts.split is OFFICIAL
        super().__init__(root, split, transform, **options)

    @classmethod
    def facts_in(cls, folder: Folder, **options: Any) -> DatasetFacts:
        if options.get("labels") is not None or not _has_parts(folder):
            return cls.facts
        return replace(cls.facts, size=dict.fromkeys(PARTS), total=cls.facts.count, split=OFFICIAL)

    @classmethod
    def recognizes(cls, folder: Folder) -> bool:
        if super().recognizes(folder) or (_has_parts(folder) and is_gfiqa20k(folder)):
            return True
        path = _find_labels(folder) if folder.find("image") is not None else None
        return path is not None and any(has_columns(path, "mos", name) for name in _NAMES)

    def read(self, folder: Folder) -> Iterator[Record]:
        if self.has_parts:
            for row, image, part in read_parts(folder, self.wanted, self.split):
                yield Record(image, read_score(row["MOS"], row.place), part)
            return
        labels = self.labels or _find_labels(folder)
        if labels is None:
            raise DatasetError(
                f"{self.facts.name}: expected one .csv file in {self.root}; name the one with the scores: `labels=`."
            )
        images = folder.folder("image")
        for row in read_csv(labels, ("mos",)):
            columns = {column.lower(): value for column, value in row.items()}
            name = next((columns[column] for column in _NAMES if columns.get(column)), None)
            if name is None:
                raise DatasetError(f"{labels} has no column {_NAMES[0]!r}; its columns are {list(row)}.")
            path = folder.image(labels, f"{images}/{name}", name)
            if path is not None:
                yield Record(path, read_score(row["mos"], row.place), ALL)


def _has_parts(folder: Folder) -> bool:
    return folder.find(_LABELS) is None and any(folder.find(mark) is not None for mark in MARKS)


def _find_labels(folder: Folder) -> Path | None:
    path = folder.find(_LABELS)
    if path is not None:
        return path
    names = [name for name in folder.names() if name.lower().endswith(".csv")]
    return folder.find(names[0]) if len(names) == 1 else None
