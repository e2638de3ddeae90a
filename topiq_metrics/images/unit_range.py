"""What a decoder gives, row by row, as floats in [0, 1]; needs no torch, as all that a decoding process does."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from topiq_metrics.errors import ImageError
from topiq_metrics.images.color import Pixels

RANGE_TOLERANCE = 1e-3
"""How far beyond [0, 1] values may be, for rounding."""


class UnitRows:
    """Rows from a first to before a last: float32 ``(n, W, C)``, C being 1 or 3, on white where they are transparent.

    Args:
        pixels: what a decoder gave.
        name: what to call the image in errors.

    Raises:
        ImageError: if floats are out of range.
    """

    def __init__(self, pixels: Pixels, name: str) -> None:
        self._pixels = pixels
        if pixels.full_scale is None:
            values = np.asarray(pixels.values)
            check_unit_range(float(values.min()), float(values.max()), name)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self._pixels.values.shape[:2]
        return height, width

    @property
    def channels(self) -> int:
        return int((*self._pixels.values.shape, 1)[2])

    def __call__(self, start: int, end: int) -> npt.NDArray[np.float32]:
        pixels, part = self._pixels, slice(start, end)
        rows = pixels.values[part].astype(np.float32).reshape(-1, self.size[1], self.channels)
        if pixels.full_scale is None:
            rows.clip(0, 1, out=rows)
        else:
            rows /= np.float32(pixels.full_scale)
        if pixels.transparent is not None:
            rows[pixels.transparent[part]] = 1
        if pixels.alpha is not None:
            alpha = pixels.alpha[part, :, None].astype(np.float32) / np.float32(255)
            rows = rows * alpha + (1 - alpha)
        return rows


def check_unit_range(low: float, high: float, name: str) -> None:
    """Raise ImageError if the extremes of floats, which may be NaN, are out of [0, 1] by more than rounding."""
    if not (low >= -RANGE_TOLERANCE and high <= 1 + RANGE_TOLERANCE):
        raise ImageError(f"{name}: floating-point pixels must be in [0, 1], but these are from {low:.6g} to {high:.6g}")
