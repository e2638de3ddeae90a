"""Pixels and patches in the wrong place."""

from __future__ import annotations

import torch
from torch import Tensor


def jitter(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """Each pixel from up to 0.6 to 8 px away, rounded: on average half of that."""
    height, width = image.shape[-2:]
    reach = 0.6 * (8 / 0.6) ** severity
    rows, columns = (
        (torch.arange(length).view(shape) + reach * (2 * torch.rand(height, width, generator=generator) - 1))
        .round()
        .long()
        .clamp(0, length - 1)
        for length, shape in ((height, (-1, 1)), (width, (1, -1)))
    )
    return image[:, rows, columns]


def displaced_patches(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """A patch for each 2400 to 120 pixels, of 1/24 of the short side, from close by."""
    side = max(2, round(min(image.shape[-2:]) / 24))
    damaged = image.clone()
    for row, column in _places(image, side, 2400 * (120 / 2400) ** severity, generator):
        top, left = (
            int(torch.randint(max(0, start - side), min(length - side, start + side) + 1, (), generator=generator))
            for start, length in zip((row, column), image.shape[-2:], strict=True)
        )
        damaged[:, row : row + side, column : column + side] = image[:, top : top + side, left : left + side]
    return damaged


def color_blocks(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """A block of one random colour for each 64 000 to 3 000 pixels, of 1/12 of the short side."""
    side = max(2, round(min(image.shape[-2:]) / 12))
    damaged = image.clone()
    for row, column in _places(image, side, 64000 * (3000 / 64000) ** severity, generator):
        damaged[:, row : row + side, column : column + side] = torch.rand(3, 1, 1, generator=generator)
    return damaged


def lost_blocks(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """As errors of a transmission: a run of 8 px blocks for each 48 000 to 1 600 pixels shows what came before it."""
    damaged = image.clone()
    height, width = image.shape[-2:]
    for row, column in _places(image, 8, 48000 * (1600 / 48000) ** severity, generator):
        top, left = row // 8 * 8, column // 8 * 8
        end = min(width, left + 8 * int(torch.randint(2, 9, (), generator=generator)))
        before = damaged[:, top : min(height, top + 8), max(0, left - 8) : max(1, left)]
        damaged[:, top : top + 8, left:end] = before.mean(dim=(1, 2), keepdim=True)
    return damaged


def _places(image: Tensor, side: int, pixels_each: float, generator: torch.Generator) -> list[list[int]]:
    """Corners of squares inside the image, one at least."""
    height, width = image.shape[-2:]
    count = max(1, round(height * width / pixels_each))
    room = torch.tensor([height - side + 1, width - side + 1])
    places: list[list[int]] = (torch.rand(count, 2, generator=generator) * room).long().tolist()
    return places
