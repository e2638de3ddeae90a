from __future__ import annotations

from pathlib import Path

import pytest

from topiq_metrics.scoring.sources import SourceError, open_source


@pytest.fixture
def references(tmp_path, read):
    def find(source: object, root: str = "refs", **options: object) -> list[str | None]:
        sources = source if isinstance(source, list) else [source]
        items = read([tmp_path / source for source in sources], references=tmp_path / root, **options)
        return [item.reference and Path(item.reference).relative_to(tmp_path).as_posix() for item in items]

    return find


@pytest.mark.parametrize(
    ("image", "files", "expected"),
    [
        ("photos/s/a.png", ["refs/s/a.png", "refs/a.png"], "refs/s/a.png"),
        ("photos/s/a.png", ["refs/s/a.bmp", "refs/a.png"], "refs/s/a.bmp"),
        ("photos/s/a.png", ["refs/S/A.BMP", "refs/a.png"], "refs/S/A.BMP"),
        ("photos/s/a.png", ["refs/other/a.png", "refs/b.png"], None),
        ("photos/s/a.png", ["refs/A.PNG", "refs/a.bmp"], "refs/A.PNG"),
        ("photos/a.jpg", ["refs/deep/A.png"], "refs/deep/A.png"),
        ("photos/a.jpg", ["refs/b.png", "refs/aa.png", "refs/.a.png"], None),
        ("photos/a.jpg", ["refs/x/a.jpg", "refs/y/a.jpg"], None),
        ("photos/a.jpg", ["refs/x/a.png", "refs/y/a.bmp"], None),
        ("photos/a.jpg", ["refs/x/a.png", "refs/y/a.jpg"], "refs/y/a.jpg"),
        ("photos/a.tar.jpg", ["refs/a.png", "refs/a.tar.png"], "refs/a.tar.png"),
    ],
)
def test_reference_is_the_likest_file(image, files, expected, tmp_path, touch, references):
    touch(image, *files)
    assert references("photos") == [expected]
    assert references("photos/**/*.*") == [expected]
    (tmp_path / "photos" / "list.txt").write_text(image.removeprefix("photos/"))
    (tmp_path / "table.csv").write_text(f"path\n{image.removeprefix('photos/')}")
    assert references("photos/list.txt") == [expected]
    assert references("table.csv", root="refs") == [expected]


def test_reference_of_a_file_named_outright_is_found_by_its_name(touch, references):
    touch("photos/s/a.png", "refs/a.png", "refs/s/b.png")
    assert references("photos/s/a.png") == ["refs/a.png"]


def test_a_list_that_names_files_elsewhere_gets_their_references_by_name(tmp_path, touch, references):
    touch("refs/a.png", "refs/b.png", "refs/c.png", "c.png")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "l.txt").write_text(f"{tmp_path}/photos/a.png\n../x/b.png\n../c.png\n")
    assert references("lists/l.txt") == ["refs/a.png", "refs/b.png", "refs/c.png"]


def test_one_file_is_the_reference_of_every_image(touch, references):
    touch("photos/a.png", "photos/b.png", "ref.png")
    assert references("photos", "ref.png") == ["ref.png", "ref.png"]


def test_missing_references_are_an_error(tmp_path, touch):
    touch("a.png")
    with pytest.raises(SourceError, match=r"There is no reference file or folder .*nowhere"):
        open_source(tmp_path, references=tmp_path / "nowhere")


def test_without_references_there_are_none(tmp_path, touch, read):
    touch("a.png")
    assert [item.reference for item in read(tmp_path)] == [None]


def test_a_url_can_be_the_reference_of_every_image(tmp_path, touch, read):
    touch("a.png")
    assert [item.reference for item in read(tmp_path, references="https://host/ref.png")] == ["https://host/ref.png"]
    with pytest.raises(SourceError, match="The folder of references s3://bucket/refs/ must not be a URL"):
        open_source(tmp_path, references="s3://bucket/refs/")


def test_a_name_that_no_file_can_have_has_no_reference(tmp_path, touch, read):
    touch("refs/a.png")
    (tmp_path / "l.txt").write_text(f"{'x' * 5000}.png\na\0b.png\na.png\n")
    references = [item.reference for item in read(tmp_path / "l.txt", references=tmp_path / "refs")]
    assert references == [None, None, f"{tmp_path}/refs/a.png"]
