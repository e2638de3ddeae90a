"""A Pillow image of any mode to sRGB or grey values: sixteen bits, palettes, colour spaces, alpha and orientation."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from topiq_metrics.errors import HDRImageError, ImageError, UnsupportedImageError
from topiq_metrics.images.orientation import turn_to_upright
from topiq_metrics.images.profiles import Origin, Profiles, deep_to_srgb, find_space, not_applied, to_srgb
from topiq_metrics.images.reduced import Reduction
from topiq_metrics.images.spaces import Space
from topiq_metrics.images.tiff import small_palette, zero_is_white

_BITS_PER_SAMPLE = 258
_KEY_FACTOR = "_topiq_metrics_key_factor"


class StoredValues:
    """The 8-bit values of a Pillow image, ``(H, W)`` or ``(H, W, 3)``, row by row.

    An array of all of them takes as long to make as the image takes to decode. A pickled one becomes that array.
    """

    _array: npt.NDArray[np.uint8] | None = None

    def __init__(self, image: Image.Image) -> None:
        self._image = image
        self.shape = (image.height, image.width, *(3,) * (image.mode == "RGB"))

    def __getitem__(self, rows: slice) -> npt.NDArray[np.uint8]:
        start, end, _ = rows.indices(self.shape[0])
        # Pillow holds a part of an image against its limit for files.
        if self._array is None and (end - start) * self.shape[1] > (Image.MAX_IMAGE_PIXELS or math.inf):
            self._array = np.asarray(self)
        if self._array is not None:
            return self._array[rows]
        part = self._image.crop((0, start, self.shape[1], end))
        return _as_array(part.tobytes(), end - start, *self.shape[1:])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self._image, dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return _as_array, (self._image.tobytes(), *self.shape)


def _as_array(data: bytes, *shape: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8).reshape(shape)


@dataclass(frozen=True)
class Pixels:
    """What a file holds, upright and in sRGB, in the type it was stored in.

    Attributes:
        values: ``(H, W)`` for grey or ``(H, W, 3)``.
        full_scale: the value that stands for 1; None for floats.
        alpha: opacity ``(H, W)``, 255 being opaque; None where all is.
        transparent: where a colour key makes it transparent, ``(H, W)``; None where there is none.
        origin: what the colours were in the file.
        reduction: where a decoder has made the image smaller at once, how.
    """

    values: npt.NDArray[Any] | StoredValues
    full_scale: int | None
    alpha: npt.NDArray[np.uint8] | None = None
    transparent: npt.NDArray[np.bool_] | None = None
    origin: Origin = field(default_factory=Origin)
    reduction: Reduction | None = None


def pillow_to_pixels(image: Image.Image, name: str, profiles: Profiles = "apply") -> Pixels:
    """Decode a Pillow image.

    Args:
        image: of any mode; its current frame is taken.
        name: what to call the image in errors.
        profiles: whether colours are converted to sRGB, or read as if they were.

    Raises:
        HDRImageError: if it is HDR, unless ``profiles`` are ignored.
        UnsupportedImageError: if its colours are of narrow range, unless ``profiles`` are ignored.
        ImageError: if the values have no known scale.
    """
    # Before the pixels are loaded, after which Pillow has closed the file.
    space = find_space(image)
    if profiles == "apply":
        if space is not None and space.hdr:
            raise HDRImageError(
                f"{name}: is HDR: {space.name}. Scores are for SDR: tone-map it first, or have its values read as if "
                "they were sRGB (profiles='ignore', --profiles ignore)."
            )
        if space is not None and space.is_narrow:
            raise UnsupportedImageError(
                f"{name}: is of {space.name}, in which black is 16 and white 235 of 255: write it with full range "
                "first, or have its values read as they are (profiles='ignore', --profiles ignore)."
            )
        return _decode(image, name, space)
    origin = Origin(hdr="" if space is None or not space.hdr else space.name)
    return replace(_decode(image, name, None), origin=origin)


def _decode(image: Image.Image, name: str, space: Space | None) -> Pixels:
    key_factor = _color_key_factor(image)
    image.load()
    turn = turn_to_upright(image)
    palette = small_palette(image)
    if palette is not None:
        image = image.copy()
        image.putpalette(palette)
    if turn is not None:
        image = image.transpose(turn)
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_grey(image, name, space)
    alpha = None
    grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        image = _with_alpha(image, key_factor)
        alpha = np.array(image.getchannel("A"))
        image = image.getchannel("R") if grey else image.convert("RGB")
    elif image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if grey else "RGB")
    image, origin = to_srgb(image, space)
    return Pixels(StoredValues(image), 255, alpha, origin=origin)


def _deep_grey(image: Image.Image, name: str, space: Space | None) -> Pixels:
    values = np.array(image)
    if image.mode == "F":
        upright = 1 - values if zero_is_white(image) else values
        return Pixels(upright, None, origin=not_applied(space, "the picture is of floats"))
    if image.mode == "I" and not 0 <= values.min() <= values.max() <= 65535:
        raise ImageError(
            f"{name}: 32-bit pixels must be in 0...65535, but these are from {values.min()} to {values.max()}",
            "; scale them to [0, 1] and pass the array.",
        )
    scale = _full_scale(image)
    if zero_is_white(image):
        values = scale - values
    key = image.info.get("transparency")
    transparent = values == key if isinstance(key, int) else None
    converted, origin = deep_to_srgb(values, scale, space)
    is_float = converted.dtype == np.float32
    return Pixels(converted, None if is_float else scale, transparent=transparent, origin=origin)


def _full_scale(image: Image.Image) -> int:
    tags: Any = getattr(image, "tag_v2", {})
    return 4095 if tags.get(_BITS_PER_SAMPLE) == (12,) else 65535


def _color_key_factor(image: Image.Image) -> int:
    """How far Pillow stretches the pixels of a grey PNG with 2 or 4 bits, but not its colour key.

    Of a picture that is loaded Pillow does not tell any more, so that it is noted on the object.
    """
    tiles: Any = getattr(image, "tile", ())
    if image.format == "PNG" and tiles:
        setattr(image, _KEY_FACTOR, {"L;2": 85, "L;4": 17}.get(str(tiles[0].args), 1))
    return int(getattr(image, _KEY_FACTOR, 1))


def _with_alpha(image: Image.Image, key_factor: int) -> Image.Image:
    if image.mode == "La":
        return image.convert("LA").convert("RGBA")
    key = image.info.get("transparency")
    if key_factor != 1 and isinstance(key, int):
        image = image.copy()
        image.info["transparency"] = key * key_factor
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        # The pixels of a 16-bit PNG lost their lower bytes, and its colour key must, too.
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in key)
    return image.convert("RGBA")
