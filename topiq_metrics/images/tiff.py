"""TIFF: which of its pages is the picture, which files are a camera's raw ones, and what Pillow would misread."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import sys
from typing import IO, Any, cast

from PIL import Image, TiffImagePlugin, TiffTags
from PIL import __version__ as _pillow

from topiq_metrics.errors import CameraRawError, TruncatedImageError, UnsupportedImageError
from topiq_metrics.images.directories import (
    BITS,
    COMPRESSION,
    EXTRA_SAMPLES,
    FILL_ORDER,
    KINDS,
    PHOTOMETRIC,
    SAMPLE_FORMAT,
    SUB_DIRECTORIES,
    Directories,
    Page,
    WithHeader,
)

_OLD_PILLOW = tuple(map(int, _pillow.split(".")[:2])) < (12, 2)
_MOST_PAGES = 100
_MOST_SUB_DIRECTORIES = 16
_ZERO_IS_WHITE, _RGB, _PALETTE, _YCBCR, _CIELAB = 0, 2, 3, 6, 8
_COLOR_MAP = 320
_ASSOCIATED = 1
# What libtiff may have been built without, by Pillow's names.
_OPTIONAL_CODECS = {34925: "lzma", 50000: "zstd", 50001: "webp"}


def open_tiff(stream: IO[bytes], name: str) -> Image.Image:
    """Read the header of the picture in a TIFF: its first page that is neither a reduced one nor a mask.

    Args:
        stream: seekable.
        name: what to call the file in errors.

    Raises:
        CameraRawError: if it is a camera's raw file.
        UnsupportedImageError: if the file is whole, but has no picture, or one that Pillow refuses or misreads.
        TruncatedImageError: if it is one of those, and not whole.
        Exception: whatever Pillow raises on damaged files.
    """
    file = Directories(stream)
    page = _picture(file, name)
    cause = "Pillow takes BigTIFF in little-endian order only" if file.is_big_endian_bigtiff() else None
    cause = cause or _misread(page) or _without_codec(page)
    if cause is not None:
        if not file.holds(page):
            raise TruncatedImageError(f"{name}: the file is truncated or damaged (not all of its data are there)")
        raise UnsupportedImageError(f"{name}: {page} is not supported: {cause}.")
    source = stream if page.offset == file.first else cast("IO[bytes]", WithHeader(stream, file.header(page.offset)))
    source.seek(0)
    try:
        image = (_ByLibtiff if _is_for_libtiff(page) else TiffImagePlugin.TiffImageFile)(source, "")
    except (SyntaxError, OSError) as error:
        if file.holds(page):
            raise UnsupportedImageError(f"{name}: {page} is not supported.") from error
        raise
    _check_decoder(image, page, name)
    _drop_odd_metadata(image)
    return image


def refuse_misread(image: Image.Image, name: str) -> None:
    """Refuse what a PIL image that Pillow has opened from a TIFF may show in the place of the picture.

    Raises:
        CameraRawError: if it is the thumbnail of a camera's raw file.
        UnsupportedImageError: if Pillow misreads its kind.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    tags: dict[int, Any] = {tag: image.tag_v2.get(tag) for tag in KINDS if tag in image.tag_v2}
    page = Page(0, {tag: tuple(v) if isinstance(v, (tuple, bytes)) else (v,) for tag, v in tags.items()}, 0, "")
    if page.is_raw():
        raise _raw(name)
    cause = _misread(page) or (_without_codec(page) if image.tile else None)
    if cause is None and page.is_preview() and not image.tell():
        cause = "it is a reduced image; seek the page of full resolution"
    if cause is None and _misread_uncompressed(page):
        cause = "Pillow misreads it; pass the file itself"
    if cause:
        raise UnsupportedImageError(f"{name}: {page} is not supported: {cause}.")
    if image.tile:
        _check_decoder(image, page, name)


def zero_is_white(image: Image.Image) -> bool:
    """Whether 0 is white in a TIFF, for the kinds of pixels that Pillow leaves as they are: over 8 bits and floats."""
    tags: Any = getattr(image, "tag_v2", {})
    return bool(tags.get(PHOTOMETRIC) == _ZERO_IS_WHITE)


def small_palette(image: Image.Image) -> bytes | None:
    """The colours of a TIFF's palette where it holds 8 bits instead of 16, which Pillow makes black; else None.

    Some writers do so, and libtiff takes a palette without greater values for one of theirs.
    """
    tags: Any = getattr(image, "tag_v2", {})
    values = tags.get(_COLOR_MAP) if tags.get(PHOTOMETRIC) == _PALETTE else None
    if image.mode not in ("P", "PA") or not isinstance(values, tuple) or not values or len(values) % 3:
        return None
    # Black throughout is what Pillow has made of it; another palette is somebody else's.
    if not 0 < max(values) < 256 or any(image.getpalette() or ()):
        return None
    count = len(values) // 3
    return bytes(
        itertools.chain.from_iterable(zip(*(values[i * count : (i + 1) * count] for i in range(3)), strict=True))
    )


class _ByLibtiff(TiffImagePlugin.TiffImageFile):
    """Has libtiff decode what is not compressed, too."""

    def _setup(self) -> None:
        # Whatever is not "raw" goes to libtiff, which reads from the file itself how it is compressed.
        self.tag_v2[COMPRESSION] = 32771
        super()._setup()


def _picture(file: Directories, name: str) -> Page:
    pages: list[Page] = []
    for page in itertools.islice(file.chain(), _MOST_PAGES):
        pages.append(page)
        if page.is_raw() or file.is_raw():
            raise _raw(name)
        if not page.is_preview():
            within = page.tags.get(SUB_DIRECTORIES, ())[:_MOST_SUB_DIRECTORIES]
            for other in map(file.read, within):
                if other.is_raw() or (other.area() > page.area() and not other.is_preview()):
                    raise _raw(name)
            return page
    if any(SUB_DIRECTORIES in page.tags for page in pages):
        raise _raw(name)
    if pages:
        raise UnsupportedImageError(f"{name}: a TIFF with reduced images only: previews or masks of another file.")
    return Page(file.first, {}, 0, "")


def _raw(name: str) -> CameraRawError:
    return CameraRawError(f"{name}: is a camera's raw file: develop it first.")


def _misread(page: Page) -> str | None:
    """Why Pillow would show another picture than the file holds, whichever of its decoders is taken."""
    photometric = page.number(PHOTOMETRIC, 0)
    extra = page.tags.get(EXTRA_SAMPLES, ())
    if page.number(SAMPLE_FORMAT, 1) == 2 and page.number(BITS, 1) <= 16:
        return "values below 0 have no known scale"
    if page.in_planes() and photometric == _CIELAB:
        return "Pillow takes CIELAB in one plane only"
    if page.in_planes() and any(extra) and (photometric != _RGB or len(extra) > 1):
        return "of planes with alpha, Pillow takes RGBA only"
    if page.in_planes() and extra and not any(extra) and _OLD_PILLOW:
        return "planes that mean nothing need Pillow 12.2"
    return None


def _is_for_libtiff(page: Page) -> bool:
    """Whether Pillow's own decoder, which takes what is not compressed, misreads or refuses some such files."""
    halved = page.number(PHOTOMETRIC, 0) == _YCBCR
    return page.number(COMPRESSION, 1) == 1 and (page.in_planes() or halved)


def _misread_uncompressed(page: Page) -> bool:
    """Whether it is one that is misread or refused."""
    premultiplied = page.in_planes() and _ASSOCIATED in page.tags.get(EXTRA_SAMPLES, ())
    plain = page.number(BITS, 1) == 8 and page.number(FILL_ORDER, 1) == 1 and page.number(PHOTOMETRIC, 0) != 0
    return _is_for_libtiff(page) and (premultiplied or not (page.in_planes() and plain))


def _without_codec(page: Page) -> str | None:
    codec = _OPTIONAL_CODECS.get(page.number(COMPRESSION, 1))
    return None if codec is None or _has_codec(codec) else "the installed Pillow was built without its codec"


@functools.lru_cache
def _has_codec(codec: str) -> bool:
    try:
        Image.new("RGB", (16, 16)).save(io.BytesIO(), "TIFF", compression=codec)
    except (OSError, ValueError):
        return False
    return True


def _drop_odd_metadata(image: Image.Image) -> None:
    """Drop what Pillow would read after the pixels, and could have them refused for."""
    xmp = image.info.pop("xmp", None)
    if isinstance(xmp, (bytes, str)):
        image.info["xmp"] = xmp.encode() if isinstance(xmp, str) else xmp
    with contextlib.suppress(Exception):
        exif = image.getexif()
        for directory in TiffTags.TAGS_V2_GROUPS:
            exif.pop(directory, None)


def _check_decoder(image: Image.Image, page: Page, name: str) -> None:
    codec, _, _, arguments = image.tile[0] if image.tile else ("", None, 0, ("",))  # type: ignore[attr-defined]
    if isinstance(image, _ByLibtiff) and codec != "libtiff":
        raise UnsupportedImageError(f"{name}: {page} is not supported: Pillow misreads it.")
    if codec == "libtiff" and arguments[0].endswith(("BF", "BS")) and sys.byteorder == "little":
        # libtiff has put the bytes in order already, and Pillow would do it once more.
        raise UnsupportedImageError(f"{name}: {page} is not supported: Pillow takes it uncompressed only.")
