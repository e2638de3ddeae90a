from __future__ import annotations

import csv

from topiq_metrics._tables import csv_rows


def test_cells_of_any_length_and_the_limit_of_others_stays():
    before = csv.field_size_limit()
    long = "x" * (2 * before)
    rows = csv_rows([f'a,"{long}"\n', "b,c\n"])
    assert next(rows) == ["a", long]
    assert csv.field_size_limit() == before
    assert list(rows) == [["b", "c"]]
