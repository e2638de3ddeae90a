"""One way to decode an image, wherever it comes from."""

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
from topiq_metrics.images.pillow_state import quiet_pillow, strict_pillow
from topiq_metrics.images.profiles import Origin, Profiles, parse_profiles
from topiq_metrics.images.tiff import refuse_misread

ImageSource: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image | npt.NDArray[Any] | Tensor"
)
"""What `load_image` takes."""


def load_image(source: ImageSource, *, max_pixels: int | None = MAX_PIXELS, profiles: Profiles = "apply") -> Tensor:
    """Decode one image to RGB.

    A file is what its first bytes say, whatever its name: AVIF, BMP, GIF, HEIF (with the extra ``heic``), JPEG,
    JPEG 2000, PNG, PPM (PBM, PGM, PFM), QOI, TIFF or WebP. What else Pillow reads may be passed as a PIL image.

    - The orientation that EXIF tells of is applied. Damaged EXIF is ignored.
    - Colours of an embedded ICC profile (RGB, grey or CMYK) are converted to sRGB, with perceptual intent and 8 bits.
      A profile that is broken, or of another colour space than the pixels, is ignored; one that moves no colour by
      more than one level of 255 is sRGB, and leaves the values as they are. So are those that a file tells of without
      a profile: by code points (nclx, cICP), gamma and chromaticities (PNG, TIFF) or Exif (Adobe RGB).
    - HDR (PQ or HLG) is refused, and so is RGB of narrow range (black at 16).
    - Transparent pixels are composed on white, in sRGB values: alpha channels, palettes and colour keys.
    - Sixteen-bit greyscale keeps its precision, and its ICC profile is not applied. Of sixteen-bit colour, Pillow
      keeps the upper 8 bits; more than 8 bits of HEIF and AVIF are reduced to 8. 32-bit integers must be in 0…65535,
      and floats in [0, 1].
    - Of an animation or a file with several pages, the first is taken; of a TIFF, the first that is neither a reduced
      image of another nor a mask; of a PIL image, the current one.
    - What a decoder does not need (texts, unknown chunks and segments, animations of a PNG) is passed over, and so is
      what is damaged there. The checksums of a PNG's pixels, palette and header must be right.

    Several threads may load images at once; no setting of Pillow is changed.

    Args:
        source: a path; the bytes of a file; a binary file object, which is read from its start and left open; a PIL
            image; a numpy array ``(H, W)`` or ``(H, W, C)``; a tensor ``(C, H, W)``. C is 1 (grey), 3 (RGB) or
            4 (RGBA), values are uint8, uint16 or floats in [0, 1].
        profiles: ``"apply"`` for the above; ``"ignore"`` takes all values for sRGB, whatever the file says of its
            colours, HDR included.
        max_pixels: the most pixels (width x height) to accept, judged from a file's header; None for no limit. TIFF
            and WebP have Pillow's own limit, too: 179 million, twice ``PIL.Image.MAX_IMAGE_PIXELS``.

    Returns:
        ``(3, H, W)`` in [0, 1], float32, RGB, contiguous. On the CPU, or on the device of a tensor, whose memory it
        may share.

    Raises:
        ImageNotFoundError: if there is no such file.
        NotAnImageError: if the bytes are of no format of images that is known.
        UnsupportedImageError: if they are of one that is not read, or of a kind of it that Pillow refuses or misreads.
        CameraRawError: if they are a camera's raw file, whose pages are thumbnails and a sensor's values.
        TruncatedImageError: if the file is empty, cut short or damaged.
        ImageTooLargeError: if there are more than ``max_pixels`` pixels, or memory does not suffice.
        HDRImageError: if the image is HDR.
        ImageError: if the source cannot be had or used otherwise. All the others are ImageErrors too, and ValueErrors.

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
    how = parse_profiles(profiles)
    if isinstance(source, Tensor):
        rgb = tensor_to_rgb(source)
        check_pixels("Argument `source`", rgb.shape[2], rgb.shape[1], max_pixels)
        return rgb, Origin()
    if isinstance(source, np.ndarray):
        rgb = array_to_rgb(source)
        check_pixels("Argument `source`", rgb.shape[2], rgb.shape[1], max_pixels)
        return rgb, Origin()
    if isinstance(source, Image.Image):
        return _load_pillow(source, max_pixels, how)
    if isinstance(source, (str, os.PathLike)):
        return _finish(decode_path(source, max_pixels, profiles=how), os.fspath(source))
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        name = f"<{len(data)} bytes>"
        return _finish(decode_stream(io.BytesIO(data), name, max_pixels, profiles=how), name)
    if hasattr(source, "read"):
        return _load_file(source, max_pixels, how)
    raise ImageError(
        "Argument `source` must be a path, bytes, a binary file, a PIL image, a numpy array or a tensor, but got "
        f"{type(source).__name__}.{' Load one image after the other.' if isinstance(source, (list, tuple)) else ''}"
    )


def _finish(pixels: Pixels, name: str) -> tuple[Tensor, Origin]:
    return pixels_to_rgb(pixels, name), pixels.origin


def _load_file(file: Any, max_pixels: int | None, profiles: Profiles) -> tuple[Tensor, Origin]:
    label = getattr(file, "name", None)
    name = label if isinstance(label, str) and label else f"<{type(file).__name__}>"
    with image_errors(name):
        try:
            file.seek(0)
        except (AttributeError, OSError):
            file = io.BytesIO(file.read())
        return _finish(decode_stream(file, name, max_pixels, profiles=profiles), name)


def _load_pillow(image: Image.Image, max_pixels: int | None, profiles: Profiles) -> tuple[Tensor, Origin]:
    width, height = image.size
    name = str(getattr(image, "filename", "") or f"<PIL image, {image.mode}, {width} x {height}>")
    if not width or not height:
        raise ImageError(f"{name}: has no pixels.")
    check_pixels(name, width, height, max_pixels)
    with quiet_pillow(), strict_pillow(), image_errors(name, getattr(image, "fp", None)):
        refuse_misread(image, name)
        return _finish(pillow_to_pixels(image, name, profiles), name)
