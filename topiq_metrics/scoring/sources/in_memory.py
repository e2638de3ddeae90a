"""What is in memory: images, and data frames of pandas and Polars."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from topiq_metrics._tables import IMAGE_COLUMNS, find_column
from topiq_metrics.scoring.items import ImageObject, Item, is_image_object
from topiq_metrics.scoring.sources.base import Fragment, Options, Part, chunked, paired
from topiq_metrics.scoring.sources.errors import SourceError
from topiq_metrics.scoring.sources.tables import column_of, is_missing, row_item

# Pixels take more room than names do.
_OBJECT_ROWS = 16
_PATH_ROWS = 512


def _is_image(source: object) -> bool:
    """Whether a source is one image; an array of more axes is several of them."""
    if not is_image_object(source):
        return False
    shape = getattr(source, "shape", (0, 0))
    # Text may be in arrays, too.
    return len(shape) in {2, 3} and getattr(getattr(source, "dtype", None), "kind", "") not in {"U", "T", "O", "S"}


class Images(Part):
    """Images in memory that were given one after the other.

    Args:
        first: how many were given before, in other parts.
    """

    label = "the images in memory"
    once = True
    own_data = True

    def __init__(self, source: ImageObject, options: Options, first: int = 0) -> None:
        self._first = first
        self._options = options
        self._images: list[ImageObject] = [source]
        if options.references is not None and not options.references.is_single:
            raise SourceError(
                "Images in memory have no names by which references could be found: give one file as reference of all, "
                "or a data frame with a column of references."
            )

    @classmethod
    def takes(cls, source: object) -> bool:
        return _is_image(source)

    @classmethod
    def open(cls, source: ImageObject, options: Options, before: Sequence[Part]) -> Images:
        return cls(source, options, sum(part.count() for part in before if isinstance(part, Images)))

    def add(self, source: ImageObject) -> bool:
        self._images.append(source)
        return True

    def fragments(self) -> Iterator[Fragment]:
        lookup = self._options.references
        reference = None if lookup is None else lookup.find("", "")
        items = [Item(f"image#{number}", reference, image) for number, image in enumerate(self._images, self._first)]
        for start in range(0, len(items), _OBJECT_ROWS):
            yield from chunked(items[start : start + _OBJECT_ROWS])

    def count(self) -> int:
        return len(self._images)


class DataFrame(Protocol):
    """A data frame of pandas or Polars."""

    @property
    def columns(self) -> Any: ...


def is_frame(source: object) -> bool:
    # Who has no such module has no such object.
    kinds = (("pandas", "DataFrame"), ("polars", "DataFrame"), ("polars", "LazyFrame"))
    return any(isinstance(source, getattr(sys.modules.get(module), kind, ())) for module, kind in kinds)


@dataclass(frozen=True)
class FrameRows:
    """A fragment: the cells of some rows."""

    name: str
    first: int
    images: Sequence[Any]
    references: Sequence[Any]
    names: Sequence[Any]
    root: str

    def items(self) -> Iterator[Item]:
        cells = zip(self.images, self.references, self.names, strict=True)
        for row, (image, reference, name) in enumerate(cells, self.first):
            yield row_item(f"{self.name}#{row}", image, reference, self.root, name)


class Frame(Part):
    """A data frame with a column of paths, of images, or of both.

    Args:
        number: how many frames were given before.
    """

    uses = frozenset({"path_column", "image_column", "reference_column"})

    def __init__(self, source: Any, options: Options, number: int = 0) -> None:
        frame = source.collect() if hasattr(source, "collect") else source
        self._options = options
        self._root = options.root or "."
        self._name = "dataframe" if number == 0 else f"dataframe-{number + 1}"
        self.label = f"the data frame {self._name}"
        self._frame = frame
        self._columns = [str(name) for name in frame.columns]
        self._cells: dict[str, list[Any]] = {}
        self._length = len(frame)
        self._image, self._names = self._choose()
        wanted = options.reference_column
        self._reference = None if wanted is None else column_of(self.label, self._columns, wanted)
        # A name that is given may come twice.
        self.own_data = self._names is None
        if not self._length:
            raise SourceError(f"There is no image in {self.label}.")
        if options.references is not None and wanted is None and not self._has_paths(self._image):
            raise SourceError(f"{self.label} holds images, not names: its references must be in a column of it.")

    @classmethod
    def takes(cls, source: object) -> bool:
        return is_frame(source)

    @classmethod
    def open(cls, source: Any, options: Options, before: Sequence[Part]) -> Frame:
        return cls(source, options, sum(isinstance(part, Frame) for part in before))

    def _choose(self) -> tuple[str, str | None]:
        """The column of images, and that of their names where they are no paths."""
        options, columns = self._options, self._columns
        path = column_of(self.label, columns, options.path_column) if options.path_column else None
        if options.image_column is not None:
            image = column_of(self.label, columns, options.image_column)
        elif path is not None:
            image = path
        else:
            usual = [found for name in IMAGE_COLUMNS if (found := find_column(columns, name)) is not None]
            images = [column for column in usual if not self._has_paths(column)]
            image = images[0] if images else column_of(self.label, columns)
            if options.path_column is None:
                path = next((column for column in usual if self._has_paths(column)), None)
        return image, None if path == image else path

    def _has_paths(self, column: str) -> bool:
        first = next((cell for cell in self._in(column) if not is_missing(cell)), "")
        return isinstance(first, (str, os.PathLike))

    def _in(self, column: str) -> list[Any]:
        if column not in self._cells:
            place = self._columns.index(column)
            frame = self._frame
            cells = frame.iloc[:, place] if hasattr(frame, "iloc") else frame.to_series(place)
            self._cells[column] = cells.to_list()
        return self._cells[column]

    def fragments(self) -> Iterator[Fragment]:
        nothing = [None] * self._length
        images = self._in(self._image)
        references = nothing if self._reference is None else self._in(self._reference)
        names = nothing if self._names is None else self._in(self._names)
        step = _PATH_ROWS if self._has_paths(self._image) and self._reference is None else _OBJECT_ROWS
        lookup = None if self._reference is not None else self._options.references
        for start in range(0, self._length, step):
            of_these = slice(start, start + step)
            cells = images[of_these], references[of_these], names[of_these]
            rows = FrameRows(self._name, start, *cells, self._root)
            if lookup is None:
                yield rows
            else:
                yield from chunked([paired(item, lookup, self._root) for item in rows.items()])

    def count(self) -> int:
        return self._length
