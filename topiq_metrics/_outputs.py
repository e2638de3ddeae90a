"""Whether an output may be written, found out before what it is to hold is made; nothing is changed."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path


def check_suffix(path: Path, suffixes: Collection[str]) -> None:
    """Raise ValueError if a path has none of these suffixes, whatever the case of its letters."""
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"An output must end in one of {tuple(suffixes)}, but got {path}.")


def check_place_of_file(path: Path) -> None:
    """Raise OSError if no file can be at a path: it is a folder, or in none."""
    _check_parent(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file.")


def check_place_of_folder(path: Path) -> None:
    """Raise OSError if no folder can be at a path: it is a file, or in no folder."""
    _check_parent(path)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{path} is a file: give a folder.")


def check_new(path: str | os.PathLike[str], instead: str = "name another file") -> None:
    """Raise FileExistsError if there is something at a path.

    Args:
        path: of a file or a folder; one that the system cannot have is new.
        instead: what to do, unless it is to be overwritten.
    """
    if os.path.exists(path):  # noqa: PTH110 - Path.exists raises where a name is too long
        raise FileExistsError(f"{os.fspath(path)} already exists: {instead}, or overwrite it (--force).")


def check_writable(folder: Path) -> None:
    """Raise PermissionError if files may not be put into a folder."""
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"The folder {folder} cannot be written to.")


def _check_parent(path: Path) -> None:
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent}: create it first.")
