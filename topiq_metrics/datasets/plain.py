"""Any other set: a CSV file with names and scores."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any

from topiq_metrics.datasets.base import ALL, DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.files import DatasetError, Folder, read_numbered_csv, read_score
from topiq_metrics.datasets.splits import BY_IMAGE, BY_REFERENCE, OFFICIAL

_OPTIONAL = ("reference", "split", "group")


class CSVDataset(IQADataset):
    """A CSV file with the columns ``image`` and ``score``, and if you like ``reference``, ``split`` and ``group``.

    Other columns become extras. What the file says is its facts; every row must have its image, and an image one row,
    or one for each of its references.

    Args:
        labels: the file.
        split: one of those in its column ``split``; without such a column, ``"train"`` or ``"test"`` of a random split,
            with ``seed``: by ``group``, else by reference, else by image.
        transform: as for `IQADataset`.
        higher_is_better: direction of the scores.
        root: where relative paths start; by default the file's folder.
        options: those of `IQADataset`.
    """

    def __init__(
        self,
        labels: str | os.PathLike[str],
        split: str | None = None,
        transform: Callable[..., Any] | None = None,
        *,
        higher_is_better: bool,
        root: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        self.labels = Path(labels)
        numbered = list(read_numbered_csv(self.labels, ("image", "score"), _OPTIONAL))
        if not numbered:
            raise DatasetError(f"{self.labels} has no rows.")
        rows = [row for _, row in numbered]
        has_splits = "split" in rows[0]
        if has_splits and not all(row.get("split") for row in rows):
            raise DatasetError(f"{self.labels}: expected a split in every row, or no column 'split'.")
        scores = [read_score(row["score"], self.labels) for row in rows]
        references = {row["reference"] for row in rows if row.get("reference")}
        random = BY_REFERENCE if references else BY_IMAGE
        self.facts = DatasetFacts(
            name=self.labels.stem,
            size=Counter(row["split"] if has_splits else ALL for row in rows),
            score_range=(min(scores), max(scores)),
            higher_is_better=higher_is_better,
            citation="",
            license="",
            source=str(self.labels),
            references=len(references),
            split=OFFICIAL if has_splits else random,
        )
        self._rows = numbered
        super().__init__(self.labels.parent if root is None else root, split, transform, **options)
        del self._rows

    def read(self, folder: Folder) -> Iterator[Record]:
        ids = {column: _ids(row.get(column) or "" for _, row in self._rows) for column in ("image", "reference")}
        known = {"image", "score", *_OPTIONAL}
        lines: dict[tuple[str, str], int] = {}
        for line, row in self._rows:
            name, reference = row["image"], row.get("reference") or ""
            path = self._find(folder, name)
            original = self._find(folder, reference) if reference else None
            if path is None or (reference and original is None):
                continue
            files = os.path.normpath(path), "" if original is None else os.path.normpath(original)
            if lines.setdefault(files, line) != line:
                raise DatasetError(f"{self.labels}, line {line}: {name!r} is there already, on line {lines[files]}.")
            score, split = read_score(row["score"], self.labels), row.get("split") or ALL
            extras = {column: value for column, value in row.items() if column not in known and value}
            group = row.get("group") or ids["reference"][reference]
            yield Record(path, score, split, original, id=ids["image"][name], group=group, extras=extras)

    def _find(self, folder: Folder, name: str) -> Path | None:
        path = self.root / name
        return path if path.is_file() else folder.image(self.labels, name)


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
