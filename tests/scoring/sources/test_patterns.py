"""References whose names follow a rule."""

from __future__ import annotations

import pytest

from topiq_metrics.scoring.sources import SourceError
from topiq_metrics.scoring.sources.patterns import ReferencePattern


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("gt/{name}.png", "gt/my_scene_method_x2.png"),
        ("gt/{path}{suffix}", "gt/s/my_scene_method_x2.JPG"),
        ("{folder}/{name%_*}_GT.jpg", "shots/s/my_scene_method_GT.jpg"),
        ("{folder}/{name%_*_*}_GT.jpg", "shots/s/my_scene_GT.jpg"),
        ("{folder}/{name%%_*}_GT.jpg", "shots/s/my_GT.jpg"),
        ("{name#*_}.png", "scene_method_x2.png"),
        ("{name##*_}.png", "x2.png"),
        ("{name%_x[0-9]}.png", "my_scene_method.png"),
        ("{name%.tar}/{path%/*}.png", "my_scene_method_x2/s.png"),
        ("{name%?}", "my_scene_method_x"),
    ],
)
def test_what_is_made_of_a_name(pattern, expected):
    assert f"no {expected}, which is what" in ReferencePattern(pattern).sought(
        "shots/s/my_scene_method_x2.JPG", "shots"
    )


def test_files_outside_of_the_source_have_no_path_below_it():
    assert "no gt/a.png, " in ReferencePattern("gt/{path}.png").sought("/elsewhere/a.jpg", "/here")


def test_urls_are_taken_as_they_come():
    lookup = ReferencePattern("{folder}/gt/{name}.png")
    assert lookup.find("https://host/s/a.jpg?key=1", "https://host/s") == "https://host/s/gt/a.png"
    assert ReferencePattern("s3://gt/{path}.png").find("s3://shots/x/a.jpg", "s3://shots/") == "s3://gt/x/a.png"


def test_pairs_of_one_folder(tmp_path, touch, read, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch("s/one_a_x2.jpg", "s/one_b_x2.jpg", "s/one_GT.jpg", "s/two_a_x2.jpg")
    items = read("s/*_x2.jpg", references="{folder}/{name%%_*}_GT.jpg")
    assert [item.reference for item in items] == ["s/one_GT.jpg", "s/one_GT.jpg", None]
    assert items[2].sought == (
        "there is no s/two_GT.jpg, which is what {folder}/{name%%_*}_GT.jpg makes of its name; "
        "--reference-column takes names from a table"
    )
    (tmp_path / "list.txt").write_text("s/one_a_x2.jpg\ns/two_a_x2.jpg\n")
    listed = read("list.txt", references="{folder}/{name%%_*}_GT.jpg")
    assert [item.reference for item in listed] == ["s/one_GT.jpg", None]


def test_what_there_is_comes_before_a_pattern(tmp_path, touch, read, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch("s/a.jpg", "{name}/a.jpg")
    assert [item.reference for item in read("s", references="{name}")] == ["{name}/a.jpg"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("gt/{nme}.png", r"has \{nme\}, but a field is one of \{folder\}, \{path\}, \{name\}, \{suffix\}, or such as"),
        ("gt/{name_*}.png", r"has \{name_\*\}, but a field is one of"),
        ("gt/{}.png", r"has \{\}, but a field is one of"),
        ("gt/{name.png", "has an unmatched brace"),
        ("gt/{name}}.png", "has an unmatched brace"),
    ],
)
def test_what_is_no_pattern(pattern, message, tmp_path, touch, read):
    touch("s/a.jpg")
    with pytest.raises(SourceError, match=message):
        read(tmp_path / "s", references=pattern)


def test_a_folder_says_what_was_looked_for(tmp_path, touch, read, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch("s/a.jpg", "s/b.jpg", "gt/x/b.png", "gt/y/b.png")
    first, second = read("s", references="gt")
    ways = "; a pattern, such as gt/{name}.png, or --reference-column would say which one it is"
    assert first.sought == f"there is no gt/a.jpg and no other file in gt that could be that of a{ways}"
    assert second.sought == f"there are several files in gt that could be that of b{ways}"
