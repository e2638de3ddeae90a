"""The reference that belongs to an image, found by its name in a folder; or one for all."""

from __future__ import annotations

from pathlib import PurePath

from topiq_metrics.scoring.sources.base import References
from topiq_metrics.scoring.sources.errors import SourceError
from topiq_metrics.scoring.sources.files import is_file, is_folder, is_image, walk
from topiq_metrics.scoring.sources.locations import is_url
from topiq_metrics.scoring.sources.patterns import ReferencePattern


def open_references(named: str) -> References:
    """A folder of references, one file that is the reference of every image, or a pattern of their names.

    Raises:
        SourceError: there is no such file or folder, or it is no pattern.
    """
    if "{" in named and not is_folder(named) and not is_file(named):
        return ReferencePattern(named)
    return ReferenceLookup(named)


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
            raise SourceError(
                f"There is no reference file or folder {root}. A pattern such as '{{folder}}/{{name}}_GT.png' would "
                "name one for each image, and --reference-column a column of a table."
            )
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
        return self._find(image, folder)[0] if self._is_folder else self._root

    def sought(self, image: str, folder: str) -> str:
        """What was looked for, in vain; and what else would help."""
        _, same_path, several = self._find(image, folder)
        name = PurePath(same_path).stem
        found = "there are several files" if several else f"there is no {same_path} and no other file"
        return (
            f"{found} in {self._root} that could be that of {name}; a pattern, such as {self._root}/{{name}}.png, or "
            "--reference-column would say which one it is"
        )

    def _find(self, image: str, folder: str) -> tuple[str | None, str, bool]:
        """The reference, the path at which it is looked for first, and whether several fit equally well."""
        try:
            relative = PurePath(image).relative_to(folder)
        except ValueError:
            relative = PurePath(image)
        if relative.is_absolute() or ".." in relative.parts:
            relative = PurePath(relative.name)
        same_path = str(PurePath(self._root, relative))
        if is_file(same_path):
            return same_path, same_path, False
        likenesses = list(zip(self._found, _likenesses(relative), strict=True))
        if len(relative.parts) > 1 and not self._flat:
            # The same name in another folder is another picture.
            likenesses = likenesses[:2]
        fitting = [found[key] for found, key in likenesses if key in found]
        return fitting[0] if fitting else None, same_path, bool(fitting) and fitting[0] is None


def _likenesses(relative: PurePath) -> tuple[str, str, str, str]:
    path = PurePath(str(relative).lower())
    return str(path), str(path.with_suffix("")), path.name, path.stem
