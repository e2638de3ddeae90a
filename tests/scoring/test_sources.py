from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from topiq_metrics.images import load_image
from topiq_metrics.scoring import IMAGE_SUFFIXES, SourceError, find_images


@pytest.fixture
def touch(tmp_path):
    def make(*names: str) -> None:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    return make


def found(root: Path, *sources: Path) -> list[str]:
    return [item.path.relative_to(root).as_posix() for item in find_images(sources)]


def test_folders_are_searched_recursively_and_by_name(tmp_path, touch):
    touch("b.png", "a.PNG", "c/z.webp", "c/a.jpg", "a/deep/er/x.Tiff", "notes.txt", "c/README", "archive.png.zip")
    assert found(tmp_path, tmp_path) == ["a/deep/er/x.Tiff", "a.PNG", "b.png", "c/a.jpg", "c/z.webp"]


def test_hidden_files_and_folders_are_passed_over(tmp_path, touch):
    touch("a.png", ".b.png", ".cache/c.png", "d/._d.png")
    assert found(tmp_path, tmp_path) == ["a.png"]


def test_what_is_named_outright_is_taken_whatever_its_name(tmp_path, touch):
    touch(".hidden/a.png", ".b.png", "c.dat")
    sources = [tmp_path / name for name in (".hidden", ".b.png", "c.dat", "missing.png")]
    assert found(tmp_path, *sources) == [".hidden/a.png", ".b.png", "c.dat", "missing.png"]


def test_sources_keep_their_order(tmp_path, touch):
    touch("b/1.png", "a/2.png", "c.png")
    assert found(tmp_path, tmp_path / "c.png", tmp_path / "b", tmp_path / "a") == ["c.png", "b/1.png", "a/2.png"]


def test_a_folder_with_the_name_of_an_image_is_a_folder(tmp_path, touch):
    touch("x.jpg/a.png")
    assert found(tmp_path, tmp_path) == ["x.jpg/a.png"]
    assert found(tmp_path, tmp_path / "x.jpg") == ["x.jpg/a.png"]


def test_each_image_comes_once(tmp_path, touch, monkeypatch):
    touch("a.png", "b.png")
    monkeypatch.chdir(tmp_path)
    sources = ["b.png", tmp_path, "./a.png", tmp_path / "b.png", "."]
    assert [item.path for item in find_images(sources)] == [Path("b.png"), tmp_path / "a.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_link_to_a_parent_does_not_loop(tmp_path, touch):
    touch("a/b.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert found(tmp_path, tmp_path) == ["a/b.png"]


def test_a_folder_without_images_is_an_error(tmp_path, touch):
    touch("notes.txt")
    with pytest.raises(SourceError, match=r"There is no image in the folder .*" + tmp_path.name):
        find_images([tmp_path])


def test_nothing_at_all_is_an_error():
    with pytest.raises(SourceError, match="There is nothing to score: name at least one image or folder"):
        find_images([])


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES - {".heic", ".heif", ".hif", ".j2c", ".jpc", ".pfm"}))
def test_every_suffix_is_of_a_format_that_is_read(suffix, tmp_path):
    mode = {".pbm": "1", ".pgm": "L"}.get(suffix, "RGB")
    kinds = {".apng": "PNG", ".qoi": "QOI", ".pnm": "PPM"}
    path = tmp_path / f"a{suffix}"
    Image.new(mode, (40, 40)).save(path, kinds.get(suffix))
    assert load_image(path).shape == (3, 40, 40)


def references(tmp_path: Path, source: str, root: str = "refs") -> list[str | None]:
    items = find_images([tmp_path / source], tmp_path / root)
    return [item.reference and item.reference.relative_to(tmp_path).as_posix() for item in items]


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
def test_reference_is_the_likest_file(image, files, expected, tmp_path, touch):
    touch(image, *files)
    assert references(tmp_path, "photos") == [expected]


def test_reference_of_a_file_named_outright_is_found_by_its_name(tmp_path, touch):
    touch("photos/s/a.png", "refs/a.png", "refs/s/b.png")
    assert references(tmp_path, "photos/s/a.png") == ["refs/a.png"]


def test_one_file_is_the_reference_of_every_image(tmp_path, touch):
    touch("photos/a.png", "photos/b.png", "ref.png")
    assert references(tmp_path, "photos", "ref.png") == ["ref.png", "ref.png"]


def test_missing_references_are_an_error(tmp_path, touch):
    touch("a.png")
    with pytest.raises(SourceError, match=r"There is no reference file or folder .*nowhere"):
        find_images([tmp_path], tmp_path / "nowhere")


def test_without_references_there_are_none(tmp_path, touch):
    touch("a.png")
    assert [item.reference for item in find_images([tmp_path])] == [None]
