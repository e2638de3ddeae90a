"""Something is done behind the import of another package, and nothing where that package is not."""

from __future__ import annotations

import importlib
import importlib.util
import sys

import pytest

from topiq_metrics._arrival import when_imported

NAME = "package_of_this_test"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a part, which can be imported."""
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / "__init__.py").write_text("from . import part\nready = True\n")
    (folder / "part.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


@pytest.fixture
def seen():
    return []


@pytest.fixture
def action(seen):
    return lambda: seen.append(sys.modules[NAME].ready)


def test_at_once(package, action, seen):
    importlib.import_module(NAME)
    finders = list(sys.meta_path)
    when_imported(NAME, action)
    assert seen == [True]
    assert sys.meta_path == finders


def test_behind_the_import(package, action, seen):
    finders = list(sys.meta_path)
    when_imported(NAME, action)
    # Whoever only asks whether it is installed imports nothing.
    assert importlib.util.find_spec(NAME) is not None
    assert seen == []
    module = importlib.import_module(f"{NAME}.part")
    assert seen == [True]
    assert sys.meta_path == finders
    assert module.__loader__.__class__ is sys.modules[NAME].__loader__.__class__
    assert "exec_module" not in vars(sys.modules[NAME].__loader__)
    importlib.reload(sys.modules[NAME])
    assert seen == [True]


def test_an_import_that_fails_and_is_tried_again(package, action, seen):
    when_imported(NAME, action)
    (package / "part.py").write_text("raise RuntimeError")
    with pytest.raises(RuntimeError):
        importlib.import_module(NAME)
    assert seen == []
    (package / "part.py").write_text("whole = True")
    importlib.invalidate_caches()
    importlib.import_module(NAME)
    assert seen == [True]


def test_what_is_not_installed_leaves_nothing_behind(monkeypatch, action, seen):
    finders = list(sys.meta_path)
    when_imported(NAME, action)
    monkeypatch.setitem(sys.modules, NAME, None)
    when_imported(NAME, action)
    assert sys.meta_path == finders
    assert seen == []
