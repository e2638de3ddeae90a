"""CSV with cells of any length."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

_LONGEST = 2**31 - 1


def csv_rows(lines: Iterable[str], *, strict: bool = False) -> Iterator[list[str]]:
    """Read rows as `csv.reader` does, whatever the length of their cells: its limit is the whole process's.

    Raises:
        csv.Error: if a row is none.
    """
    reader = csv.reader(lines, strict=strict)
    while True:
        before = csv.field_size_limit(_LONGEST)
        try:
            row = next(reader)
        except StopIteration:
            return
        finally:
            csv.field_size_limit(before)
        yield row
