from __future__ import annotations

import pytest

from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.sources import SourceError
from topiq_metrics.scoring.sources.braces import expand_braces


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("s-{00008..00010}.tar", ["s-00008.tar", "s-00009.tar", "s-00010.tar"]),
        ("{8..10}", ["8", "9", "10"]),
        ("{2..0}", ["2", "1", "0"]),
        ("{0..10..5}", ["0", "5", "10"]),
        ("{a,b}/{1..2}.png", ["a/1.png", "a/2.png", "b/1.png", "b/2.png"]),
        ("{a,b{1..2},}c", ["ac", "b1c", "b2c", "c"]),
        ("https://host/{0..1}.tar", ["https://host/0.tar", "https://host/1.tar"]),
        ("{x}-{0..1}", ["{x}-0", "{x}-1"]),
        ("{x{0..1}", ["{x0", "{x1"]),
        *((name, [name]) for name in ("a.png", "{a}.png", "{}", "a{", "}{", "{1..b}", "{1..}")),
    ],
)
def test_names(name, expected):
    assert expand_braces(name) == expected


def test_a_file_that_is_called_so(tmp_path, touch, read, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch("{a,b}.png", "c/1.png", "d/2.png")
    assert read("{a,b}.png") == [Item("{a,b}.png")]
    assert read("{c,d}/") == [Item("c/1.png"), Item("d/2.png")]
    assert read("{c,d}/*.png") == read("{c,d}/")


def test_too_many():
    with pytest.raises(SourceError, match="stands for more than 100000 names"):
        expand_braces("{0..999999999999}")
