"""What to score: files and folders, and the reference that belongs to each image."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_SUFFIXES = """
    apng avif bmp gif heic heif hif j2c j2k jfif jp2 jpc jpe jpeg jpf jpg jpx pbm pfm pgm png pnm ppm qoi tif tiff webp
"""
IMAGE_SUFFIXES = frozenset(f".{name}" for name in _SUFFIXES.split())


class SourceError(ValueError):
    """A source that holds nothing to score; the message says where it was looked for."""


@dataclass(frozen=True)
class Item:
    """One image to score.

    Attributes:
        path: the image, as the caller named it.
        reference: its reference image, or None where none was found or asked for.
    """

    path: Path
    reference: Path | None = None


def find_images(
    sources: Iterable[str | os.PathLike[str]], references: str | os.PathLike[str] | None = None
) -> list[Item]:
    """List the images of files and folders, each once, in the order given; folders recursively, by name.

    In a folder, files are taken by their suffix; hidden files and folders are passed over. A file named outright is
    always taken, also if it is missing: it then becomes a row with the reason.

    Args:
        sources: files and folders.
        references: a file that is the reference of every image, or a folder that has a reference for each: with the
            same path below its source, else the same path but for its suffix, else the same name, else the same name
            but for its suffix; the case of letters does not matter. Where several fit equally well, there is none.

    Raises:
        SourceError: a folder without images, no sources at all, or ``references`` that do not exist.
    """
    lookup = None if references is None else _ReferenceLookup(Path(references))
    items: dict[Path, Item] = {}
    for source in map(Path, sources):
        if _is_folder(source):
            files = sorted(_walk(source))
            if not files:
                raise SourceError(f"There is no image in the folder {source}.")
            pairs = [(path, path.relative_to(source)) for path in files]
        else:
            pairs = [(source, Path(source.name))]
        for path, relative in pairs:
            key = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would take links to one file for one picture
            items.setdefault(key, Item(path, lookup.find(relative) if lookup else None))
    if not items:
        raise SourceError("There is nothing to score: name at least one image or folder.")
    return list(items.values())


def _walk(folder: Path) -> Iterable[Path]:
    # os.walk passes over folders that cannot be read and does not follow links, so it always ends.
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(parent, name)
            if path.suffix.lower() in IMAGE_SUFFIXES and not name.startswith("."):
                yield path


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises where a parent may not be read


class _ReferenceLookup:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.is_folder = _is_folder(root)
        # From the closest likeness to the loosest; None where it fits several files.
        self.found: tuple[dict[str, Path | None], ...] = ({}, {}, {}, {})
        if not self.is_folder and not root.is_file():
            raise SourceError(f"There is no reference file or folder {root}.")
        self.flat = True
        for path in sorted(_walk(root)):
            self.flat = self.flat and path.parent == root
            for found, key in zip(self.found, _likenesses(path.relative_to(root)), strict=True):
                found[key] = None if key in found else path

    def find(self, relative: Path) -> Path | None:
        if not self.is_folder:
            return self.root
        same_path = self.root / relative
        if same_path.is_file():
            return same_path
        likenesses = list(zip(self.found, _likenesses(relative), strict=True))
        if len(relative.parts) > 1 and not self.flat:
            # The same name in another folder is another picture.
            likenesses = likenesses[:2]
        return next((found[key] for found, key in likenesses if key in found), None)


def _likenesses(relative: Path) -> tuple[str, str, str, str]:
    path = Path(str(relative).lower())
    return str(path), str(path.with_suffix("")), path.name, path.stem
