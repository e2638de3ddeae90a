from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.sources import open_source


@pytest.fixture
def touch(tmp_path: Path) -> Callable[..., None]:
    def make(*names: str) -> None:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    return make


@pytest.fixture
def read() -> Callable[..., list[Item]]:
    """A function that opens a source and takes all of it, through fragments that have been pickled.

    That is, as another machine would; and what a count promises is held.
    """

    def take(source: object, **options: object) -> list[Item]:
        opened = open_source(source, **options)
        items = list(opened.items())
        fragments = [pickle.loads(pickle.dumps(fragment)) for fragment in opened.fragments()]
        everything = [item for fragment in fragments for item in fragment.items()]
        unique = {item.name: item for item in reversed(everything)}
        assert {item.name: item for item in items}.items() <= unique.items()
        assert opened.count() in {None, len(everything)}
        return items

    return take


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def feed(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return feed


def png(value: int = 0, size: int = 8) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (size, size), value).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def picture() -> Callable[..., bytes]:
    return png
