"""Swin-B (Liu et al., ICCV 2021, arXiv 2103.14030), window 12 at 384 x 384, as a pyramid: torchvision's blocks."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.models.swin_transformer import ShiftedWindowAttention, SwinTransformer

from topiq_metrics.models.backbones.base import Step, all_levels, chain

IMAGE_SIDE = 384
WINDOW = 12
GRIDS = (96, 48, 24)
"""The side of each stage's grid, before its downsampling; the last stage's is one window, which is never shifted."""


class SwinB(SwinTransformer):  # type: ignore[misc]
    """Four levels: what each stage hands on, after its downsampling; the last has none. No final norm.

    Takes images of 384 x 384 only.

    Raises:
        ValueError: on an image of any other size.
    """

    channels = (256, 512, 1024, 1024)
    strides = (8, 16, 32, 32)
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)
    halos = ()
    floats = ()

    def __init__(self) -> None:
        super().__init__(
            patch_size=[4, 4],
            embed_dim=128,
            depths=[2, 2, 18, 2],
            num_heads=[4, 8, 16, 32],
            window_size=[WINDOW, WINDOW],
            stochastic_depth_prob=0.0,
        )
        del self.norm, self.permute, self.avgpool, self.flatten, self.head
        for module in self.modules():
            if isinstance(module, ShiftedWindowAttention):
                # A constant has no place in a weights file.
                index = module.relative_position_index
                module.register_buffer("relative_position_index", index, persistent=False)

    def steps(self) -> list[Step]:
        # Stages and mergings take turns; a level is one of each, the last one without a merging.
        embed, *layers = self.features
        levels = [chain(*layers[index : index + 2], _channels_second) for index in range(0, len(layers), 2)]
        return [chain(_checked, embed, levels[0]), *(chain(_channels_last, level) for level in levels[1:])]

    def forward(self, image: Tensor) -> list[Tensor]:
        return all_levels(self.steps(), image)


def _channels_second(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)


def _channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


def _checked(image: Tensor) -> Tensor:
    if image.shape[-2:] != (IMAGE_SIDE, IMAGE_SIDE):
        raise ValueError(
            f"Argument `image` must have shape (N, 3, {IMAGE_SIDE}, {IMAGE_SIDE}) for a Swin-B network, but got "
            f"{tuple(image.shape)}: resize it first, by the size rule 'square={IMAGE_SIDE}'."
        )
    return image


def relative_position_index() -> Tensor:
    """Which row of the bias table each pair of cells of a window takes, ``(144, 144)``."""
    cells = torch.arange(WINDOW**2)
    row, column = cells // WINDOW, cells % WINDOW
    span = 2 * WINDOW - 1
    return (row[:, None] - row + WINDOW - 1) * span + column[:, None] - column + WINDOW - 1


def shift_mask(grid: int) -> Tensor:
    """What is added to the attention in a grid's shifted windows, ``((grid / 12)², 144, 144)``.

    It is -100 between cells that only the shift brought together.
    """
    position = torch.arange(grid)
    # Shifted by half a window, the last one holds the grid's last cells and, after them, its first ones.
    part = (position >= grid - WINDOW).long() + (position >= grid - WINDOW // 2).long()
    count = grid // WINDOW
    parts = (3 * part[:, None] + part).view(count, WINDOW, count, WINDOW).transpose(1, 2).reshape(count**2, -1)
    return (parts[:, None] != parts[:, :, None]).to(torch.float32) * -100.0
