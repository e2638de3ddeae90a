"""A Pillow image of any mode to sRGB or grey values: sixteen bits, palettes, ICC profiles, alpha and orientation."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms

from topiq_metrics.errors import ImageError
from topiq_metrics.images.tiff import zero_is_white

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK"}
_BITS_PER_SAMPLE = 258


@dataclass(frozen=True)
class Pixels:
    """What a file holds, upright and in sRGB, in the type it was stored in.

    Attributes:
        values: ``(H, W)`` for grey or ``(H, W, 3)``.
        full_scale: the value that stands for 1; None for floats.
        alpha: opacity ``(H, W)``, 255 being opaque; None where all is.
        transparent: where a colour key makes it transparent, ``(H, W)``; None where there is none.
    """

    values: npt.NDArray[Any]
    full_scale: int | None
    alpha: npt.NDArray[np.uint8] | None = None
    transparent: npt.NDArray[np.bool_] | None = None


def pillow_to_pixels(image: Image.Image, name: str) -> Pixels:
    """Decode a Pillow image.

    Args:
        image: of any mode; its current frame is taken.
        name: what to call the image in errors.

    Raises:
        ImageError: if the values have no known scale.
    """
    image.load()
    turn = _TURNS.get(_orientation(image))
    if turn is not None:
        image = image.transpose(turn)
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_grey(image, name)
    alpha = None
    grey = image.mode in ("1", "L", "LA", "La")
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        image = _with_alpha(image)
        alpha = np.array(image.getchannel("A"))
        image = image.getchannel("R") if grey else image.convert("RGB")
    elif grey:
        image = image.convert("L")
    elif image.mode != "CMYK":
        image = image.convert("RGB")
    return Pixels(np.array(_to_srgb(image, profile)), 255, alpha)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 - damaged EXIF fails in any way, and the pixels are good without it
        return 1
    return value if isinstance(value, int) else 1


def _deep_grey(image: Image.Image, name: str) -> Pixels:
    values = np.array(image)
    if image.mode == "F":
        return Pixels(1 - values if zero_is_white(image) else values, None)
    if image.mode == "I" and not 0 <= values.min() <= values.max() <= 65535:
        raise ImageError(
            f"{name}: 32-bit pixels must be in 0...65535, but these are from {values.min()} to {values.max()}",
            "; scale them to [0, 1] and pass the array.",
        )
    scale = _full_scale(image)
    if zero_is_white(image):
        values = scale - values
    key = image.info.get("transparency")
    return Pixels(values, scale, transparent=values == key if isinstance(key, int) else None)


def _full_scale(image: Image.Image) -> int:
    tags: Any = getattr(image, "tag_v2", {})
    return 4095 if tags.get(_BITS_PER_SAMPLE) == (12,) else 65535


def _with_alpha(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        return image.convert("LA").convert("RGBA")
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        # The pixels of a 16-bit PNG lost their lower bytes, and its colour key must, too.
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in key)
    return image.convert("RGBA")


def _to_srgb(image: Image.Image, profile: Any) -> Image.Image:
    transform = _srgb_transform(profile, image.mode) if isinstance(profile, bytes) else None
    if transform is not None:
        return transform.apply(image)
    return image.convert("RGB") if image.mode == "CMYK" else image


@functools.lru_cache(maxsize=16)
def _srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Build the way from ``profile`` to sRGB; None where pixels are to be left as they are."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != _PROFILE_SPACES[mode]:
            return None
        target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        transform = ImageCms.ImageCmsTransform(source, target, mode, "RGB")
    except (OSError, ValueError, TypeError):
        return None
    return None if mode != "CMYK" and _changes_nothing(transform, mode) else transform


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Tell whether no colour of a grid moves by more than one level: then the profile is sRGB under another name."""
    if mode == "L":
        probe = np.arange(256, dtype=np.uint8)[None]
    else:
        levels = np.arange(0, 256, 17, dtype=np.uint8)
        probe = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    moved = np.array(transform.apply(Image.fromarray(probe))).astype(int)
    return bool(np.abs(moved - (probe[..., None] if mode == "L" else probe).astype(int)).max() <= 1)
