from __future__ import annotations

import csv
import io

import pytest

from topiq_metrics._tables import (
    TableError,
    choose_column,
    csv_rows,
    encoding_of,
    find_column,
    read_table,
    written_path,
)

pytestmark = pytest.mark.quick


def test_cells_of_any_length_and_the_limit_of_others_stays():
    before = csv.field_size_limit()
    long = "x" * (2 * before)
    rows = csv_rows([f'a,"{long}"\n', "b,c\n"])
    assert next(rows) == ["a", long]
    assert csv.field_size_limit() == before
    assert list(rows) == [["b", "c"]]


@pytest.mark.parametrize(
    ("text", "separator", "columns", "rows"),
    [
        ("image,score\na,1\n", ",", ["image", "score"], [(2, ["a", "1"])]),
        ("image;score\r\na,b;3,5\r\n", ";", ["image", "score"], [(2, ["a,b", "3,5"])]),
        ("image\tscore\na b\t1\n", "\t", ["image", "score"], [(2, ["a b", "1"])]),
        # Most of the known names, not most of the cells.
        ("image\tscore (1, 2, 3, 4)\na\t1\n", "\t", ["image", "score (1, 2, 3, 4)"], [(2, ["a", "1"])]),
        (' image , "score" \n "a, b", 1\n', ",", ["image", "score"], [(2, ["a, b", "1"])]),
        ('\n"sep=|"\n\nimage|score\n\na|1\n||\nb|2', "|", ["image", "score"], [(6, ["a", "1"]), (8, ["b", "2"])]),
        ('image,score\n"a\nb",1\nc,2\n', ",", ["image", "score"], [(3, ["a\nb", "1"]), (4, ["c", "2"])]),
        ("image\na;b\n", ",", ["image"], [(2, ["a;b"])]),
    ],
)
def test_tables_as_they_come(text, separator, columns, rows):
    table = read_table(io.StringIO(text, newline=""), ("image", "score"))
    assert (table.separator, table.columns) == (separator, columns)
    assert list(table.rows) == rows


@pytest.mark.parametrize("text", ["", "\n \n", "sep=;\n"])
def test_empty(text):
    with pytest.raises(TableError, match=r"^is empty\.$"):
        read_table(io.StringIO(text, newline=""))


def test_what_is_no_text():
    with pytest.raises(TableError, match="is no text in UTF-8, or in UTF-16 with a byte-order mark"):
        read_table(["i\0m\0a\0g\0e\0\n"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_encodings(encoding):
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    data = (mark + "ü").encode(encoding)
    assert data.decode(encoding_of(data[:2])) == "ü"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("Image Name", "Image Name"), ("image_name", "Image Name"), ("MOS", "MOS"), ("mos", None), ("nope", None)],
)
def test_columns_are_found_whatever_their_case(wanted, expected):
    assert find_column(["Image Name", "MOS", "Mos"], wanted) == expected


def test_a_column_that_is_named_or_usual():
    columns = ["id", "Photo", "MOS", "score", "score"]
    assert choose_column(columns, None, ("nope", "mos"), "scores") == "MOS"
    assert choose_column(columns, "photo", ("mos",), "images") == "Photo"
    for wanted, message in [
        ("nope", "has no column 'nope'; its columns are id, Photo, MOS, score, score."),
        ("score", "has the column 'score' more than once."),
        (None, "has none of the columns x, y: say which one holds the images; its columns are id"),
    ]:
        with pytest.raises(TableError, match=message):
            choose_column(columns, wanted, ("x", "y"), "images")


@pytest.mark.parametrize(
    ("path", "there", "expected"),
    [
        ("a/1.png", set(), "a/1.png"),
        (r"a\1.png", {"a/1.png"}, "a/1.png"),
        (r"a\1.png", {"a/1.png", r"a\1.png"}, r"a\1.png"),
        (r"a\1.png", set(), r"a\1.png"),
        (" a.png ", {"a.png"}, "a.png"),
        (" a.png ", {"a.png", " a.png "}, " a.png "),
        ("a\\1.png\t", {"a/1.png"}, "a/1.png"),
    ],
)
def test_paths_of_other_systems(path, there, expected):
    assert written_path(path, there.__contains__) == expected
