"""What CFANet asks of every backbone, and Swin's constants."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.swin_transformer import ShiftedWindowAttention

from topiq_metrics.models.backbones import BACKBONES, Backbone, build_backbone
from topiq_metrics.models.backbones.swin import GRIDS, WINDOW, relative_position_index, shift_mask


@pytest.fixture(params=BACKBONES)
def backbone(request: pytest.FixtureRequest) -> nn.Module:
    with torch.device("meta"):
        return build_backbone(request.param)


def test_maps_are_as_declared(backbone: nn.Module) -> None:
    assert isinstance(backbone, Backbone)
    maps = backbone(torch.empty(2, 3, 384, 384, device="meta"))
    expected = [(2, c, 384 // s, 384 // s) for c, s in zip(backbone.channels, backbone.strides, strict=True)]
    assert [tuple(level.shape) for level in maps] == expected


def test_every_parameter_is_used(backbone: nn.Module) -> None:
    maps = backbone(torch.empty(1, 3, 384, 384, device="meta"))
    torch.cat([level.flatten() for level in maps]).sum().backward()
    assert [name for name, parameter in backbone.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("size", [(384, 383), (96, 384), (768, 768)])
def test_swin_refuses_other_sizes(size: tuple[int, int]) -> None:
    with torch.device("meta"):
        backbone, image = build_backbone("swin_base"), torch.empty(1, 3, *size)
    with pytest.raises(ValueError, match=rf"\(N, 3, 384, 384\).*\(1, 3, {size[0]}, {size[1]}\).*square=384"):
        backbone(image)


def test_swin_saves_no_constants() -> None:
    with torch.device("meta"):
        backbone = build_backbone("swin_base")
    assert set(backbone.state_dict()) == {name for name, _ in backbone.named_parameters()}


def test_unknown_backbone() -> None:
    with pytest.raises(ValueError, match=r"must be one of .*'swin_base'.*'vgg'"):
        build_backbone("vgg")


def test_position_index_is_that_of_the_blocks() -> None:
    block = ShiftedWindowAttention(4, [WINDOW, WINDOW], [0, 0], 1)
    assert torch.equal(relative_position_index().flatten(), block.relative_position_index)


@pytest.mark.parametrize("grid", GRIDS)
def test_shift_mask_parts_what_is_not_near(grid: int) -> None:
    side = torch.arange(grid).roll(-(WINDOW // 2))
    rows, columns = _windows(side[:, None].expand(grid, grid)), _windows(side.expand(grid, grid))
    apart = [(axis[:, None] - axis[:, :, None]).abs() >= WINDOW for axis in (rows, columns)]
    assert torch.equal(shift_mask(grid) == -100, apart[0] | apart[1])
    assert torch.equal(shift_mask(grid) == 0, ~(apart[0] | apart[1]))


def _windows(x: Tensor) -> Tensor:
    """Cut a grid into windows, ``(H, W) -> (windows, cells)``."""
    return x.unfold(0, WINDOW, WINDOW).unfold(1, WINDOW, WINDOW).flatten(0, 1).flatten(1)


def test_every_other_block_of_swin_is_shifted() -> None:
    with torch.device("meta"):
        backbone = build_backbone("swin_base")
    shifts = [block.attn.shift_size for stage in backbone.features[1::2] for block in stage]
    assert shifts == [[0, 0], [6, 6]] * 12
