from __future__ import annotations

import io
import os
import random
import sys
from pathlib import Path

import pytest
from PIL import Image

from topiq_metrics.images import load_image
from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.sources import IMAGE_SUFFIXES, SourceError, files, open_source


@pytest.fixture
def found(tmp_path, read):
    def relative(*sources: object) -> list[str]:
        return [Path(item.path).relative_to(tmp_path).as_posix() for item in read(sources)]

    return relative


def test_folders_are_searched_recursively_and_by_name(tmp_path, touch, found):
    touch("b.png", "a.PNG", "c/z.webp", "c/a.jpg", "a/deep/er/x.Tiff", "notes.txt", "c/README", "archive.png.zip")
    assert found(tmp_path) == ["a/deep/er/x.Tiff", "a.PNG", "b.png", "c/a.jpg", "c/z.webp"]


def test_order_is_that_of_sorted_paths(tmp_path, touch, found, monkeypatch):
    # Signs that sort before and after the separator of paths.
    generator = random.Random(0)
    names = {"".join(generator.choices("aB.- _é", k=generator.randint(1, 2))) for _ in range(60)}
    names = {name.lstrip(".") for name in names} - {""}
    touch(*{f"{a}/{b}/{c}.png" for a in names for b in generator.sample(sorted(names), 3) for c in ("x", "x y", "x-y")})
    touch(*(f"{a}.png" for a in names))
    every = [path for path in tmp_path.rglob("*.png") if not any(part.startswith(".") for part in path.parts[1:])]
    assert found(tmp_path) == [path.relative_to(tmp_path).as_posix() for path in sorted(every)]
    assert found(tmp_path / "**/*.png") == found(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert [item.path for item in open_source(".").items()] == found(tmp_path)


def test_a_folder_is_read_as_it_is_needed(tmp_path, touch, monkeypatch):
    touch(*(f"{folder}/{i}.png" for folder in "abc" for i in range(600)))
    source = open_source(tmp_path)
    read, scandir = [], os.scandir
    monkeypatch.setattr(files.os, "scandir", lambda path: read.append(Path(path).name) or scandir(path))
    next(source.items())
    assert read == [tmp_path.name, "a"]


def test_hidden_files_and_folders_are_passed_over(tmp_path, touch, found):
    touch("a.png", ".b.png", ".cache/c.png", "d/._d.png")
    assert found(tmp_path) == ["a.png"]


def test_what_is_named_outright_is_taken_whatever_its_name(tmp_path, touch, found):
    touch(".hidden/a.png", ".b.png", "c.dat")
    sources = [tmp_path / name for name in (".hidden", ".b.png", "c.dat", "missing.png")]
    assert found(*sources) == [".hidden/a.png", ".b.png", "c.dat", "missing.png"]


def test_sources_keep_their_order(tmp_path, touch, found):
    touch("b/1.png", "a/2.png", "c.png")
    assert found(tmp_path / "c.png", tmp_path / "b", tmp_path / "a") == ["c.png", "b/1.png", "a/2.png"]


def test_a_folder_with_the_name_of_an_image_is_a_folder(tmp_path, touch, found):
    touch("x.jpg/a.png", "shard.tar/b.png", "list.txt/c.png")
    assert found(tmp_path) == ["list.txt/c.png", "shard.tar/b.png", "x.jpg/a.png"]
    assert found(tmp_path / "x.jpg", tmp_path / "shard.tar") == ["x.jpg/a.png", "shard.tar/b.png"]


def test_each_image_comes_once(tmp_path, touch, read, monkeypatch):
    touch("a.png", "b.png")
    monkeypatch.chdir(tmp_path)
    sources = ["b.png", tmp_path, "./a.png", tmp_path / "b.png", ".", "*.png"]
    assert [item.path for item in read(sources)] == ["b.png", str(tmp_path / "a.png")]


def test_large_folders_come_in_several_fragments(tmp_path, touch):
    touch(*(f"{i}.png" for i in range(600)))
    sizes = [len(list(fragment.items())) for fragment in open_source(tmp_path).fragments()]
    assert sum(sizes) == 600
    assert max(sizes) <= 512


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_links(tmp_path, touch, found):
    touch("a/b.png", "elsewhere/c.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "a" / "file.png").symlink_to(tmp_path / "elsewhere" / "c.png")
    (tmp_path / "a" / "broken.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "a" / "itself.png").symlink_to(tmp_path / "a" / "itself.png")
    assert found(tmp_path / "a") == ["a/b.png", "a/broken.png", "a/file.png", "a/itself.png"]


def test_a_folder_that_may_not_be_read_is_a_problem_of_its_own(tmp_path, touch, read, monkeypatch):
    touch("a/b.png", "c/d.png")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("a"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    locked, image = read(tmp_path)
    assert (locked.path, locked.problem.partition(":")[0]) == (str(tmp_path / "a") + os.sep, "unreadable")
    assert image.path == str(tmp_path / "c" / "d.png")


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode there")
def test_names_need_not_be_unicode(tmp_path, read):
    name = os.fsdecode(b"\xff.png")
    (tmp_path / name).touch()
    (item,) = read(tmp_path)
    assert item.path == str(tmp_path / name)


def test_a_folder_without_images_is_an_error(tmp_path, touch):
    touch("notes.txt", "full/a.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"There is no image in the folder .*empty\."):
        open_source([tmp_path / "full", tmp_path / "empty"])


@pytest.mark.parametrize("nothing", [[], (), iter([])])
def test_nothing_at_all_is_an_error(nothing):
    with pytest.raises(SourceError, match="There is nothing to score: name at least one image or folder"):
        open_source(nothing)


@pytest.mark.parametrize(
    ("source", "kind"),
    [(3, "int"), (b"a.png", "bytes"), ([3], "int"), ([["a.png"]], "list"), (io.BytesIO(b"a.png"), "an open file")],
)
def test_other_objects_are_an_error(source, kind):
    with pytest.raises(TypeError, match=rf"Argument `source` .*{kind}"):
        open_source(source)


def test_items_are_taken_as_they_are(read, picture):
    items = [Item("a.png", "b.png"), Item("made", data=picture()), Item("c.png", problem="missing: lost")]
    assert read(items) == items
    assert read(items[0]) == items[:1]


def test_one_name_has_one_image_and_one_reference(tmp_path, picture):
    same = Item("a.png", "b.png")
    assert list(open_source([same, Item("a.png", "./b.png")]).items()) == [same]
    for other in (Item("./a.png", "c.png"), Item("a.png"), Item("a.png", "b.png", data=picture())):
        with pytest.raises(SourceError, match=r"a\.png comes twice, as different images or with different references"):
            list(open_source([same, other]).items())


class TestGlobs:
    def test_images_are_chosen_unless_the_pattern_has_a_suffix(self, tmp_path, touch, found):
        touch("b/2.png", "b/10.jpg", "a/1.png", "a/notes.md", "a/c.dat", "a/.h.png", "folder.png/x.png")
        assert found(tmp_path / "**") == ["a/1.png", "b/10.jpg", "b/2.png", "folder.png/x.png"]
        assert found(tmp_path / "?" / "[0-9]*") == ["a/1.png", "b/10.jpg", "b/2.png"]
        assert found(tmp_path / "*" / "*.?p*g") == ["b/10.jpg"]
        assert found(tmp_path / "a" / "*.dat") == ["a/c.dat"]
        assert found(tmp_path / "*" / "*.png") == ["a/1.png", "b/2.png", "folder.png/x.png"]

    def test_a_file_of_that_name_is_meant(self, tmp_path, touch, found):
        touch("a[1].png", "a1.png", "b[1]/c.png", "b1/d.png")
        assert found(tmp_path / "a[1].png", tmp_path / "b[1]") == ["a[1].png", "b[1]/c.png"]

    def test_tables_and_shards(self, tmp_path, touch, found):
        touch("1.txt", "2.txt")
        for number in (1, 2):
            (tmp_path / f"{number}.txt").write_text(f"{number}.png")
        assert found(tmp_path / "*.txt") == ["1.png", "2.png"]

    def test_no_match_is_an_error(self, tmp_path, touch):
        touch("a.txt")
        for pattern in ("*.png", "*"):
            with pytest.raises(SourceError, match=r"There is no image or table that matches .*\*"):
                open_source(tmp_path / pattern)


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES - {".heic", ".heif", ".hif", ".j2c", ".jpc", ".pfm"}))
def test_every_suffix_is_of_a_format_that_is_read(suffix, tmp_path):
    mode = {".pbm": "1", ".pgm": "L"}.get(suffix, "RGB")
    kinds = {".apng": "PNG", ".qoi": "QOI", ".pnm": "PPM"}
    path = tmp_path / f"a{suffix}"
    Image.new(mode, (40, 40)).save(path, kinds.get(suffix))
    assert load_image(path).shape == (3, 40, 40)
