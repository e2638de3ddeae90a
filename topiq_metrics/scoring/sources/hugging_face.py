"""Hugging Face datasets: objects, folders made by ``save_to_disk``, and names on the hub, which are streamed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topiq_metrics._extras import import_extra
from topiq_metrics.errors import one_line
from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.sources.base import Fragment, Options, Part
from topiq_metrics.scoring.sources.errors import SourceError
from topiq_metrics.scoring.sources.files import is_folder
from topiq_metrics.scoring.sources.reading import until_damage
from topiq_metrics.scoring.sources.tables import column_of, row_item

PREFIX = "hf:"

_ROWS = 1024
_STEP = 16


def _is_dataset(source: object) -> bool:
    # Who has no such module has no such object.
    datasets = sys.modules.get("datasets")
    kinds = ("Dataset", "IterableDataset", "DatasetDict", "IterableDatasetDict")
    return datasets is not None and any(isinstance(source, getattr(datasets, kind, ())) for kind in kinds)


def _is_name(source: str) -> bool:
    return source.startswith(PREFIX) and not source.startswith(PREFIX + "//")


@dataclass(frozen=True)
class _Named:
    """A dataset that any machine can open by its name."""

    name: str
    config: str | None
    split: str

    def open(self) -> Any:
        return _load(self)

    def __str__(self) -> str:
        return PREFIX + ":".join(filter(None, (self.name, self.config, self.split)))


@dataclass(frozen=True)
class _Given:
    """A dataset that takes itself along."""

    dataset: Any

    def open(self) -> Any:
        return self.dataset


def _load(named: _Named) -> Any:
    name, split = named.name, named.split
    datasets = import_extra("datasets", "datasets", "Hugging Face datasets need")
    saved = any(Path(name, file).is_file() for file in ("state.json", "dataset_dict.json"))
    try:
        if saved:
            return _split_of(datasets.load_from_disk(name), split, name)
        return datasets.load_dataset(name, named.config, split=split, streaming=True)
    except SourceError:
        raise
    except Exception as error:
        # The second line of this error names the configurations.
        which = f" {str(error).splitlines()[1]} (hf:NAME:CONFIG:SPLIT)" if _lacks_config(error) else ""
        raise SourceError(f"The dataset {named} cannot be opened: {one_line(error)}{which}") from error


def _lacks_config(error: Exception) -> bool:
    return "Config name is missing" in str(error) and len(str(error).splitlines()) > 1


def _split_of(dataset: Any, split: str, name: str) -> Any:
    if not isinstance(dataset, dict):
        return dataset
    if split not in dataset:
        raise SourceError(f"The dataset {name} has no split {split!r}; its splits are {', '.join(map(str, dataset))}.")
    return dataset[split]


@dataclass(frozen=True)
class Rows:
    """A fragment: rows of a dataset; all of them where it can only be streamed."""

    origin: _Named | _Given
    name: str
    image: str
    reference: str | None
    root: str
    start: int = 0
    stop: int | None = None

    def items(self) -> Iterator[Item]:
        return until_damage(self._items(), lambda count: f"{self.name}#{self.start + count}")

    def _items(self) -> Iterator[Item]:
        for row, cells in enumerate(self._cells(), self.start):
            reference = cells.get(self.reference) if self.reference else None
            yield row_item(f"{self.name}#{row}", cells.get(self.image), reference, self.root)

    def _cells(self) -> Iterator[dict[str, Any]]:
        from datasets import Image

        dataset = self.origin.open()
        columns = list(dict.fromkeys(filter(None, (self.image, self.reference))))
        features = dataset.features or {}
        dataset = dataset.with_format(None).select_columns(columns)
        for column in columns:
            if isinstance(features.get(column), Image):
                dataset = dataset.cast_column(column, Image(decode=False))
        if self.stop is None:
            yield from dataset
            return
        for start in range(self.start, self.stop, _STEP):
            batch = dataset[start : min(start + _STEP, self.stop)]
            for cells in zip(*(batch[column] for column in columns), strict=True):
                yield dict(zip(columns, cells, strict=True))


class HuggingFace(Part):
    """A dataset, by its name or given as it is."""

    uses = frozenset({"image_column", "reference_column"})
    as_they_are = True
    own_data = True

    def __init__(self, source: Any, options: Options) -> None:
        self.origin: _Named | _Given
        if isinstance(source, str):
            self.origin = _parse(source.removeprefix(PREFIX), options.split)
            label = str(self.origin)
        else:
            dataset = _split_of(source, options.split, "given")
            name = dataset.info.dataset_name or dataset.info.builder_name or "dataset"
            split = str(dataset.split or options.split)
            self.origin = _Given(dataset)
            label = f"{PREFIX}{name}:{split}"
        self._dataset = dataset = self.origin.open()
        self._length = len(dataset) if hasattr(dataset, "__len__") else None
        self._name = self.key = label
        self.label = f"the dataset {self._name}"
        if options.references is not None and options.reference_column is None:
            raise SourceError(f"{self.label} holds images, not names: its references must be in a column of it.")
        self._image, self._reference = self._choose(options)
        self._root = options.root or "."
        if self._length == 0:
            raise SourceError(f"There is no image in {self.label}.")

    @classmethod
    def takes(cls, source: object) -> bool:
        return _is_name(source) if isinstance(source, str) else _is_dataset(source)

    def is_same(self, other: Part) -> bool:
        return isinstance(other, HuggingFace) and self.origin == other.origin

    def _choose(self, options: Options) -> tuple[str, str | None]:
        from datasets import Image

        features = self._dataset.features
        if features is None:
            # A stream that does not say what it holds before it is read.
            if options.image_column is None:
                raise SourceError(f"{self.label} does not tell its columns: name the one of images with image_column.")
            return options.image_column, options.reference_column
        columns = list(features)
        wanted, reference = options.image_column, options.reference_column
        if wanted is not None:
            image = column_of(self.label, columns, wanted)
        else:
            image = next((column for column in columns if isinstance(features[column], Image)), "")
            if not image:
                raise SourceError(
                    f"{self.label} has no column of images: name one of paths or bytes with image_column; "
                    f"its columns are {', '.join(columns)}."
                )
        return image, None if reference is None else column_of(self.label, columns, reference)

    def fragments(self) -> Iterator[Fragment]:
        fixed = (self.origin, self._name, self._image, self._reference, self._root)
        if self._length is None:
            yield Rows(*fixed)
            return
        for start in range(0, self._length, _ROWS):
            yield Rows(*fixed, start, min(start + _ROWS, self._length))

    def count(self) -> int | None:
        return self._length


def _parse(text: str, split: str) -> _Named:
    """``NAME``, ``NAME:SPLIT`` or ``NAME:CONFIG:SPLIT``; a name may be a path with colons."""
    if is_folder(text):
        return _Named(text, None, split)
    name, *rest = text.rsplit(":", 2)
    while rest and any(os.sep in part for part in rest):
        name, rest = f"{name}:{rest[0]}", rest[1:]
    return _Named(name, rest[0] if len(rest) > 1 else None, rest[-1] if rest else split)
