"""The reference that belongs to an image, found by its name."""

from __future__ import annotations

from pathlib import PurePath

from topiq_metrics.scoring.sources.errors import SourceError
from topiq_metrics.scoring.sources.files import is_file, is_folder, is_image, walk
from topiq_metrics.scoring.sources.locations import is_url


class ReferenceLookup:
    """A file that is the reference of every image, or a folder that has one for each.

    Raises:
        SourceError: there is no such file or folder.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._is_folder = is_folder(root)
        # From the closest likeness to the loosest; None where it fits several files.
        self._found: tuple[dict[str, str | None], ...] = ({}, {}, {}, {})
        self._flat = True
        if is_url(root):
            if root.endswith("/"):
                raise SourceError(f"The folder of references {root} must not be a URL: name the references in a table.")
        elif not self._is_folder and not is_file(root):
            raise SourceError(f"There is no reference file or folder {root}.")
        if self._is_folder:
            for path in filter(is_image, walk(root)):
                relative = PurePath(path).relative_to(root)
                self._flat = self._flat and len(relative.parts) == 1
                for found, key in zip(self._found, _likenesses(relative), strict=True):
                    found[key] = None if key in found else path

    @property
    def is_single(self) -> bool:
        """Whether one file is the reference of every image."""
        return not self._is_folder

    def find(self, image: str, folder: str) -> str | None:
        """The reference of an image; where the image is outside of ``folder``, by its name alone."""
        if not self._is_folder:
            return self._root
        try:
            relative = PurePath(image).relative_to(folder)
        except ValueError:
            relative = PurePath(image)
        if relative.is_absolute() or ".." in relative.parts:
            relative = PurePath(relative.name)
        same_path = str(PurePath(self._root, relative))
        if is_file(same_path):
            return same_path
        likenesses = list(zip(self._found, _likenesses(relative), strict=True))
        if len(relative.parts) > 1 and not self._flat:
            # The same name in another folder is another picture.
            likenesses = likenesses[:2]
        return next((found[key] for found, key in likenesses if key in found), None)


def _likenesses(relative: PurePath) -> tuple[str, str, str, str]:
    path = PurePath(str(relative).lower())
    return str(path), str(path.with_suffix("")), path.name, path.stem
