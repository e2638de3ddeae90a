"""Whether an output may be written."""

from __future__ import annotations

import pytest

from topiq_metrics._outputs import check_new, check_place_of_file, check_place_of_folder, check_suffix


def test_places(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for name in ("file", "new"):
        check_place_of_file(tmp_path / name)
    for name in ("folder", "new"):
        check_place_of_folder(tmp_path / name)
    with pytest.raises(IsADirectoryError, match="folder is a folder: name a file"):
        check_place_of_file(tmp_path / "folder")
    with pytest.raises(NotADirectoryError, match="file is a file: give a folder"):
        check_place_of_folder(tmp_path / "file")
    for check in (check_place_of_file, check_place_of_folder):
        with pytest.raises(FileNotFoundError, match=r"There is no folder .*no: create it first"):
            check(tmp_path / "no" / "out")


def test_new(tmp_path):
    check_new(tmp_path / "out")
    check_new(tmp_path / ("long" * 100))
    (tmp_path / "out").touch()
    with pytest.raises(FileExistsError, match=r"out already exists: go on, or overwrite it \(--force\)"):
        check_new(tmp_path / "out", "go on")


def test_suffixes(tmp_path):
    check_suffix(tmp_path / "a.CSV", (".csv", ".md"))
    with pytest.raises(ValueError, match=r"An output must end in one of \('\.csv', '\.md'\), but got .*a\.txt"):
        check_suffix(tmp_path / "a.txt", (".csv", ".md"))
