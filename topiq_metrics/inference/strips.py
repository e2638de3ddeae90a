"""Scores in bounded memory: images in small groups, and those that are too large in strips of rows.

What comes after the pooled levels works on the deepest grid, which is small.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from topiq_metrics.inference.memory import plan
from topiq_metrics.inference.rows import Pyramid, Rows, Segment
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.models.heads import AnchoredHead
from topiq_metrics.models.network import QualityNetwork
from topiq_metrics.models.pooling import GatedPool

_ROWS = 256
"""Of an image, whose difference from its reference is held at a time."""


def score_within(
    net: QualityNetwork, image: Tensor, reference: Tensor | None = None, *, max_memory: int | None
) -> Tensor:
    """Score images ``(N, 3, H, W)`` as ``net`` does, in about ``max_memory`` bytes beside the images and the weights.

    Where even the thinnest strips need more than that, they are taken. Networks without strips (LPIPS+, and those on
    Swin, whose images are small) run as they are, and so does what is to be differentiated, whose graph holds
    everything anyway.
    """
    images = [image] if reference is None else [image, reference]
    if _runs_whole(net, images, max_memory):
        scores: Tensor = net(*images)
        return scores
    net = cast(CFANet, net)
    return _score(net, output_within(net, *images, max_memory=max_memory), images)


def output_within(net: CFANet, image: Tensor, reference: Tensor | None = None, *, max_memory: int | None) -> Tensor:
    """The raw output of the head, ``(N, K)``, as `score_within`."""
    net.check_inputs(reference)
    images = [image] if reference is None else [image, reference]
    if max_memory is None or _runs_whole(net, images, max_memory):
        return net.regress(list(net.levels(*images)))
    pyramid = Pyramid(net, image.shape[-2], image.shape[-1])
    group = max_memory if image.device.type != "cpu" else net.backbone.group_bytes
    way = plan(pyramid, max_memory // image.element_size(), group // image.element_size())
    outputs = []
    for several in zip(*(torch.split(x, way.regressed) for x in images), strict=True):
        groups = zip(*(torch.split(x, way.images) for x in several), strict=True)
        levels = zip(*(levels_by_strips(pyramid, group, way.segments) for group in groups), strict=True)
        outputs.append(net.regress([torch.cat(parts) for parts in levels]))
    return torch.cat(outputs)


def _runs_whole(net: QualityNetwork, images: Sequence[Tensor], max_memory: int | None) -> bool:
    is_recorded = torch.is_grad_enabled() and any(x.requires_grad for x in (*images, *net.parameters()))
    return max_memory is None or is_recorded or torch.compiler.is_compiling() or not has_strips(net)


def has_strips(net: QualityNetwork) -> TypeGuard[CFANet]:
    """Whether an image may be taken in strips of rows."""
    return isinstance(net, CFANet) and bool(net.backbone.halo_rows)


def _score(net: CFANet, output: Tensor, images: Sequence[Tensor]) -> Tensor:
    """As the head scores its raw output, with the images' difference taken by strips of rows."""
    head = net.head
    if not isinstance(head, AnchoredHead):
        return head.score(output)
    height = images[0].shape[-2]
    strips = zip(*(torch.split(x, _ROWS, dim=2) for x in images), strict=True)
    difference = torch.stack([head.difference(*x) * (x[0].shape[2] / height) for x in strips]).sum(dim=0)
    return head.anchored(head.score(output), difference)


def levels_by_strips(pyramid: Pyramid, images: Sequence[Tensor], segments: Sequence[Segment]) -> list[Tensor]:
    """As `CFANet.levels` of images ``(N, 3, H, W)`` and their references."""
    net, rows = pyramid.net, pyramid.grid[0]
    steps = net.backbone.steps
    reduced: dict[int, Tensor] = {}
    maps: Tensor | None = None
    for segment in segments:
        whole: Tensor | None = None
        for strip in pyramid.strips(segment.strips):
            (top, bottom), needs = pyramid.needed(segment, strip)
            if maps is None:
                x = torch.cat([net.normalize(image[:, :, top:bottom]) for image in images])
            else:
                x = maps[:, :, top:bottom]
            for index, (start, end) in needs.items():
                top //= pyramid.factors[index]
                x = steps[index](x)[:, :, start - top : end - top]
                top = start
                reduced[index] = _put(reduced.get(index), _reduced(pyramid, index, x, top, strip), strip, rows)
            if segment.last < pyramid.deepest:
                own = pyramid.own(segment.last, strip)
                whole = _put(whole, x[:, :, own[0] - top : own[1] - top], own, pyramid.heights[segment.last + 1])
            del x
        maps = whole
    return [reduced[index] for index in range(len(steps))]


def _reduced(pyramid: Pyramid, index: int, x: Tensor, top: int, strip: Rows) -> Tensor:
    """The strip of a level's gated, pooled and reduced map; ``x`` starts at row ``top`` of the level."""
    net = pyramid.net
    start, end = pyramid.own(index, strip)
    above, below = pyramid.gated(index, strip)
    gated = cast(GatedPool, net.gated_pools[index]).gated(*x[:, :, above - top : below - top].chunk(pyramid.sources))
    pooled = [_pool(pyramid, part[:, :, start - above : end - above], index, strip) for part in gated]
    out: Tensor = net.reduce[index](torch.cat(pooled, dim=1))
    return out


def _pool(pyramid: Pyramid, x: Tensor, index: int, strip: Rows) -> Tensor:
    """Pool the rows of a level that belong to a strip of the grid, with the windows of adaptive average pooling."""
    height, (rows, columns) = pyramid.heights[index + 1], pyramid.grid
    if strip == (0, rows) or height % rows == 0:
        return F.adaptive_avg_pool2d(x, (strip[1] - strip[0], columns))
    top, _ = pyramid.own(index, strip)
    windows = [pyramid.own(index, (row, row + 1)) for row in range(*strip)]
    return torch.cat([F.adaptive_avg_pool2d(x[:, :, a - top : b - top], (1, columns)) for a, b in windows], dim=2)


def _put(whole: Tensor | None, part: Tensor, rows: Rows, height: int) -> Tensor:
    """Write a part into the rows of a map, which is made if there is none."""
    if part.shape[2] == height:
        return part
    if whole is None:
        whole = part.new_empty(*part.shape[:2], height, part.shape[3]).to(memory_format=torch.channels_last)
    whole[:, :, slice(*rows)] = part
    return whole
