"""Swin-B (Liu et al., ICCV 2021, arXiv 2103.14030), window 12 at 384 x 384, as a pyramid: torchvision's blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models.swin_transformer import ShiftedWindowAttention, SwinTransformer
from torchvision.ops import Permute

from topiq_metrics.models.backbones.base import Backbone

IMAGE_SIDE = 384
WINDOW = 12
GRIDS = (96, 48, 24)
"""The side of each stage's grid, before its downsampling; the last stage's is one window, which is never shifted."""


class SwinB(Backbone):
    """Four levels: what each stage hands on, after its downsampling; the last has none. No final norm.

    Takes images of 384 x 384 only.

    Raises:
        ValueError: on an image of any other size.
    """

    channels = (256, 512, 1024, 1024)
    strides = (8, 16, 32, 32)
    # Stages and mergings take turns after the embedding. They have channels last.
    step_layers = (
        ("check", "features.0", "features.1", "features.2", "to_maps.0"),
        ("to_grids.0", "features.3", "features.4", "to_maps.1"),
        ("to_grids.1", "features.5", "features.6", "to_maps.2"),
        ("to_grids.2", "features.7", "to_maps.3"),
    )
    fixed_side = IMAGE_SIDE

    def __init__(self) -> None:
        super().__init__()
        classifier = SwinTransformer(
            patch_size=[4, 4],
            embed_dim=128,
            depths=[2, 2, 18, 2],
            num_heads=[4, 8, 16, 32],
            window_size=[WINDOW, WINDOW],
            stochastic_depth_prob=0.0,
        )
        self.check = _SizeCheck()
        self.features: nn.Sequential = classifier.features
        self.to_maps = nn.ModuleList(Permute([0, 3, 1, 2]) for _ in self.channels)
        self.to_grids = nn.ModuleList(Permute([0, 2, 3, 1]) for _ in self.channels[1:])
        for module in self.modules():
            if isinstance(module, ShiftedWindowAttention):
                # A constant has no place in a weights file.
                index = module.relative_position_index
                module.register_buffer("relative_position_index", index, persistent=False)


class _SizeCheck(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
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
