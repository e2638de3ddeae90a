"""Pixels and patches in the wrong place."""

from __future__ import annotations

import torch
from torch import Tensor

from topiq_metrics.training.distortions.scale import geometric


def jitter(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """Each pixel from up to 0.6 to 8 px away, rounded: on average half of that."""
    height, width = image.shape[-2:]
    reach = geometric(0.6, 8, severity)
    rows, columns = (
        (torch.arange(length).view(shape) + reach * (2 * torch.rand(height, width, generator=generator) - 1))
        .round()
        .long()
        .clamp(0, length - 1)
        for length, shape in ((height, (-1, 1)), (width, (1, -1)))
    )
    return image[:, rows, columns]


def displaced_patches(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """From 8 to 300 patches, of 1/24 of the short side, from close by."""
    side = max(2, round(min(image.shape[-2:]) / 24))
    damaged = image.clone()
    for _ in range(round(geometric(8, 300, severity))):
        row, column = _place(image, side, generator)
        top, left = (
            int(torch.randint(max(0, start - side), min(length - side, start + side) + 1, (), generator=generator))
            for start, length in zip((row, column), image.shape[-2:], strict=True)
        )
        damaged[:, row : row + side, column : column + side] = image[:, top : top + side, left : left + side]
    return damaged


def color_blocks(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """From 1 to 30 blocks, of 1/12 of the short side, each of one random colour."""
    side = max(2, round(min(image.shape[-2:]) / 12))
    damaged = image.clone()
    for _ in range(round(geometric(1, 30, severity))):
        row, column = _place(image, side, generator)
        damaged[:, row : row + side, column : column + side] = torch.rand(3, 1, 1, generator=generator)
    return damaged


def lost_blocks(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """As errors of a transmission: runs of 8 px blocks, each of one colour; one for every 24 000 to 1 600 pixels."""
    damaged = image.clone()
    height, width = image.shape[-2:]
    for _ in range(max(1, round(height * width / geometric(24000, 1600, severity)))):
        row, column = _place(image, 8, generator)
        top, left = row // 8 * 8, column // 8 * 8
        end = min(width, left + 8 * int(torch.randint(2, 9, (), generator=generator)))
        before = image[:, top : top + 8, max(0, left - 8) : max(1, left)]
        damaged[:, top : top + 8, left:end] = before.mean(dim=(1, 2), keepdim=True)
    return damaged


def _place(image: Tensor, side: int, generator: torch.Generator) -> tuple[int, int]:
    """The corner of a square inside the image."""
    row, column = (int(torch.randint(length - side + 1, (), generator=generator)) for length in image.shape[-2:])
    return row, column
