from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from topiq_metrics.scoring.sources import SourceError, open_source

pytestmark = pytest.mark.quick


def names(items):
    return [item.name for item in items]


def test_paths_and_urls_one_a_line(tmp_path, read):
    (tmp_path / "list.txt").write_bytes(
        b"\xef\xbb\xbfa b.png\r\n\r\n  \nsub/c.png\r\n/abs/d.png\nhttps://host/e.png?x=1\n./f.png\n g.png \n"
    )
    expected = ["a b.png", "sub/c.png", "f.png", " g.png "]
    a, c, f, g = (str(tmp_path / name) for name in expected)
    assert names(read(tmp_path / "list.txt")) == [a, c, "/abs/d.png", "https://host/e.png?x=1", f, g]
    a, c, f, g = (f"photos/{name}" for name in expected)
    assert names(read(tmp_path / "list.txt", root="photos/")) == [a, c, "/abs/d.png", "https://host/e.png?x=1", f, g]
    assert names(read(tmp_path / "list.txt", root="s3://bucket/x/"))[:2] == [
        "s3://bucket/x/a b.png",
        "s3://bucket/x/sub/c.png",
    ]


def test_relative_paths_start_at_the_list(tmp_path, read, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "l.TXT").write_text("a.png")
    assert names(read("lists/l.TXT")) == ["lists/a.png"]
    assert names(read("./lists/l.TXT", root=".")) == ["a.png"]


def test_each_image_comes_once(tmp_path, read):
    (tmp_path / "list.txt").write_text("a.png\nb.png\n./a.png\nx/../a.png\n")
    assert [Path(name).name for name in names(read(tmp_path / "list.txt"))] == ["a.png", "b.png"]
    assert len(read([tmp_path / "list.txt", tmp_path / "b.png", tmp_path / "list.txt"])) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode there")
def test_names_need_not_be_unicode(tmp_path, read):
    (tmp_path / "list.txt").write_bytes(b"\xff\xe9.png\n\xe2\x80\xa8.png\n")
    assert names(read(tmp_path / "list.txt", root="/")) == [os.fsdecode(b"/\xff\xe9.png"), "/\u2028.png"]


def test_standard_input(stdin):
    stdin(b"a.png\nsub/b.png\n\na.png\n")
    source = open_source("-")
    assert source.count() is None
    assert names(source.items()) == ["a.png", "sub/b.png"]
    with pytest.raises(SourceError, match="The standard input can be read only once"):
        list(source.items())
    stdin(b"a.png\n")
    assert names(open_source(["x.png", "-"], root="/photos").items()) == ["x.png", "/photos/a.png"]


def test_what_cannot_be_read_is_an_error(tmp_path, stdin):
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(SourceError, match=r"There is no list .*none\.txt"):
        open_source(tmp_path / "none.txt")
    with pytest.raises(SourceError, match=r"There is no image in the list .*empty\.txt"):
        open_source(tmp_path / "empty.txt")
    stdin(b"\n")
    with pytest.raises(SourceError, match="There is no image in the standard input"):
        list(open_source("-").items())


def test_lists_of_other_systems(tmp_path, touch, read):
    touch("images/1.png", "2.png")
    (tmp_path / "list.txt").write_bytes("images\\1.png\r\n2.png \r\n".encode("utf-16"))
    assert names(read(tmp_path / "list.txt")) == [str(tmp_path / "images/1.png"), str(tmp_path / "2.png")]
