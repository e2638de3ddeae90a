"""Tables as text, as any system writes them: one reading for scoring, leaderboards and training."""

from __future__ import annotations

import csv
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

TABLE_SUFFIXES = (".csv", ".tsv")
IMAGE_COLUMNS = (
    *("path", "image", "filename", "file_name", "name"),
    *("image_path", "image_name", "image_file", "img", "img_path", "img_name", "file", "file_path", "filepath"),
)
"""What the column of images is called, in order of preference."""
SCORE_COLUMNS = ("score", "mos", "mean_opinion_score", "opinion_score", "quality", "rating")
"""Likewise, that of opinion scores."""

_SEPARATORS = (",", ";", "\t")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_LONGEST = 2**31 - 1


class TableError(ValueError):
    """A table that lacks something; the message begins with a verb, for the name of the table to stand before it."""


@dataclass(frozen=True)
class Table:
    """A table with a header.

    Attributes:
        columns: names, without blanks around them.
        separator: of cells, ``","``, ``";"`` or a tab.
        rows: number of the line on which a row ends, and its cells; empty rows are left out.
    """

    columns: list[str]
    separator: str
    rows: Iterator[tuple[int, list[str]]]


def encoding_of(head: bytes) -> str:
    """The encoding of text that begins with these bytes, two or more: UTF-16 with a byte-order mark, else UTF-8."""
    return "utf-16" if head[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"


def read_table(
    lines: Iterable[str], known: Iterable[str] = (), *, strict: bool = False, exact: Iterable[str] | None = None
) -> Table:
    """Read the header of a table, and its rows as they are asked for.

    Args:
        lines: with their ends as they are.
        known: names of columns that tell which sign separates: the one with which most of them are found.
        strict: whether quotes at odd places are an error.
        exact: columns that tell, if all are there, that the table is a program's: blanks before its cells count.

    Raises:
        TableError: if it is empty or no text.
        csv.Error: if a row is none; also from ``rows``.
    """
    rest = iter(lines)
    before = 0
    separator = ""
    first = ""
    for first in rest:
        match = _SEPARATOR_LINE.fullmatch(first) if not separator else None
        if match is not None:
            # What Excel reads and is told to write.
            separator = match[1]
        elif first.strip():
            break
        before += 1
    else:
        raise TableError("is empty.")
    if "\0" in first:
        raise TableError("is no text in UTF-8, or in UTF-16 with a byte-order mark.")
    separator = separator or _separator(first, {_plain(name) for name in known})
    numbered = _NumberedLines(itertools.chain([first], rest), before)
    is_exact = exact is not None and separator == "," and {*exact} <= {*next(csv_rows([first]), [])}
    rows = csv_rows(numbered, strict=strict, separator=None if is_exact else separator)
    header = [name.strip() for name in next(rows, [])]
    return Table(header, separator, ((numbered.number, row) for row in rows if any(map(str.strip, row))))


class _NumberedLines:
    def __init__(self, lines: Iterator[str], number: int) -> None:
        self._lines = lines
        self.number = number

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        return line


def _separator(header: str, known: set[str]) -> str:
    def fitness(separator: str) -> tuple[int, int]:
        names = next(csv_rows([header], separator=separator), [])
        return len({_plain(name) for name in names} & known), len(names)

    # Of equals, the first.
    return max(_SEPARATORS, key=fitness)


def csv_rows(lines: Iterable[str], *, strict: bool = False, separator: str | None = None) -> Iterator[list[str]]:
    """Read rows as `csv.reader` does, whatever the length of their cells: its limit is the whole process's.

    Args:
        lines: with their ends as they are.
        strict: whether quotes at odd places are an error.
        separator: of cells that may have blanks before them, which do not count; by default a comma and nothing else.

    Raises:
        csv.Error: if a row is none.
    """
    reader = csv.reader(lines, strict=strict, delimiter=separator or ",", skipinitialspace=separator is not None)
    while True:
        before = csv.field_size_limit(_LONGEST)
        try:
            row = next(reader)
        except StopIteration:
            return
        finally:
            csv.field_size_limit(before)
        yield row


def find_column(columns: Sequence[str], wanted: str) -> str | None:
    """The column of this name; or of this name but for the case of letters, and blanks or hyphens for underscores."""
    if wanted in columns:
        return wanted
    alike = [column for column in columns if _plain(column) == _plain(wanted)]
    return alike[0] if len(alike) == 1 else None


def choose_column(
    columns: Sequence[str], wanted: str | None, usual: Sequence[str], what: str, *, option: str | None = None
) -> str:
    """The column ``wanted``; where that is None, the first of the usual ones.

    Args:
        columns: of the table.
        wanted: a name, as for `find_column`.
        usual: names to try.
        what: it holds, for messages.
        option: that names the column where several usual ones are there; None takes the first of them.

    Raises:
        TableError: there is none, two have its name, or the option has to tell.
    """
    candidates = usual if wanted is None else (wanted,)
    found = dict.fromkeys(each for name in candidates if (each := find_column(columns, name)) is not None)
    if option is not None and len(found) > 1:
        raise TableError(
            f"has several columns that may hold the {what}: {', '.join(found)}. Say which one does ({option})."
        )
    column = next(iter(found), None)
    if column is not None:
        if list(columns).count(column) > 1:
            raise TableError(f"has the column {column!r} more than once.")
        return column
    if wanted is not None:
        raise TableError(f"has no column {wanted!r}; its columns are {', '.join(columns)}.")
    raise no_column(columns, usual, what)


def no_column(columns: Sequence[str], usual: Sequence[str], what: str) -> TableError:
    """The error of a table that has none of the usual columns."""
    return TableError(
        f"has none of the columns {', '.join(usual)}: say which one holds the {what}; its columns are "
        f"{', '.join(columns)}."
    )


def written_path(path: str, exists: Callable[[str], bool]) -> str:
    r"""A path as a table or list has it; if only that is there, without blanks around it or with ``/`` for ``\``.

    Args:
        path: not blank.
        exists: whether there is a file at such a path; not asked about paths that can only be meant as they are.
    """
    bare = path.strip()
    if bare == path and ("\\" not in path or os.sep == "\\"):
        return path
    return next((each for each in (path, bare, bare.replace("\\", "/")) if exists(each)), path)


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().lower())
