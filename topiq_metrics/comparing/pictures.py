"""The pictures that names stand for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from topiq_metrics.comparing.naming import is_drawn
from topiq_metrics.comparing.ranking import PathLike
from topiq_metrics.errors import ImageNotFoundError
from topiq_metrics.scoring.sources.files import is_folder, is_image, is_pattern, matches, walk
from topiq_metrics.scoring.sources.locations import is_url


def find_pictures(
    names: Sequence[PathLike], reference: PathLike | None = None, output: PathLike | None = None
) -> list[str]:
    """The images that files, folders (searched recursively) and globs name, as `rank_images` takes them.

    Args:
        names: files, folders and globs.
        reference: left out of the images that folders and globs give.
        output: the folder for `save_comparison`: what an earlier one drew there is likewise left out.

    Raises:
        ValueError: if a folder contains no image, or a glob matches none.
        ImageNotFoundError: if a name does not exist; a subclass of ValueError.
    """
    drawn_in = None if output is None else Path(output).expanduser().resolve()
    found: list[str] = []
    for each in names:
        name = os.fspath(each)
        if is_folder(name):
            held = [path for path in walk(os.path.normpath(name)) if is_image(path)]
            if not held:
                raise ValueError(f"There is no image in the folder {name}.")
        elif is_pattern(name):
            held = matches(name)
        else:
            _check_there(name)
            found.append(name)
            continue
        found += [path for path in held if not _is_left_out(path, reference, drawn_in)]
    return found


def short_names(paths: Sequence[str]) -> list[str]:
    """The paths as seen from the folder that they share."""
    folders = {os.path.dirname(path) for path in paths}  # noqa: PTH120 - a path may be a URL, or no path at all
    try:
        shared = os.path.commonpath(folders)
    except ValueError:
        # Of several drives, or some from the root and some from here.
        return list(paths)
    if not shared or any(is_url(path) for path in paths):
        return list(paths)
    return [os.path.relpath(path, shared) for path in paths]


def _check_there(name: str) -> None:
    try:
        os.lstat(name)
    except (FileNotFoundError, NotADirectoryError) as error:
        if not is_url(name):
            raise ImageNotFoundError(f"{name}: there is no such file or folder.") from error
    except (OSError, ValueError):
        # For who reads it to say.
        pass


def _is_left_out(path: str, reference: PathLike | None, drawn_in: Path | None) -> bool:
    if reference is not None and _is_same(path, reference):
        return True
    return drawn_in is not None and is_drawn(Path(os.path.realpath(path)), drawn_in)


def _is_same(path: str, other: PathLike) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)
