"""Encoded bytes to a Pillow image: which formats are read, and what goes wrong in words."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Iterator
from typing import IO, Any

from PIL import Image, features

from topiq_metrics._extras import install_line
from topiq_metrics.errors import (
    CameraRawError,
    ImageError,
    ImageMemoryError,
    ImageTooLargeError,
    NotAnImageError,
    TruncatedImageError,
    UnsupportedImageError,
)
from topiq_metrics.images.jpeg import open_jpeg
from topiq_metrics.images.png import open_png
from topiq_metrics.images.tags import read_tags
from topiq_metrics.images.tiff import open_tiff
from topiq_metrics.images.unread import is_raw, other_format, unread_kind

# Module, class and Pillow's name for the library behind it. Only formats that bytes of their own give away: one
# without them (TGA, say) would take any file for an image.
_PLUGINS = {
    "AVIF": ("AvifImagePlugin", "AvifImageFile", "avif"),
    "BMP": ("BmpImagePlugin", "BmpImageFile", None),
    "GIF": ("GifImagePlugin", "GifImageFile", None),
    "JPEG": ("JpegImagePlugin", "JpegImageFile", "jpg"),
    "JPEG 2000": ("Jpeg2KImagePlugin", "Jpeg2KImageFile", "jpg_2000"),
    "PNG": ("PngImagePlugin", "PngImageFile", "zlib"),
    "PPM": ("PpmImagePlugin", "PpmImageFile", None),
    "QOI": ("QoiImagePlugin", "QoiImageFile", None),
    "TIFF": ("TiffImagePlugin", "TiffImageFile", None),
    "WebP": ("WebPImagePlugin", "WebPImageFile", "webp"),
}
READABLE = tuple(sorted([*_PLUGINS, "HEIF"]))

_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\x00\x00\x00\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"qoif": "QOI",
}
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_HEADER_BYTES = 256

MAX_PIXELS = 300_000_000
"""Pixels (width x height) beyond which an image is taken for a decompression bomb; 3.6 GB as a tensor."""


def open_image(stream: IO[bytes], name: str, max_pixels: int | None) -> Image.Image:
    """Read the header of an encoded image.

    Args:
        stream: seekable, read from its start; stays open, and the image needs it until it is loaded.
        name: what to call the image in errors.
        max_pixels: the most pixels to accept, or None for no limit.

    Raises:
        TruncatedImageError: if there are no bytes.
        NotAnImageError: if the bytes are of no format that is known.
        UnsupportedImageError: if they are of one that is not in `READABLE`, or that Pillow was built without.
        CameraRawError: if they are a camera's raw file.
        ImageTooLargeError: if the header tells of more than ``max_pixels`` pixels.
    """
    stream.seek(0)
    header = stream.read(_HEADER_BYTES)
    if not isinstance(header, bytes):
        raise NotAnImageError(f"{name}: a file must be opened in binary mode, but this one gives text.")
    if not header:
        raise TruncatedImageError(f"{name}: the file is empty.")
    kind = sniff(header)
    if kind is None:
        _refuse_known(header, name)
        raise NotAnImageError(
            f"{name}: not an image in a supported format ({', '.join(READABLE)}).",
            " Whatever else Pillow can open may be passed as a PIL image.",
        )
    stream.seek(0)
    if kind == "HEIF":
        return _open_heif(stream, name, max_pixels)
    module, factory, feature = _PLUGINS[kind]
    if feature and not features.check(feature):
        raise UnsupportedImageError(f"{name}: is {kind}, which the installed Pillow was built without.")
    image: Image.Image
    if kind == "JPEG":
        image = open_jpeg(stream)
    elif kind == "PNG":
        image = open_png(stream)
    elif kind == "TIFF":
        image = open_tiff(stream, name)
    else:
        # Not Image.open: it applies Pillow's process-wide pixel limit, and would try every format.
        image = getattr(importlib.import_module(f"PIL.{module}"), factory)(stream, "")
    check_pixels(name, *image.size, max_pixels)
    return image


def _refuse_known(header: bytes, name: str) -> None:
    if is_raw(header):
        raise CameraRawError(f"{name}: is a camera's raw file: develop it first.")
    other = other_format(header)
    if other is not None:
        raise UnsupportedImageError(
            f"{name}: is {other}, which is not supported ({', '.join(READABLE)} are). "
            "Whatever else Pillow can open may be passed as a PIL image."
        )


def sniff(header: bytes) -> str | None:
    """Tell the format, or None, from the first bytes of a file."""
    for signature, kind in _SIGNATURES.items():
        if header.startswith(signature):
            return kind
    if header[:4] == b"RIFF" and header[8:12] == b"WEBP":
        return "WebP"
    if header[:1] == b"P" and header[1:2] in b"123456f" and header[2:3].isspace():
        return "PPM"
    if header[4:8] == b"ftyp":
        return _sniff_brands(header)
    return None


def _sniff_brands(header: bytes) -> str | None:
    end = min(int.from_bytes(header[:4], "big"), len(header))
    major = header[8:12]
    brands = {major, *(header[i : i + 4] for i in range(16, end - 3, 4))}
    if major in _AVIF_BRANDS or (major in _HEIF_BRANDS and brands & _AVIF_BRANDS):
        return "AVIF"
    return "HEIF" if major in _HEIF_BRANDS else None


def _open_heif(stream: IO[bytes], name: str, max_pixels: int | None) -> Image.Image:
    try:
        import pillow_heif
    except ImportError as error:
        raise UnsupportedImageError(f"{name}: HEIF needs an extra package: {install_line('heic')}") from error
    heif = pillow_heif.open_heif(io.BytesIO(stream.read()))
    width, height = heif.size
    check_pixels(name, width, height, max_pixels)
    # Not heif.to_pillow(): libheif has turned the pixels already, and what EXIF says of that is to be ignored.
    image = Image.frombytes(heif.mode, heif.size, heif.data, "raw", heif.mode, heif.stride)
    # It tells of one of the two only.
    tags = read_tags(stream)
    profile: Any = heif.info.get("icc_profile") or (tags.profile if tags is not None else None)
    if profile:
        image.info["icc_profile"] = profile
    nclx: Any = heif.info.get("nclx_profile")
    if tags is not None and tags.code_points is not None:
        nclx = dict(zip(("color_primaries", "transfer_characteristics"), tags.code_points, strict=True))
    if nclx:
        image.info["nclx_profile"] = nclx
    return image


def check_pixels(name: str, width: int, height: int, max_pixels: int | None) -> None:
    """Refuse an image of more than ``max_pixels`` pixels with an ImageTooLargeError."""
    if max_pixels is not None and width * height > max_pixels:
        raise ImageTooLargeError(
            f"{name}: {width} x {height} pixels are more than the limit of {max_pixels}",
            "; raise `max_pixels` if the file can be trusted.",
        )


@contextlib.contextmanager
def image_errors(name: str, stream: IO[bytes] | None = None) -> Iterator[None]:
    """Turn whatever a decoder raises into an ImageError that names the image and the cause.

    Args:
        name: what to call the image.
        stream: the encoded image, seekable; tells files of unread kinds from damaged ones.
    """
    try:
        yield
    except (ImageError, ImportError):
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(
            f"{name}: beyond the limit that Pillow itself sets for this format",
            f"; raise PIL.Image.MAX_IMAGE_PIXELS if the file can be trusted ({error})",
        ) from error
    except MemoryError as error:
        raise ImageMemoryError(f"{name}: there is not enough memory to decode it.") from error
    except NotImplementedError as error:
        raise UnsupportedImageError(
            f"{name}: uses a feature of its format that Pillow does not read ({error})"
        ) from error
    except Exception as error:
        kind = None if stream is None else _unread(stream, error)
        if kind is not None:
            raise UnsupportedImageError(f"{name}: {kind} is not supported.") from error
        cause = f"{type(error).__name__}: {error}"
        raise TruncatedImageError(f"{name}: the file is truncated or damaged ({cause})") from error


def _unread(stream: IO[bytes], error: Exception) -> str | None:
    """What the file is if Pillow refuses its kind; None if it may be damaged."""
    with contextlib.suppress(Exception):
        stream.seek(0)
        kind = sniff(stream.read(_HEADER_BYTES))
        return None if kind is None else unread_kind(kind, stream, error)
    return None
