"""The pictures that names stand for."""

from __future__ import annotations

import os
from collections.abc import Sequence

from topiq_metrics.comparing.ranking import PathLike
from topiq_metrics.errors import ImageNotFoundError
from topiq_metrics.scoring.sources.files import is_folder, is_image, is_pattern, matches, walk
from topiq_metrics.scoring.sources.locations import is_url


def find_pictures(names: Sequence[PathLike], reference: PathLike | None = None) -> list[str]:
    """The pictures that files, folders (searched recursively) and globs name, as `rank_images` takes them.

    Args:
        names: of files, folders and globs.
        reference: left out of what folders and globs hold.

    Raises:
        ValueError: if a folder has no picture in it, or a glob matches none.
        ImageNotFoundError: if nothing has that name; a ValueError, too.
    """
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
        found += [path for path in held if reference is None or not _is_same(path, reference)]
    return found


def _check_there(name: str) -> None:
    try:
        os.lstat(name)
    except (FileNotFoundError, NotADirectoryError) as error:
        if not is_url(name):
            raise ImageNotFoundError(f"{name}: there is no such file or folder.") from error
    except (OSError, ValueError):
        # For who reads it to say.
        pass


def _is_same(path: str, other: PathLike) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)
