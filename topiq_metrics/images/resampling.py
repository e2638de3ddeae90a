"""Shrinking with antialiasing in numpy, from rows as they come; needs no torch, as all that a decoding process does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Rows: TypeAlias = Callable[[int, int], Floats]
"""Rows from a first to before a last: ``(n, W, C)``."""

BLOCK = 16
"""Rows that are taken at once: what they hold stays in a processor's cache."""

_COLUMNS = 64
"""Columns that are weighted at once: of each row, such a block holds 192 values only."""


def shrink(rows: Rows, size: tuple[int, int], target: tuple[int, int]) -> Floats:
    """Bilinear with antialiasing, as `topiq_metrics.images.SizePolicy.apply` does but for rounding.

    Args:
        rows: gives rows of the image, ``(n, W, C)``.
        size: its height and width.
        target: the height and width to make of it.

    Returns:
        ``(C, h, w)``.
    """
    (height, width), (target_height, target_width) = size, target
    channels = rows(0, 1).shape[-1]

    def lines(start: int, end: int) -> Floats:
        # Grey as three channels: one alone would be rounded otherwise than the same values in colour.
        return np.broadcast_to(rows(start, end), (end - start, width, 3)).reshape(end - start, -1)

    short = _weighted(lines, height, target_height, BLOCK).reshape(target_height, width, -1)
    small = _weighted(lambda start, end: short[:, start:end], width, target_width, _COLUMNS)
    return np.ascontiguousarray(small[..., :channels].transpose(2, 0, 1))


def _weighted(lines: Rows, side: int, target: int, count: int) -> Floats:
    """Weighted sums ``(…, target, K)`` of ``side`` lines, which come as ``(…, n, K)``, at most ``count`` at a time."""
    starts, weights = triangles(side, target)
    ends = starts + weights.shape[1]
    out = np.zeros(0, np.float32)
    for start in range(0, side, count):
        end = min(start + count, side)
        first, last = int(np.searchsorted(ends, start, "right")), int(np.searchsorted(starts, end))
        values = lines(start, end)
        if not start:
            out = np.zeros((*values.shape[:-2], target, values.shape[-1]), np.float32)
        block = np.zeros((last - first, end - start), np.float32)
        for line in range(first, last):
            left, right = max(int(starts[line]), start), min(int(ends[line]), end)
            block[line - first, left - start : right - start] = weights[
                line, left - starts[line] : right - starts[line]
            ]
        out[..., first:last, :] += block @ values
    return out


def triangles(side: int, target: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """For each of ``target`` pixels, the first of ``side`` that it is made of, and their weights ``(target, n)``.

    A weight falls linearly with the distance of the centres, to nothing at one pixel of the coarser grid.
    """
    # In single precision, as PyTorch has it: at large positions, weights differ by some 1e-5 from those of double.
    scale = np.float32(side) / np.float32(target)
    reach = max(scale, np.float32(1))
    centers = scale * (np.arange(target, dtype=np.float32) + np.float32(0.5))
    starts = np.maximum((centers - reach + np.float32(0.5)).astype(np.int64), 0)
    count = min(int(np.ceil(reach)) * 2 + 1, side)
    starts = np.minimum(starts, side - count)
    positions = (starts[:, None] + np.arange(count)).astype(np.float32)
    weights = np.maximum(1 - np.abs(positions - centers[:, None] + np.float32(0.5)) * (1 / reach), 0)
    return starts, weights / weights.sum(axis=1, keepdims=True)
