"""Any other dataset: a table of images and scores."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from topiq_metrics._tables import IMAGE_COLUMNS, SCORE_COLUMNS, choose_column, written_path
from topiq_metrics.datasets.base import ALL, DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.files import DatasetError, Folder, Row, opened_table, read_score, table_rows
from topiq_metrics.datasets.splits import BY_IMAGE, BY_REFERENCE, OFFICIAL

_OPTIONAL = ("reference", "split", "group")
_NAMED_EXTRAS = ("distortion", "scene")
"""Extras that a board uses; the rest of a table has names of its own."""
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+")


class CSVDataset(IQADataset):
    """A table of images and their scores, with optional columns ``reference``, ``split`` and ``group``.

    It is a text file with a header; cells are separated by commas, semicolons or tabs, in UTF-8 or in UTF-16 with a
    byte-order mark. Other columns become extras. ``facts`` are derived from the file. An image has one row, or one for
    each of its references. If semicolons or tabs separate the cells, scores may have a decimal comma.

    Args:
        labels: the file.
        split: one of those in its column ``split``; without such a column, ``"train"`` or ``"test"`` of a random split,
            with ``seed``: by ``group``, else by reference, else by image.
        transform: as for `IQADataset`.
        higher_is_better: direction of the scores; False for DMOS.
        root: where relative paths start; by default the file's folder.
        image_column: the column of image paths; by default ``path``, ``image``, ``filename``, ``file_name``, ``name``
            or a similar name, as in `topiq_metrics.score_images`, ignoring case.
        score_column: the column of scores; by default ``score``, ``mos``, ``rating`` or a similar name.
        reference_column: the column of reference paths; by default ``reference``, if there is such a column.
        options: those of `IQADataset`. With ``partial``, images that do not exist are left out; otherwise, they are
            records of files that cannot be loaded.

    Attributes:
        missing: for each image or reference that does not exist, the line and the name.

    Raises:
        DatasetError: as for `IQADataset`; if a value is missing or not a number, the message has its line; or no image
            exists.
    """

    def __init__(
        self,
        labels: str | os.PathLike[str],
        split: str | None = None,
        transform: Callable[..., Any] | None = None,
        *,
        higher_is_better: bool,
        root: str | os.PathLike[str] | None = None,
        image_column: str | None = None,
        score_column: str | None = None,
        reference_column: str | None = None,
        **options: Any,
    ) -> None:
        self.labels = Path(labels)
        self._rows = rows = list(_rows(self.labels, image_column, score_column, reference_column))
        if not rows:
            raise DatasetError(f"{self.labels} has no rows.")
        has_splits = rows[0].split is not None
        if has_splits and not all(row.split for row in rows):
            raise DatasetError(f"{self.labels}: expected a split in every row, or no column 'split'.")
        references = {row.reference for row in rows if row.reference}
        random = BY_REFERENCE if references else BY_IMAGE
        self.facts = DatasetFacts(
            name=self.labels.stem,
            size=Counter((row.split or ALL) if has_splits else ALL for row in rows),
            score_range=(min(row.score for row in rows), max(row.score for row in rows)),
            higher_is_better=higher_is_better,
            citation="",
            license="",
            source=str(self.labels),
            references=len(references),
            split=OFFICIAL if has_splits else random,
        )
        super().__init__(self.labels.parent if root is None else root, split, transform, **options)
        del self._rows

    def read(self, folder: Folder) -> Iterator[Record]:
        images, references = _ids(row.image for row in self._rows), _ids(row.reference for row in self._rows)
        lines: dict[tuple[str, str], int] = {}
        lost = 0
        for row in self._rows:
            path, is_there = self._find(folder, row.image, row.line)
            lost += not is_there
            original = None
            if row.reference:
                original, has_original = self._find(folder, row.reference, row.line)
                is_there = is_there and has_original
            if self.partial and not is_there:
                continue
            files = _normal(path), "" if original is None else _normal(original)
            if lines.setdefault(files, row.line) != row.line:
                raise DatasetError(
                    f"{self.labels}, line {row.line}: {row.image!r} is in the table already, on line {lines[files]}."
                )
            group = row.group or references[row.reference]
            yield Record(path, row.score, row.split or ALL, original, images[row.image], group, row.extras)
        if lost == len(self._rows):
            others = f", nor are the other {lost - 1} images" if lost > 1 else ""
            raise DatasetError(
                f"{self.facts.name}: {self.labels.name} names {self._rows[0].image!r}, which is not in '{self.root}'"
                f"{others}."
            )

    def _find(self, folder: Folder, name: str, line: int) -> tuple[Path, bool]:
        """Where a file is or should be, and whether it is."""
        path = self.root / written_path(name, lambda each: (self.root / each).is_file())
        if path.is_file():
            return path, True
        found = folder.find(name)
        if found is not None and found.is_file():
            return found, True
        self.missing.append(f"line {line}: {name}")
        return path, False


class _Row(NamedTuple):
    line: int
    image: str
    score: float
    reference: str
    split: str | None
    """None where there is no such column."""
    group: str
    extras: dict[str, str]


def _rows(labels: Path, image: str | None, score: str | None, reference: str | None) -> Iterator[_Row]:
    named = (name for name in (image, score, reference) if name is not None)
    with opened_table(labels, (*IMAGE_COLUMNS, *SCORE_COLUMNS, *_OPTIONAL, *_NAMED_EXTRAS, *named)) as table:
        image = choose_column(table.columns, image, IMAGE_COLUMNS, "images")
        # People's and a metric's may stand side by side.
        score = choose_column(table.columns, score, SCORE_COLUMNS, "scores", option="--score-column, score_column=")
        if reference is not None:
            reference = choose_column(table.columns, reference, (), "references")
        own = (image, score, reference or "reference", "split", "group")
        others = [column for column in table.columns if column not in own]
        extras = [name for name in _NAMED_EXTRAS if [each.lower() for each in others].count(name) == 1]
        rows = list(table_rows(table, labels, (image, score), (*extras, *own)))
        has_commas = table.separator != ","
        if has_commas:
            _check_commas(rows, score)
        for row in rows:
            text = row[score].replace(",", ".") if has_commas else row[score]
            yield _Row(
                row.line,
                row[image],
                read_score(text, row.place),
                row.get(own[2], ""),
                row.get("split"),
                row.get("group", ""),
                {column: value for column, value in row.items() if column not in own and value},
            )


def _check_commas(rows: Iterable[Row], column: str) -> None:
    """Refuse commas that may stand between thousands, unless another one in the column is a decimal comma for sure."""
    with_commas = [row for row in rows if "," in row[column]]
    if with_commas and all(_THOUSANDS.fullmatch(row[column]) for row in with_commas):
        first = with_commas[0]
        raise DatasetError(
            f"{first.place}: the comma in {first[column]!r} may stand between thousands or before decimals, and no "
            f"other in the column {column!r} tells which: write the scores without commas between thousands and with "
            "decimal points."
        )


def _normal(path: Path) -> str:
    """One name for a file, whether it was written from the root or from the table's folder."""
    return os.path.normpath(path.absolute())


def _ids(names: Iterable[str]) -> dict[str, str]:
    """The names without what they have in common, where they are absolute: an id is the same on every machine."""
    paths = {name: PurePath(name) for name in names}
    parents = [path.parent.parts for path in paths.values() if path.is_absolute()]
    # As many parts as the first and the last in order have in common.
    ends = zip(min(parents, default=()), max(parents, default=()), strict=False)
    common = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], ends))
    return {
        name: "/".join(path.parts[common:]) if path.is_absolute() else name.replace("\\", "/")
        for name, path in paths.items()
    }
