"""What all readers of datasets have in common: facts, records, and a torch ``Dataset``."""

from __future__ import annotations

import gc
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

from torch.utils.data import Dataset

from topiq_metrics.datasets.files import DatasetError, Folder
from topiq_metrics.datasets.splits import (
    OFFICIAL,
    SEEDS,
    Split,
    SplitRule,
    find_split,
    random_split,
    random_splits,
    split_hash,
)
from topiq_metrics.images import load_image

ALL = "all"
"""The split of records in datasets without official splits."""

Extras = Mapping[str, str | float | tuple[float, ...]]
"""What is known of an image in addition to its score."""


@dataclass(frozen=True)
class DatasetFacts:
    """What is known of a dataset.

    Attributes:
        name: the usual name of the dataset.
        size: number of images, or of pairs, in each official split, as published; None if only the total is published.
            A dataset without official splits has one entry, ``"all"``.
        score_range: lowest and highest score.
        higher_is_better: direction of the score.
        citation: the paper to cite.
        license: terms of use, in words.
        source: where its authors publish it.
        references: number of reference images, 0 if there are none.
        total: number of images or pairs in all splits; by default the sum of ``size``.
        rounding: published sizes are rounded to multiples of this number.
        split: how it is split.
        note: anything else needed to interpret results.
    """

    name: str
    size: Mapping[str, int | None]
    score_range: tuple[float, float]
    higher_is_better: bool
    citation: str
    license: str
    source: str
    references: int = 0
    total: int | None = None
    rounding: int = 1
    split: SplitRule = OFFICIAL
    note: str = ""

    @property
    def key(self) -> str:
        """The name of the dataset in commands and recipes, such as ``koniq10k``."""
        return self.name.lower().replace(" ", "-")

    @property
    def count(self) -> int | None:
        """Number of images or pairs in all splits."""
        sizes = [size for size in self.size.values() if size is not None]
        return sum(sizes) if self.total is None and len(sizes) == len(self.size) else self.total

    @property
    def splits(self) -> tuple[str, ...]:
        """The valid values of the argument ``split``."""
        return tuple(self.size) if self.split.kind == "official" else tuple(part for part, _ in self.split.shares)


@dataclass(frozen=True)
class Record:
    """One scored image of a dataset.

    Attributes:
        image: the image file.
        score: the score, as published.
        split: its official split, or ``"all"``.
        reference: the file of the reference image, or None.
        id: identifies the image in its dataset, independent of folder and case in this copy.
        group: images of one group, such as those of one reference or prompt, must be in the same part of a split.
        extras: further data, if available: ``distortion`` (its type), ``level``, ``scene``, ``prompt``, ``std``
            (standard deviation of the score, on its scale), ``ratings`` (number of ratings for each grade, lowest
            first), ``ratings_std`` (their standard deviation, on the scale of the grades).
    """

    image: Path
    score: float
    split: str
    reference: Path | None = None
    id: str = ""
    group: str = ""
    extras: Extras = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", self.id or self.image.name.lower())
        object.__setattr__(self, "group", self.group or self.id)


@dataclass(frozen=True)
class PairRecord:
    """Two images, and which of them people find more similar to the reference.

    Attributes:
        reference: the file of the reference image.
        first: the file of the first image.
        second: the file of the second image.
        preference: share of observers who chose ``second``, 0 to 1.
        split: its official split.
        id: identifies the pair in its dataset.
        group: pairs of one group must be in the same part of a split.
        extras: further data, if available: ``distortion`` is the type of distortion.
    """

    reference: Path
    first: Path
    second: Path
    preference: float
    split: str
    id: str
    group: str
    extras: Extras = field(default_factory=dict)


R = TypeVar("R", Record, PairRecord)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Hundreds of thousands of records are made, none of them in a cycle: the garbage collector would only look."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class DatasetReader(Dataset[tuple[Any, ...]], Generic[R], ABC):
    """Reads a dataset in its official layout as records; the base of `IQADataset` and `PairDataset`.

    Attributes:
        missing: with ``partial``, the images that label files name but that do not exist.
        incomplete: with ``partial``, whether images or label files are missing.
        unrated: the rows of label files without a score, which are skipped.
    """

    facts: DatasetFacts
    marks: ClassVar[tuple[str, ...]] = ()
    """Files and folders any one of which says that a folder is of this dataset."""
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)
    """Options of the reader under which a whole copy can be read."""
    choices: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Options of this reader alone, which commands offer: for each, its values by their texts."""
    _unit = "images"

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | None = None,
        transform: Callable[..., Any] | None = None,
        *,
        partial: bool = False,
    ) -> None:
        if split is not None:
            asked, split = split, find_split(split, self.facts.splits)
            if split is None:
                raise DatasetError(
                    f"{self.facts.name}: argument `split` must be one of {self.facts.splits}, but got {asked!r}."
                )
        self.root = Path(root)
        if not self.root.is_dir():
            raise DatasetError(f"{self.facts.name}: there is no folder {self.root}.")
        self.split = split
        self.transform = transform
        self.partial = partial
        # Where the size of a split is not published, only the sum of all can be checked.
        alone = split is not None and self.facts.size.get(split) is not None
        self.wanted: tuple[str, ...] = (str(split),) if alone else tuple(self.facts.size)
        self.missing: list[str] = []
        self.unrated: list[str] = []
        folder = Folder(self.root, self.facts.name, partial=partial)
        with _without_collector():
            records = list(self.read(folder))
        if not partial:
            folder.check_missing()
        self.missing += folder.missing
        splits = {record.split for record in records}
        lacks_a_part = ALL not in splits and not splits.issuperset(self.wanted)
        self.incomplete = partial and (bool(self.missing) or lacks_a_part)
        try:
            self._check(records)
        except DatasetError:
            if not partial:
                raise
            self.incomplete = True
        self.records: list[R] = self._select(records)
        if not self.records:
            of = "" if split is None else f" of the split {split!r}"
            raise DatasetError(f"{self.facts.name}: there is no scored image{of} in '{self.root}'.")

    @abstractmethod
    def read(self, folder: Folder) -> Iterator[R]:
        """Yield the records in the order of the label file: those of ``self.wanted``, which are splits, or all."""

    @classmethod
    def facts_in(cls, folder: Folder, **options: Any) -> DatasetFacts:  # noqa: ARG003
        """The facts of a copy as its reader will have them: which splits there are may depend on it, and on options."""
        return cls.facts

    @classmethod
    def recognizes(cls, folder: Folder) -> bool:
        """Whether a folder is of this dataset, be it whole or not."""
        return any(folder.find(mark) is not None for mark in cls.marks)

    @property
    def split_hash(self) -> str:
        """16 hexadecimal digits that identify the set of images; see `topiq_metrics.datasets.split_hash`."""
        return split_hash(self.records)

    def _check(self, records: Sequence[R]) -> None:
        counts = Counter(record.split for record in records)
        # A label file may not say the splits.
        for split in self.wanted if set(counts) != {ALL} else ():
            self._check_count(counts[split], self.facts.size[split], f" in the split {split!r}")
        if len(self.wanted) == len(self.facts.size):
            self._check_count(len(records), self.facts.count, "")

    def _check_count(self, count: int, expected: int | None, where: str) -> None:
        if expected is None or abs(count - expected) < self.facts.rounding:
            return
        about = "about " if self.facts.rounding > 1 else ""
        unrated = f" {len(self.unrated)} rows have no score, the first is {self.unrated[0]}." if self.unrated else ""
        raise DatasetError(
            f"{self.facts.name}: expected {about}{expected} {self._unit}{where}, but got {count} in '{self.root}'."
            f"{unrated} Pass `partial=True` to use a part of the set."
        )

    def _select(self, records: list[R]) -> list[R]:
        return records if self.split is None else [record for record in records if record.split == self.split]

    def _item(self, *paths: Path) -> tuple[Any, ...]:
        images = tuple(load_image(path) for path in paths)
        if self.transform is None:
            return images
        made = self.transform(*images)
        return (made,) if len(paths) == 1 else tuple(made)

    def __len__(self) -> int:
        return len(self.records)


class IQADataset(DatasetReader[Record]):
    """A dataset in its official layout, with items ``(image, score)`` or ``(image, reference, score)``.

    An image is an RGB tensor ``(3, H, W)``, float32 in [0, 1], or the result of ``transform``; the score is a float, as
    published (see ``facts`` for its range and direction).

    Args:
        root: the dataset's folder.
        split: one of ``facts.splits``, or None for all images; without official splits, ``"all"`` is all, too.
            ``train`` and ``training`` mean the same, and so do ``val`` and ``validation``.
        transform: called with the image of an item; with references, called with both images, and returns both.
        partial: accept an incomplete dataset; otherwise, a count that differs from the published one is an error.
        seed: seed of the random split of a dataset without official splits; 0 to 9 are customary.
        with_reference: whether items include the reference.

    Raises:
        DatasetError: a file or column is missing, the split is unknown, a score is not a number, or a count differs
            from the published one.
        ModuleNotFoundError: a label file needs scipy or openpyxl, which is not installed.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | None = None,
        transform: Callable[..., Any] | None = None,
        *,
        partial: bool = False,
        seed: int | None = None,
        with_reference: bool = False,
    ) -> None:
        official = self.facts.split.kind == "official"
        if not official and split == ALL:
            split = None
        if official and seed is not None:
            raise DatasetError(f"{self.facts.name} has official splits, {self.facts.splits}: leave out `seed`.")
        if not official and (split is None) != (seed is None):
            raise DatasetError(
                f"{self.facts.name} has no official split: give both `split` and `seed` ({SEEDS.start} to "
                f"{SEEDS.stop - 1}) for a part of a random one, or neither for the whole set."
            )
        if with_reference and not self.facts.references:
            raise DatasetError(f"{self.facts.name} has no reference images: leave out `with_reference`.")
        self.seed = seed
        self.with_reference = with_reference
        super().__init__(root, split, transform, partial=partial)

    def random_splits(self, rule: SplitRule | None = None, seeds: Sequence[int] = SEEDS) -> list[Split]:
        """Random splits of the records, by default by the rule of the dataset; see `random_split`.

        Raises:
            ValueError: the rule is an official split, or there are fewer groups than parts.
        """
        rule = rule or self.facts.split
        if rule.kind == "official":
            raise ValueError(f"{self.facts.name} has official splits: pass a rule to split it at random.")
        return random_splits(self.records, rule, seeds)

    def _select(self, records: list[Record]) -> list[Record]:
        if self.seed is None or self.split is None or not records:
            return super()._select(records)
        try:
            indices = random_split(records, self.facts.split, self.seed).parts[self.split]
        except ValueError as error:
            raise DatasetError(f"{self.facts.name}: {error}") from error
        return [replace(records[i], split=self.split) for i in indices]

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        record = self.records[index]
        if self.with_reference and record.reference is not None:
            return *self._item(record.image, record.reference), record.score
        return *self._item(record.image), record.score


class PairDataset(DatasetReader[PairRecord]):
    """A dataset of pairs in its official layout, with items ``(reference, first, second, preference)``.

    Images are RGB tensors ``(3, H, W)``, float32 in [0, 1], or the result of ``transform``; the preference, from 0 to
    1, is the share of observers who found the second image more similar to the reference.

    Args:
        root: the dataset's folder.
        split: one of ``facts.splits``, or None for all pairs; names are matched as for `IQADataset`.
        transform: called with the three images of an item, and returns three.
        partial: accept an incomplete dataset; otherwise, a count that differs from the published one is an error.

    Raises:
        DatasetError: a file or column is missing, the split is unknown, a share is not a number, or a count differs
            from the published one.
    """

    rule: ClassVar[Literal["votes", "majority"]] = "votes"
    """The rule by which its authors count agreement; see `topiq_metrics.evaluation.evaluate_preferences`."""
    _unit = "pairs"

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        record = self.records[index]
        return *self._item(record.reference, record.first, record.second), record.preference
