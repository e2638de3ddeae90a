from __future__ import annotations

import os
import sys

import pytest

from topiq_metrics._extras import import_extra
from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.sources import SourceError, open_source


def names(items):
    return [item.name for item in items]


@pytest.fixture
def table(tmp_path):
    def write(text: str | bytes, name: str = "t.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


class TestCSV:
    def test_paths_references_and_what_is_missing(self, tmp_path, table, read):
        path = table(
            '\ufeffid,Path,ref\r\n1,"a, b.png",r/a.png\r\n\r\n2,,r.png\r\n3\r\n4,/x/c.png,\r\n5,s3://b/d.png,s3://b/e.png\r\n'
        )
        assert read(path, reference_column="ref") == [
            Item(f"{tmp_path}/a, b.png", f"{tmp_path}/r/a.png"),
            Item(f"{path}#1", f"{tmp_path}/r.png", problem=f"missing: {path}#1 names no image"),
            Item(f"{path}#2", problem=f"missing: {path}#2 names no image"),
            Item("/x/c.png"),
            Item("s3://b/d.png", "s3://b/e.png"),
        ]
        assert names(read(path, root="photos"))[0] == "photos/a, b.png"

    @pytest.mark.parametrize(
        ("header", "expected"), [("name,filename", "y.png"), ("name,FILE_NAME", "y.png"), ("Image,path", "y.png")]
    )
    def test_the_column_is_the_first_of_its_usual_names(self, header, expected, table, read):
        assert read(table(f"{header}\nx.png,y.png\n"))[0].name.endswith(expected)

    def test_the_column_may_be_named(self, table, read):
        path = table("path,photo\nx.png,y.png\n")
        assert read(path, path_column="photo")[0].name.endswith("/y.png")
        assert read(path, path_column="PHOTO")[0].name.endswith("/y.png")

        assert read(path, image_column="photo")[0].name.endswith("/y.png")

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("windows.csv", "image,ref,score\r\nimages\\1.png,images\\2.png,3\r\n"),
            ("spaces.csv", "id, image, ref , score\n7, images/1.png , images/2.png, 3\n"),
            ("european.csv", "image;ref;score\nimages/1.png;images/2.png;3,5\n"),
            ("excel.csv", "sep=;\r\nimage;ref;score\r\nimages\\1.png;images\\2.png;3,5\r\n;;\r\n"),
            ("tabs.tsv", "image\tref\tscore\nimages/1.png\timages/2.png\t3\n"),
            ("TABS.TSV", "image,ref\nimages/1.png,images/2.png\n"),
        ],
    )
    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_tables_of_other_systems(self, name, text, encoding, tmp_path, table, touch, read):
        touch("images/1.png", "images/2.png")
        path = table(text.encode(encoding), name)
        first, second = (str(tmp_path / f"images/{number}.png") for number in (1, 2))
        assert read(path, reference_column="ref") == [Item(first, second)]

    def test_backslashes_of_files_that_are_called_so(self, tmp_path, table, touch, read):
        touch("a\\b.png", "a/b.png")
        assert names(read(table("path\na\\b.png\nc\\d.png\n"))) == [f"{tmp_path}/a\\b.png", f"{tmp_path}/c\\d.png"]
        assert names(read(table("path\nc\\d.png\n"), root="s3://b")) == ["s3://b/c/d.png"]

    def test_each_image_comes_once(self, table, read):
        assert len(read(table("path,ref\na.png,r.png\nb.png,r.png\n./a.png,r.png\n"), reference_column="ref")) == 2
        with pytest.raises(SourceError, match=r"a\.png comes twice"):
            read(table("path,ref\na.png,r.png\na.png,s.png\n"), reference_column="ref")

    @pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode there")
    def test_names_need_not_be_unicode(self, tmp_path, table, read):
        assert names(read(table(b"path\n\xff.png\n"))) == [str(tmp_path / os.fsdecode(b"\xff.png"))]

    @pytest.mark.parametrize(
        ("text", "options", "message"),
        [
            ("a,b\n1,2\n", {}, "has none of the columns path, image, .*its columns are a, b"),
            ("path\nx\n", {"path_column": "photo"}, "has no column 'photo'; its columns are path"),
            ("path\nx\n", {"reference_column": "ref"}, "has no column 'ref'"),
            ("path\nx\n", {"image_column": "x"}, "has no column 'x'; its columns are path"),
            ("p\0a\0t\0h\0\n", {}, "t.csv is no text in UTF-8, or in UTF-16"),
            ("path\n", {}, "There is no image in the table"),
            ("", {}, r"is empty\."),
        ],
    )
    def test_what_cannot_be_used_is_an_error(self, text, options, message, table):
        with pytest.raises(SourceError, match=message):
            open_source(table(text), **options)

    def test_a_missing_table_is_an_error(self, tmp_path):
        with pytest.raises(SourceError, match=r"There is no table .*none\.csv"):
            open_source(tmp_path / "none.csv")


def test_references_in_a_column_and_in_a_folder(tmp_path, table, touch):
    touch("photos/a.png", "originals/a.png")
    path, where = table("path,ref\nb.png,r.png\n"), {"references": tmp_path / "originals", "reference_column": "ref"}
    with pytest.raises(SourceError, match=r"Give `references` or `reference_column`, not both, for .*t\.csv"):
        open_source(path, **where)
    items = [item for part in open_source([path, tmp_path / "photos"], **where).fragments() for item in part.items()]
    assert [str(item.reference) for item in items] == [f"{tmp_path}/r.png", f"{tmp_path}/originals/a.png"]


def test_columns_of_a_folder_are_an_error(tmp_path, touch):
    touch("a.png")
    with pytest.raises(SourceError, match="Argument `path_column` does not apply to the folder"):
        open_source(tmp_path, path_column="path")


def test_a_missing_extra_is_told_with_the_line_that_installs_it():
    with pytest.raises(
        ModuleNotFoundError, match=r"Cakes need an extra \(nope is not installed\): pip install 'topiq-metrics\[cake\]'"
    ):
        import_extra("nope", "cake", "Cakes need")


class TestParquet:
    @pytest.fixture(autouse=True)
    def _needs(self):
        pytest.importorskip("pyarrow", reason="the extra parquet is not installed")

    @pytest.fixture
    def parquet(self, tmp_path):
        def write(columns: dict, name: str = "t.parquet", rows: int = 1000, **options: object):
            import pyarrow as pa
            from pyarrow import parquet

            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            parquet.write_table(pa.table(columns), path, row_group_size=rows, **options)
            return path

        return write

    def test_paths(self, tmp_path, parquet, read):
        path = parquet({"x": [1, 2, 3, 4], "File_Name": ["a.png", None, " ", "s3://b/c.png"]}, rows=3)
        problem = "missing: {0} names no image"
        assert read(path) == [
            Item(f"{tmp_path}/a.png"),
            *(Item(f"{path}#{row}", problem=problem.format(f"{path}#{row}")) for row in (1, 2)),
            Item("s3://b/c.png"),
        ]
        assert len(list(open_source(path).fragments())) == 2

        assert names(read(parquet({"photo": ["a.png"]}), image_column="photo")) == [f"{tmp_path}/a.png"]

    def test_bytes(self, parquet, read, picture):
        images = [picture(value) for value in range(40)]
        path = parquet({"label": range(40), "image": [*images[:39], None]}, rows=25)
        items = read(path)
        assert items[:39] == [Item(f"{path}#{row}", data=data) for row, data in enumerate(images[:39])]
        assert items[39] == Item(f"{path}#39", problem=f"missing: {path}#39 names no image")

    def test_bytes_may_have_names_and_references(self, tmp_path, parquet, read, picture):
        columns = {"jpg": [picture(1), None], "path": ["a.png", "b.png"], "ref": [picture(2), picture(3)]}
        path = parquet(columns)
        assert read(path, image_column="jpg", reference_column="ref") == [
            Item(f"{tmp_path}/a.png", picture(2), picture(1)),
            Item(f"{tmp_path}/b.png", picture(3), problem=f"missing: {path}#1 names no image"),
        ]
        assert names(read(path)) == [f"{tmp_path}/a.png", f"{tmp_path}/b.png"]
        assert [item.reference for item in read(path, reference_column="ref")] == columns["ref"]
        # One name for two images would lose one of them.
        path = parquet({"image": [picture(1), picture(2)], "path": ["a.png", "a.png"]})
        with pytest.raises(SourceError, match=r"a\.png comes twice, .* by their rows with an empty path column"):
            read(path)
        assert names(read(path, path_column="")) == [f"{path}#0", f"{path}#1"]

    def test_hugging_face_images(self, tmp_path, parquet, read, picture):
        cells = [
            {"bytes": picture(), "path": "x.png"},
            {"bytes": None, "path": "y.png"},
            {"bytes": None, "path": None},
            None,
        ]
        path = parquet({"name": ["cat"] * 4, "image": cells})
        assert names(read(path)) == [f"{path}#0", f"{tmp_path}/y.png", f"{path}#2", f"{path}#3"]
        assert read(path)[0].data == picture()

    def test_a_folder_of_parts(self, tmp_path, parquet, read, picture, touch):
        for part in (2, 1):
            parquet({"image": [picture(part)]}, f"t.parquet/part-{part}.parquet")
        touch("t.parquet/_SUCCESS", "t.parquet/.part-0.parquet", "t.parquet/x.png")
        folder = tmp_path / "t.parquet"
        assert names(read(folder)) == [f"{folder}/part-1.parquet#0", f"{folder}/part-2.parquet#0"]
        assert names(read(folder / "*.parquet")) == names(read(folder))
        parquet({"path": ["a.png"]}, "u.parquet/0.parquet")
        assert names(read(tmp_path / "u.parquet")) == [f"{tmp_path}/a.png"]

    def test_the_same_table_comes_once(self, parquet, read, picture):
        path = parquet({"image": [picture(), picture()]})
        assert len(read([path, path])) == 2

    def test_references_by_name(self, tmp_path, parquet, read, touch, picture):
        touch("refs/a.png", "refs/s/b.png")
        path = parquet({"path": ["a.jpg", "s/b.jpg", None]})
        references = [item.reference for item in read(path, references=tmp_path / "refs")]
        assert references == [f"{tmp_path}/refs/a.png", f"{tmp_path}/refs/s/b.png", None]
        with pytest.raises(SourceError, match="holds images, not names: its references must be in a column"):
            open_source(parquet({"image": [picture()]}), references=tmp_path / "refs")

    def test_a_damaged_part_is_a_row(self, tmp_path, parquet, read, picture):
        for part in (1, 2, 3, 4):
            parquet(
                {"image": [os.urandom(5000) for _ in range(9)]},
                f"t.parquet/{part}.parquet",
                compression="none",
                use_dictionary=False,
            )
        folder = tmp_path / "t.parquet"
        (folder / "2.parquet").write_bytes(b"PAR1 no table")
        parquet({"other": [1]}, "t.parquet/3.parquet")
        damaged = bytearray((folder / "4.parquet").read_bytes())
        damaged[:200] = b"\xff" * 200
        (folder / "4.parquet").write_bytes(damaged)
        items = list(open_source(folder).items())
        assert names(items[:9]) == [f"{folder}/1.parquet#{row}" for row in range(9)]
        assert [(item.name, item.problem.partition(":")[0]) for item in items[9:]] == [
            (f"{folder}/2.parquet", "unreadable"),
            (f"{folder}/3.parquet", "unreadable"),
            (f"{folder}/4.parquet#0", "truncated"),
        ]

    def test_a_part_that_has_gone_is_a_row(self, parquet, picture):
        path = parquet({"image": [picture()]})
        (fragment,) = open_source(path).fragments()
        path.unlink()
        assert [(item.name, item.problem) for item in fragment.items()] == [
            (f"{path}#0", f"missing: there is no {path}")
        ]

    @pytest.mark.parametrize(
        ("columns", "options", "message"),
        [
            ({"a": [1], "name": [2]}, {}, "has none of the columns path, image, .*its columns are a, name"),
            ({"path": ["x"]}, {"path_column": "b"}, "has no column 'b'; its columns are path"),
            ({"path": [1]}, {"image_column": "path"}, "The column 'path' of .* must hold bytes or paths"),
            ({"path": [b"x"]}, {"path_column": "path"}, "The column 'path' of .* must hold paths"),
            ({"path": ["x"], "r": [1]}, {"reference_column": "r"}, "The column 'r' of .* must hold paths or bytes"),
        ],
    )
    def test_what_cannot_be_used_is_an_error(self, columns, options, message, parquet):
        with pytest.raises(SourceError, match=message):
            open_source(parquet(columns), **options)

    def test_what_cannot_be_read_is_an_error(self, tmp_path, parquet):
        import pyarrow as pa

        (tmp_path / "bad.parquet").write_bytes(b"nothing of it")
        (tmp_path / "none.parquet").mkdir()
        for name, message in [
            ("bad", "cannot be read"),
            ("none", "There is no .parquet file in"),
            ("x", "There is no table"),
        ]:
            with pytest.raises(SourceError, match=message):
                open_source(tmp_path / f"{name}.parquet")
        with pytest.raises(SourceError, match="There is no image in the table"):
            list(open_source(parquet({"path": pa.array([], pa.string())})).items())

    def test_text_of_every_type(self, parquet, read):
        import pyarrow as pa

        for kind in (pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())):
            assert names(read(parquet({"path": pa.array(["/a.png"], pa.string()).cast(kind)}))) == ["/a.png"]
        for kind in (pa.large_binary(), pa.binary_view()):
            assert read(parquet({"image": pa.array([b"x"], pa.binary()).cast(kind)}))[0].data == b"x"
