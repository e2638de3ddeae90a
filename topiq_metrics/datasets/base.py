"""What every reader of a standard dataset has in common: its facts as data, records, a torch ``Dataset``."""

from __future__ import annotations

import csv
import math
import os
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor
from torch.utils.data import Dataset

from topiq_metrics.images import load_image


class DatasetError(ValueError):
    """A dataset folder that is not as its authors ship it; the message names the file and what was expected."""


@dataclass(frozen=True)
class DatasetFacts:
    """What is known of a dataset.

    Attributes:
        name: as the field calls it.
        size: images in each split, as published.
        score_range: lowest and highest score.
        higher_is_better: direction of the score.
        citation: paper.
        license: terms of use, in words.
        source: where its authors publish it.
        references: number of reference images, 0 where there are none.
    """

    name: str
    size: Mapping[str, int]
    score_range: tuple[float, float]
    higher_is_better: bool
    citation: str
    license: str
    source: str
    references: int = 0


@dataclass(frozen=True)
class Record:
    """One scored image of a dataset."""

    image: Path
    score: float
    split: str
    reference: Path | None = None
    extras: Mapping[str, str] = field(default_factory=dict)


class IQADataset(Dataset[tuple[Any, float]]):
    """A folder in its official layout as ``(image, score)`` pairs.

    An image is an RGB tensor ``(3, H, W)`` in [0, 1], or what ``transform`` makes of it; the score is as published.

    Args:
        root: the dataset's folder.
        split: one of ``facts.size``, or None for all.
        transform: applied to each image.
        partial: accept a part of the set; without it, a count that differs from the published one is an error.

    Raises:
        DatasetError: a missing file or column, an unknown split, or a count that differs.
    """

    facts: ClassVar[DatasetFacts]

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | None = None,
        transform: Callable[[Tensor], Any] | None = None,
        *,
        partial: bool = False,
    ) -> None:
        if split is not None and split not in self.facts.size:
            raise DatasetError(f"Argument `split` must be one of {tuple(self.facts.size)}, but got {split!r}.")
        self.root = Path(root)
        if not self.root.is_dir():
            raise DatasetError(f"{self.facts.name}: there is no folder {self.root}.")
        self.split = split
        self.transform = transform
        self.partial = partial
        splits = tuple(self.facts.size) if split is None else (split,)
        self.records = [record for name in splits for record in self._checked(name)]
        if not self.records:
            of = "" if split is None else f" of the split {split!r}"
            raise DatasetError(f"{self.facts.name}: there is no scored image{of} in {self.root}.")

    @abstractmethod
    def read_split(self, split: str) -> Iterator[Record]:
        """Yield the records of one split, in the order of the label file."""

    def _checked(self, split: str) -> list[Record]:
        records = list(self.read_split(split))
        expected = self.facts.size[split]
        if not self.partial and len(records) != expected:
            raise DatasetError(
                f"{self.facts.name}: expected {expected} images in the split {split!r}, but got {len(records)} in "
                f"{self.root}. Pass `partial=True` to use a part of the set."
            )
        return records

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> tuple[Any, float]:
        record = self.records[index]
        image = load_image(record.image)
        return (image if self.transform is None else self.transform(image)), record.score


class Folder:
    """The names in one folder, resolved whatever their case; the same case wins where names differ in that alone."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise DatasetError(f"There is no folder {path}.")
        self.path = path
        entries = sorted(path.iterdir())
        self._names = {entry.name.lower(): entry for entry in entries} | {entry.name: entry for entry in entries}

    def find(self, name: str) -> Path | None:
        return self._names.get(name) or self._names.get(name.lower())

    def folder(self, name: str) -> Folder:
        return Folder(self.find(name) or self.path / name)


def read_csv(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Yield the rows of a label file, names and values stripped; a byte-order mark and empty columns are ignored.

    Raises:
        DatasetError: the file or one of ``columns`` is missing, a row ends early, or the file is no text.
    """
    if not path.is_file():
        raise DatasetError(f"There is no label file {path}.")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.reader(stream)
        try:
            header = [name.strip() for name in next(rows, [])]
            missing = [name for name in columns if name not in header]
            if missing:
                raise DatasetError(f"{path} has no column {missing[0]!r}; its columns are {[h for h in header if h]}.")
            for row in rows:
                values = {name: value.strip() for name, value in zip(header, row, strict=False) if name}
                if not any(values.values()):
                    continue
                if any(not values.get(name) for name in columns):
                    raise DatasetError(f"{path}, line {rows.line_num}: expected a value for each of {columns}.")
                yield values
        except (UnicodeDecodeError, csv.Error) as error:
            raise DatasetError(f"{path} is not a CSV file in UTF-8: {error}") from error


def read_score(text: str, path: Path) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise DatasetError(f"{path}: expected a number as score, but got {text!r}.")
    return score
