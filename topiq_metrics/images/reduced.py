"""Decoding at a fraction of an image's size, for codecs that can: less work, but not the same pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from PIL import Image

from topiq_metrics.images.jpeg2000 import droppable_levels
from topiq_metrics.images.orientation import lies_on_its_side

Decode = Literal["exact", "fast"]

LeastSize: TypeAlias = Callable[[int, int], "tuple[int, int] | None"]
"""The least height and width to decode an image of a height and width to, all as stored; None for all of it."""


@dataclass(frozen=True)
class Reduction:
    """What a decoder has made of an image at once.

    Attributes:
        height, width: of the whole image, upright, in pixels.
        codec: its format.
        factor: 2, 4 or 8: what its sides were divided by.
    """

    height: int
    width: int
    codec: str
    factor: int

    def is_like(self, other: Reduction | None) -> bool:
        """Whether another image was reduced in the same way, so that the two can be compared pixel by pixel."""
        return other is not None and (self.codec, self.factor) == (other.codec, other.factor)


def parse_decode(decode: str) -> Decode:
    """Check the name of a way to decode.

    Raises:
        ValueError: if it is neither ``"exact"`` nor ``"fast"``.
    """
    if decode not in ("exact", "fast"):
        raise ValueError(f"Argument `decode` must be 'exact' or 'fast', but got {decode!r}.")
    return cast("Decode", decode)


def reduce_decoding(image: Image.Image, least_size: LeastSize) -> Reduction | None:
    """Have a Pillow image decode to a half, a quarter or an eighth of its sides.

    JPEG is scaled by libjpeg within its blocks (a cosine transform of fewer terms), and of JPEG 2000 the finest levels
    of the wavelets are left out. Other codecs do no such thing, or Pillow has no access to it.

    Args:
        image: just opened.
        least_size: says what it may not fall below.

    Returns:
        What it will be; None if it decodes as a whole.
    """
    width, height = image.size
    least = least_size(height, width)
    # A mean of a palette's numbers is no colour.
    if least is None or image.mode in ("P", "PA"):
        return None
    factor = _factor(height // max(least[0], 1), width // max(least[1], 1))
    if image.format == "JPEG":
        factor = _scale_jpeg(image, factor)
    elif image.format == "JPEG2000":
        factor = _drop_levels(image, factor)
    else:
        return None
    if factor == 1:
        return None
    if lies_on_its_side(image):
        width, height = height, width
    return Reduction(height, width, image.format, factor)


def _factor(*ratios: int) -> int:
    return next((factor for factor in (8, 4, 2) if factor <= min(ratios)), 1)


def _scale_jpeg(image: Image.Image, factor: int) -> int:
    width, height = image.size
    image.draft(None, (width // factor, height // factor))
    return factor if image.size != (width, height) else 1


def _drop_levels(image: Any, factor: int) -> int:
    factor = min(factor, 1 << droppable_levels(image.fp))
    # Pillow takes the nearest whole size for what OpenJPEG rounds up, and fails where the two differ.
    while factor > 1 and any(0 < side % factor < factor / 2 for side in image.size):
        factor //= 2
    image.reduce = factor.bit_length() - 1
    return factor
