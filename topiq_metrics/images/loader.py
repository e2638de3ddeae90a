"""Decoding of images from any source."""

from __future__ import annotations

import io
import os
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from topiq_metrics.errors import ImageError
from topiq_metrics.images.arrays import array_to_rgb, pixels_to_rgb, tensor_to_rgb
from topiq_metrics.images.color import Pixels, pillow_to_pixels
from topiq_metrics.images.decoding import MAX_PIXELS, check_pixels, image_errors
from topiq_metrics.images.files import decode_path, decode_stream
from topiq_metrics.images.opened import OpenedImage
from topiq_metrics.images.pillow_state import quiet_pillow, strict_pillow
from topiq_metrics.images.profiles import Origin, Profiles, parse_profiles
from topiq_metrics.images.tiff import refuse_misread

ImageSource: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image | npt.NDArray[Any] | Tensor"
)
"""Types that `load_image` accepts."""


def load_image(source: ImageSource, *, max_pixels: int | None = MAX_PIXELS, profiles: Profiles = "apply") -> Tensor:
    """Decode one image to RGB.

    The format of a file is recognised by its first bytes, not by its name: AVIF, BMP, GIF, HEIF (with the extra
    ``heic``), JPEG, JPEG 2000, PNG, PPM (PBM, PGM, PFM), QOI, TIFF or WebP. Other formats that Pillow reads can be
    passed as a PIL image.

    - The EXIF orientation is applied. Damaged EXIF is ignored.
    - Colours with an embedded ICC profile (RGB, grey or CMYK) are converted to sRGB, with perceptual intent and 8 bits.
      A profile that is broken, or for another colour space than that of the pixels, is ignored; a profile that changes
      no colour by more than one level of 255 is taken for sRGB and leaves the values unchanged. Colour spaces that a
      file declares without a profile are converted, too: by code points (nclx, cICP), gamma and chromaticities (PNG,
      TIFF) or Exif (Adobe RGB).
    - HDR (PQ or HLG) is refused, and so is narrow-range RGB (black at 16).
    - Transparent pixels (alpha channels, palettes and colour keys) are composed on white, in sRGB values.
    - 16-bit greyscale keeps its precision, and its ICC profile is not applied. Of 16-bit colour, Pillow keeps the upper
      8 bits; HEIF and AVIF of more than 8 bits are reduced to 8. 32-bit integers must be in 0…65535, and floats in
      [0, 1].
    - Of an animation or a file with several pages, the first is used; of a TIFF, the first that is neither a reduced
      image of another nor a mask; of a PIL image, the current one.
    - Parts that are not needed for decoding (texts, unknown chunks and segments, animations of a PNG) are ignored, even
      if they are damaged. The checksums of a PNG's pixels, palette and header must be right.

    Thread-safe; no setting of Pillow is changed.

    Args:
        source: a path; the bytes of a file; a binary file object, which is read from its start and left open; a PIL
            image; a numpy array ``(H, W)`` or ``(H, W, C)``; a tensor ``(C, H, W)``. C is 1 (grey), 3 (RGB) or
            4 (RGBA), values are uint8, uint16 or floats in [0, 1].
        max_pixels: the most pixels (width x height) to accept, checked against a file's header; None for no limit. For
            TIFF and WebP, Pillow's own limit applies, too: 179 million, twice ``PIL.Image.MAX_IMAGE_PIXELS``.
        profiles: ``"apply"`` converts colours as above; ``"ignore"`` reads all values as sRGB, whatever the file
            declares, HDR included.

    Returns:
        ``(3, H, W)`` in [0, 1], float32, RGB, contiguous. On the CPU; for a tensor, on its device, and it may share the
        tensor's memory.

    Raises:
        ImageNotFoundError: if the file does not exist.
        NotAnImageError: if the bytes are not in a known image format.
        UnsupportedImageError: if the format is not supported, or is a variant that Pillow refuses or misreads.
        CameraRawError: if the file is a camera raw file, which holds thumbnails and sensor values.
        TruncatedImageError: if the file is empty, truncated or corrupt.
        ImageTooLargeError: if there are more than ``max_pixels`` pixels, or memory does not suffice.
        HDRImageError: if the image is HDR.
        ImageError: if the source cannot be read or used for another reason. The base class of all the above, and a
            ValueError.

    Examples:
        >>> import numpy as np
        >>> load_image(np.full((2, 2), 51, dtype=np.uint8))[:, 0, 0]
        tensor([0.2000, 0.2000, 0.2000])
    """
    return load_with_origin(source, max_pixels=max_pixels, profiles=profiles)[0]


def load_with_origin(
    source: object, *, max_pixels: int | None = MAX_PIXELS, profiles: str = "apply"
) -> tuple[Tensor, Origin]:
    """Decode as `load_image` does, and say what the colours were before."""
    decoded, name = _decode(source, max_pixels, parse_profiles(profiles))
    if isinstance(decoded, Tensor):
        return decoded, Origin()
    return pixels_to_rgb(decoded, name), decoded.origin


def open_image(source: object, *, max_pixels: int | None = MAX_PIXELS, profiles: str = "apply") -> OpenedImage:
    """Decode as `load_image` does, but leave it at that: for large images of which little is needed as floats."""
    decoded, name = _decode(source, max_pixels, parse_profiles(profiles))
    return OpenedImage.of_rgb(decoded) if isinstance(decoded, Tensor) else OpenedImage.of_pixels(decoded, name)


def _decode(source: object, max_pixels: int | None, profiles: Profiles) -> tuple[Pixels | Tensor, str]:
    """What a decoder gives, or ``(3, H, W)`` in [0, 1] of values in memory, and what errors call the image."""
    if isinstance(source, (Tensor, np.ndarray)):
        rgb = tensor_to_rgb(source) if isinstance(source, Tensor) else array_to_rgb(source)
        check_pixels("Argument `source`", rgb.shape[2], rgb.shape[1], max_pixels)
        return rgb, "source"
    if isinstance(source, Image.Image):
        return _decode_pillow(source, max_pixels, profiles)
    if isinstance(source, (str, os.PathLike)):
        return decode_path(source, max_pixels, profiles=profiles), os.fspath(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        name = f"<{len(data)} bytes>"
        return decode_stream(io.BytesIO(data), name, max_pixels, profiles=profiles), name
    if hasattr(source, "read"):
        return _decode_file(source, max_pixels, profiles)
    raise ImageError(
        "Argument `source` must be a path, bytes, a binary file, a PIL image, a numpy array or a tensor, but got "
        f"{type(source).__name__}.{' Load one image after the other.' if isinstance(source, (list, tuple)) else ''}"
    )


def _decode_file(file: Any, max_pixels: int | None, profiles: Profiles) -> tuple[Pixels, str]:
    label = getattr(file, "name", None)
    name = label if isinstance(label, str) and label else f"<{type(file).__name__}>"
    with image_errors(name):
        try:
            file.seek(0)
        except (AttributeError, OSError):
            file = io.BytesIO(file.read())
        return decode_stream(file, name, max_pixels, profiles=profiles), name


def _decode_pillow(image: Image.Image, max_pixels: int | None, profiles: Profiles) -> tuple[Pixels, str]:
    width, height = image.size
    name = str(getattr(image, "filename", "") or f"<PIL image, {image.mode}, {width} x {height}>")
    if not width or not height:
        raise ImageError(f"{name}: has no pixels.")
    check_pixels(name, width, height, max_pixels)
    with quiet_pillow(), strict_pillow(), image_errors(name, getattr(image, "fp", None)):
        refuse_misread(image, name)
        return pillow_to_pixels(image, name, profiles), name
