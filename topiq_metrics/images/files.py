"""Encoded files to pixels; needs no torch, so that a process that only decodes stays small."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TypeAlias

from PIL import ExifTags
from PIL.TiffImagePlugin import TiffImageFile

from topiq_metrics._extras import install_line
from topiq_metrics.errors import ImageError, ImageNotFoundError, TruncatedImageError
from topiq_metrics.images.color import Pixels, pillow_to_pixels
from topiq_metrics.images.decoding import MAX_PIXELS, image_errors, open_image
from topiq_metrics.images.orientation import lies_on_its_side
from topiq_metrics.images.pillow_state import quiet_pillow, strict_pillow
from topiq_metrics.images.profiles import Profiles
from topiq_metrics.images.reduced import LeastSize, reduce_decoding

_URL = re.compile(r"[a-z][a-z0-9+.-]+:/|data:", re.IGNORECASE)
"""A pathlib.Path of a URL has lost one of its two slashes; a drive of Windows has a single letter."""

Admit: TypeAlias = Callable[[int, int], None]
"""Is told width and height, as stored, before pixels are decoded; may wait, or raise an ImageError to prevent it."""


def decode_path(
    path: str | os.PathLike[str],
    max_pixels: int | None,
    admit: Admit | None = None,
    profiles: Profiles = "apply",
    least_size: LeastSize | None = None,
) -> Pixels:
    """Decode the file at ``path``, as `decode_stream` does; raises as `topiq_metrics.load_image` does."""
    with _opened(path) as (stream, name):
        return decode_stream(stream, name, max_pixels, admit, profiles, least_size)


def read_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Height and width of an image file, upright; raises as `decode_path` does.

    Only the header is read, and of some formats (PNG, HEIF), unless it is square, what may tell how it lies behind it.
    """
    with _opened(path) as (stream, name), quiet_pillow(), strict_pillow(), image_errors(name, stream):
        image = open_image(stream, name, MAX_PIXELS)
        width, height = image.size
        if isinstance(image, TiffImageFile):
            # Pillow may have turned it already.
            width, height = (image.tag_v2[tag] for tag in (ExifTags.Base.ImageWidth, ExifTags.Base.ImageLength))
        return (width, height) if width != height and lies_on_its_side(image) else (height, width)


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[tuple[IO[bytes], str]]:
    """A file, and what to call it in errors; what fails meanwhile is an `ImageError`."""
    name = os.fspath(path)
    try:
        if _may_block(name):
            raise ImageError(f"{name}: is no regular file.")
        with Path(path).open("rb") as stream:
            yield stream, name
    except ImageError:
        raise
    except (OSError, ValueError) as error:
        if _URL.match(name):
            raise ImageNotFoundError(_not_for_urls(name)) from error
        if isinstance(error, FileNotFoundError):
            raise ImageNotFoundError(f"{name}: there is no such file.{_hint_on_encoding(name)}") from error
        if os.path.isdir(name):  # noqa: PTH112 - Path.is_dir raises where a parent may not be read
            raise ImageError(f"{name}: is a directory, not a file.") from error
        if isinstance(error, PermissionError):
            raise ImageError(f"{name}: there is no permission to read the file.") from error
        cause = getattr(error, "strerror", None) or error
        raise ImageError(f"{name!r}: cannot be opened ({cause})") from error


def decode_stream(
    stream: IO[bytes],
    name: str,
    max_pixels: int | None,
    admit: Admit | None = None,
    profiles: Profiles = "apply",
    least_size: LeastSize | None = None,
) -> Pixels:
    """Decode a seekable stream, called ``name`` in errors; raises as `topiq_metrics.load_image` does.

    Args:
        least_size: the size from which on fewer pixels than the image has will do; None takes all of them.
    """
    with quiet_pillow(), strict_pillow():
        with image_errors(name, stream):
            image = open_image(stream, name, max_pixels)
        if admit is not None:
            admit(*image.size)
        reduction = None if least_size is None else reduce_decoding(image, least_size)
        try:
            with image_errors(name, stream):
                return replace(pillow_to_pixels(image, name, profiles), reduction=reduction)
        except TruncatedImageError:
            if reduction is None:
                raise
    # A tile may have fewer levels than the file's header says, and a damaged file is to be called that as ever.
    return decode_stream(stream, name, max_pixels, None, profiles)


def _not_for_urls(name: str) -> str:
    if name[:5].lower() == "data:":
        return f"{name[:30]}…: is a data URL: pass the bytes that it holds, decoded by `base64.b64decode`."
    return (
        f"{name}: is a URL, and only files are read here. URLs are read by `topiq score` and "
        f"`topiq_metrics.score_images`: {install_line('remote')}. Or pass the bytes of the file."
    )


def _hint_on_encoding(name: str) -> str:
    """Names that are no text come from the file system, which has them, or from a list in another encoding."""
    if any("\udc80" <= character <= "\udcff" for character in name):
        return " Its name is not in UTF-8: is the table or list that names it in UTF-8?"
    return ""


def _may_block(name: str) -> bool:
    """Whether opening it may wait for ever: a pipe or a device."""
    mode = Path(name).stat().st_mode
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
