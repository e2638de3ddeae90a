"""PIQ23: portraits by phones, compared within a scene (Chahine et al., CVPR 2023)."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, ClassVar

from topiq_metrics.datasets.base import ALL, DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.files import DatasetError, Folder, optional_number, read_csv, read_score

_LISTS = {"device": ("Device Split.csv", "IMAGE"), "scene": ("Scene Split.csv", "SCENE")}


class PIQ23(IQADataset):
    """``{attribute}/*`` with scores in just-objectionable differences, higher is better, comparable within a scene.

    Args:
        root: the dataset's folder, with ``Scores_{attribute}.csv``, and ``Device Split.csv`` or ``Scene Split.csv``
            there or in ``Test split/``.
        split: ``"train"`` or ``"test"``.
        transform: as for `IQADataset`.
        attribute: ``"Overall"``, ``"Details"`` or ``"Exposure"``; the name in ``facts`` has it unless it is the first.
        by: which of the two official splits: by ``"device"`` or by ``"scene"``.
        options: those of `IQADataset`.
    """

    facts = DatasetFacts(
        name="PIQ23",
        size={"train": None, "test": None},
        total=5116,
        score_range=(-math.inf, math.inf),
        higher_is_better=True,
        citation="N. Chahine, S. Calarasanu, D. Garcia-Civiero, T. Cayla, S. Ferradans, J. Ponce. An image quality "
        "assessment dataset for portraits. CVPR 2023",
        license="noncommercial research only",
        source="https://corp.dxomark.com/data-base-piq23/",
        note="5116 images for each of three attributes, 50 scenes, two official splits, by device and by scene; a "
        "result is the median over scenes",
    )
    attributes: ClassVar = ("Overall", "Details", "Exposure")
    marks: ClassVar = (*(f"Scores_{attribute}.csv" for attribute in attributes), "Scores/Scores_Overall.csv")
    variants: ClassVar = tuple({"attribute": attribute} for attribute in attributes)
    choices: ClassVar = {"attribute": {name: name for name in attributes}, "by": {name: name for name in _LISTS}}

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | None = None,
        transform: Callable[..., Any] | None = None,
        *,
        attribute: str = "Overall",
        by: str = "device",
        **options: Any,
    ) -> None:
        if attribute not in self.attributes:
            raise DatasetError(f"Argument `attribute` must be one of {self.attributes}, but got {attribute!r}.")
        if by not in _LISTS:
            raise DatasetError(f"Argument `by` must be one of {tuple(_LISTS)}, but got {by!r}.")
        if attribute != self.attributes[0]:
            self.facts = replace(self.facts, name=f"{self.facts.name} {attribute}")
        self.attribute = attribute
        self.by = by
        super().__init__(root, split, transform, **options)

    def read(self, folder: Folder) -> Iterator[Record]:
        scores_file = f"Scores_{self.attribute}.csv"
        labels = folder.labels(scores_file, f"Scores/{scores_file}")
        part_of = self._parts(folder)
        for row in read_csv(labels, ("IMAGE PATH", "JOD", "SCENE")):
            name = row["IMAGE PATH"].replace("\\", "/")
            path = folder.image(labels, name)
            if path is None:
                continue
            split = ALL
            if part_of is not None:
                member = row["SCENE"] if self.by == "scene" else PurePosixPath(name).stem
                split = part_of.get(member.lower(), "")
                if not split:
                    raise DatasetError(f"{self.facts.name}: {_LISTS[self.by][0]} does not name {member!r}.")
            extras: dict[str, str | float] = {"scene": row["SCENE"], **optional_number(row, std="JOD STD")}
            if row.get("CONDITION"):
                extras["condition"] = row["CONDITION"]
            yield Record(
                path, read_score(row["JOD"], row.place), split, id=name.lower(), group=row["SCENE"], extras=extras
            )

    def _parts(self, folder: Folder) -> dict[str, str] | None:
        """The split of each image or scene; None where that is not known and not asked for."""
        name, column = _LISTS[self.by]
        places = (name, f"Test split/{name}")
        if self.split is None and not any(folder.find(place) for place in places):
            return None
        path = folder.labels(*places)
        parts = {}
        for row in read_csv(path, (column, "SPLIT")):
            split = row["SPLIT"].lower()
            if split not in self.facts.size:
                raise DatasetError(f"{path}: expected a split of {tuple(self.facts.size)}, but got {row['SPLIT']!r}.")
            # The file type of an image may differ between the attributes.
            member = row[column] if self.by == "scene" else PurePosixPath(row[column]).stem
            parts[member.lower()] = split
        return parts
