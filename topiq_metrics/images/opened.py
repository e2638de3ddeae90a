"""An image that is decoded, of which no more is turned into floats at once than has to be."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from topiq_metrics.images.arrays import rows_to_rgb
from topiq_metrics.images.color import Pixels
from topiq_metrics.images.profiles import Origin
from topiq_metrics.images.resampling import BLOCK, Rows, shrink
from topiq_metrics.images.size import SizePolicy
from topiq_metrics.images.unit_range import UnitRows


@dataclass(frozen=True, eq=False)
class OpenedImage:
    """Rows of an image.

    Attributes:
        height, width: in pixels, upright.
        origin: what its colours were in the file.
        rows: those from a first to before a last: float32 ``(n, W, C)`` in [0, 1], C being 1 or 3.
        whole: all of them as ``(3, H, W)``, where they are in memory anyway.
    """

    height: int
    width: int
    origin: Origin
    rows: Rows
    whole: Tensor | None = None

    @classmethod
    def of_pixels(cls, pixels: Pixels, name: str) -> OpenedImage:
        """What a decoder gave for the image that errors call ``name``.

        Raises:
            ImageError: if floats are out of range.
        """
        rows = UnitRows(pixels, name)
        return cls(*rows.size, pixels.origin, rows)

    @classmethod
    def of_rgb(cls, rgb: Tensor) -> OpenedImage:
        """``(3, H, W)`` in [0, 1], float32."""
        values = rgb.detach().cpu()

        def rows(start: int, end: int) -> NDArray[np.float32]:
            part: NDArray[np.float32] = values[:, start:end].permute(1, 2, 0).numpy()
            return part

        return cls(rgb.shape[1], rgb.shape[2], Origin(), rows, values)

    def cropped(self, left: int, top: int, right: int, bottom: int) -> OpenedImage:
        """A part of the image: its borders, in pixels."""
        rows = self.rows
        return OpenedImage(
            bottom - top,
            right - left,
            self.origin,
            lambda start, end: rows(top + start, top + end)[:, left:right],
            None if self.whole is None else self.whole[:, top:bottom, left:right],
        )

    def sized(self, policy: SizePolicy) -> Tensor:
        """The image as it is scored under a size policy: ``(1, 3, h, w)`` in [0, 1], on the CPU."""
        size = self.height, self.width
        target = policy.output_size(*size)
        if target[0] * target[1] < size[0] * size[1]:
            small = torch.from_numpy(shrink(self.rows, size, target))
            return small.expand(3, -1, -1).contiguous()[None]
        whole = rows_to_rgb(self.rows, *size) if self.whole is None else self.whole
        return policy.apply(whole[None])

    def in_memory(self) -> OpenedImage:
        """The image with all of its values: parts of it that are not resized then share them."""
        return self if self.whole is not None else replace(self, whole=rows_to_rgb(self.rows, self.height, self.width))

    def in_bytes(self) -> NDArray[np.uint8]:
        """The image as 8-bit values, ``(H, W, 3)``."""
        pixels = np.empty((self.height, self.width, 3), dtype=np.uint8)
        for start in range(0, self.height, BLOCK):
            end = min(start + BLOCK, self.height)
            pixels[start:end] = np.rint(self.rows(start, end) * np.float32(255)).astype(np.uint8)
        return pixels
