"""Files that are whole, or not there."""

from __future__ import annotations

import errno
import os
import sys

import pytest

from topiq_metrics._files import whole_file, write_whole

pytestmark = pytest.mark.quick


def test_a_file_is_replaced_when_it_is_whole(tmp_path):
    path = tmp_path / "file.txt"
    path.write_bytes(b"old")
    with whole_file(path) as draft:
        draft.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_after_an_error_it_is_as_it_was(tmp_path):
    path = tmp_path / "file.txt"
    write_whole(path, b"old")
    with pytest.raises(KeyboardInterrupt):
        _interrupted(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_names_the_file(tmp_path):
    path = tmp_path / "file.txt"
    with pytest.raises(OSError, match=r"file\.txt"), whole_file(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="has other permissions")
def test_others_may_read_it_as_any_new_file(tmp_path):
    usual = tmp_path / "usual"
    usual.touch()
    with whole_file(tmp_path / "file.txt") as draft:
        draft.chmod(0o600)
    assert (tmp_path / "file.txt").stat().st_mode == usual.stat().st_mode


def _interrupted(path):
    with whole_file(path) as draft:
        draft.write_bytes(b"half")
        raise KeyboardInterrupt
