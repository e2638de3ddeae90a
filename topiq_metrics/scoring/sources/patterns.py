"""References by a pattern of their paths, in the manner of a shell's parameters."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import PurePath

from topiq_metrics.scoring.sources.errors import SourceError
from topiq_metrics.scoring.sources.locations import inner, is_url, parent

_FIELDS = ("folder", "path", "name", "suffix")
_PART = re.compile(r"\{([^{}#%]*)(##?|%%?)?([^{}]*)\}|([^{}]+)")

Field = Callable[[str, str], str]


class ReferencePattern:
    """Paths of references, made of those of images.

    A field stands in braces: ``{folder}`` is the folder that an image is in, ``{path}`` its path below the source and
    ``{name}`` its name, both without its ``{suffix}``. ``{name%_*}`` takes off the shortest end that a wildcard fits,
    ``{name%%_*}`` the longest one, ``{name#*_}`` and ``{name##*_}`` likewise at the beginning; all else stands for
    itself.

    Args:
        pattern: with a field.

    Raises:
        SourceError: a field is none of these, or a brace lacks its other one.
    """

    is_single = False

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._parts = list(_parts(pattern))

    def find(self, image: str, folder: str) -> str | None:
        """The reference of an image; None if there is no such file. At a URL nobody looks yet."""
        path = self._path(image, folder)
        return path if is_url(path) or os.path.isfile(path) else None  # noqa: PTH113 - a name may be too long

    def sought(self, image: str, folder: str) -> str:
        """What was looked for, in vain; and what else would help."""
        return (
            f"there is no {self._path(image, folder)}, which is what {self._pattern} makes of its name; "
            "--reference-column takes names from a table"
        )

    def _path(self, image: str, folder: str) -> str:
        return "".join(part(image, folder) for part in self._parts)


def _parts(pattern: str) -> Iterator[Field]:
    end = 0
    for match in _PART.finditer(pattern):
        if match.start() != end:
            break
        end = match.end()
        field, sign, wildcard, text = match.groups()
        if text is not None:
            yield _constant(text)
        elif field not in _FIELDS or (wildcard and not sign):
            raise SourceError(
                f"The pattern of references {pattern} has {match[0]}, but a field is one of "
                f"{', '.join(f'{{{name}}}' for name in _FIELDS)}, or such as {{name%_*}}; and there is no "
                "file or folder of this name."
            )
        else:
            yield _cut(field, sign or "", wildcard)
    if end != len(pattern):
        raise SourceError(f"The pattern of references {pattern} has an unmatched brace.")


def _constant(text: str) -> Field:
    return lambda _image, _folder: text


def _cut(field: str, sign: str, wildcard: str) -> Field:
    def made(image: str, folder: str) -> str:
        return _without(_value(field, image, folder), sign, wildcard)

    return made


def _value(field: str, image: str, folder: str) -> str:
    if field == "folder":
        return parent(image)
    end = os.path.splitext(inner(image) if is_url(image) else image)[1]  # noqa: PTH122 - not a Path
    if field == "suffix":
        return end
    if field == "name":
        return PurePath(inner(image) if is_url(image) else image).name.removesuffix(end)
    return _below(image, folder).removesuffix(end)


def _below(image: str, folder: str) -> str:
    if is_url(image):
        return inner(image).removeprefix(inner(folder).rstrip("/") + "/")
    try:
        return str(PurePath(image).relative_to(folder))
    except ValueError:
        # As in a list that names files elsewhere.
        return PurePath(image).name


def _without(text: str, sign: str, wildcard: str) -> str:
    places = range(len(text) + 1)
    if sign in {"%", "%%"}:
        found = (
            place for place in (places if sign == "%%" else reversed(places)) if fnmatchcase(text[place:], wildcard)
        )
        return text[: next(found, len(text))]
    if sign:
        found = (
            place for place in (reversed(places) if sign == "##" else places) if fnmatchcase(text[:place], wildcard)
        )
        return text[next(found, 0) :]
    return text
