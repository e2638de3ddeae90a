"""Random crops, and the seeds that decide them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from topiq_metrics.training.recipe import DataSettings


def draw_seed(*parts: object) -> int:
    """A seed that depends on all of the parts."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


def generator_of(*parts: object) -> torch.Generator:
    return torch.Generator().manual_seed(draw_seed(*parts))


class RandomCrop:
    """The same square crop of images of one size, mirrored at random, as they are or scaled a little.

    With a side of 0 all of the images, mirrored at random.
    """

    def __init__(self, settings: DataSettings, side: int) -> None:
        self.side = side
        self.probability = settings.rescale_probability
        self.smallest = settings.rescale_smallest
        self.enlarge_probability = settings.enlarge_probability
        self.largest = settings.enlarge_largest

    def __call__(self, images: Sequence[Tensor], generator: torch.Generator) -> list[Tensor]:
        crops = self._cropped(images, generator) if self.side else list(images)
        return [crop.flip(-1) for crop in crops] if _draw(generator) < 0.5 else crops

    def _cropped(self, images: Sequence[Tensor], generator: torch.Generator) -> list[Tensor]:
        side = self.side
        if _draw(generator) < self.probability:
            side = round(side / (self.smallest + (1 - self.smallest) * _draw(generator)))
        # Nothing is drawn for what is not asked for, so that a recipe without it draws what it always drew.
        if self.enlarge_probability and _draw(generator) < self.enlarge_probability:
            side = round(self.side / self.largest ** _draw(generator))
        size = images[0].shape[-2:]
        side = min(side, *size)
        top, left = (int(torch.randint(0, length - side + 1, (), generator=generator).item()) for length in size)
        crops = [image[:, top : top + side, left : left + side] for image in images]
        if side != self.side:
            crops = [
                F.interpolate(crop[None], size=(self.side,) * 2, mode="bilinear", antialias=True, align_corners=False)[
                    0
                ]
                for crop in crops
            ]
        return crops


def _draw(generator: torch.Generator) -> float:
    return torch.rand((), generator=generator).item()
