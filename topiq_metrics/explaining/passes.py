"""Passes through the plain networks that keep what the score is made of; the networks themselves keep nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from topiq_metrics.explaining.maps import Array, LevelMap
from topiq_metrics.models.attention import CrossScaleAttentionBlock
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.models.lpips import LPIPSPlusNetwork, weighted_mean
from topiq_metrics.models.pooling import GatedPoolFR, GatedPoolNR

ATTENTION_BYTES = 256 << 20
"""For the attention of as many queries as are taken at a time."""


@dataclass(frozen=True)
class Findings:
    """What a pass has found of one image.

    Attributes:
        score: as the metric gives it.
        maps: of all kinds and levels.
    """

    score: float
    maps: list[LevelMap]


def explain_cfanet(
    net: CFANet,
    image: Tensor,
    reference: Tensor | None = None,
    *,
    point: tuple[float, float] | None = None,
    attention_bytes: int = ATTENTION_BYTES,
) -> Findings:
    """The gates of each level and the attention of each cross-scale block for one image ``(1, 3, H, W)``.

    Args:
        net: the network as it is loaded, not folded.
        image: the image to score.
        reference: in full-reference mode.
        point: x and y as shares of width and height: the place whose own attention is to be told, too.
        attention_bytes: memory for the attention of some queries; that of all is never held.
    """
    net.check_inputs(reference)
    maps = []
    levels = []
    grid = net.grid(image.shape[-2], image.shape[-1])
    strides = net.backbone.strides
    parts = zip(net.features(image, reference), net.gated_pools, net.reduce, strict=True)
    for index, (features, glp, reduce) in enumerate(parts):
        glp = cast("GatedPoolNR | GatedPoolFR", glp)
        mask, gated = glp.masked(*features)
        levels.append(reduce(glp.pool(gated, grid)))
        maps.append(LevelMap("gate", index + 1, strides[index], _array(mask[0, 0])))
    # A cell of the grid is a query; they run along the rows.
    cell = None if point is None else int(point[1] * grid[0]) * grid[1] + int(point[0] * grid[1])
    query, *memories = net.attend_within(levels)
    for index, (block, memory) in enumerate(zip(net.cross_attention, memories, strict=True)):
        block = cast(CrossScaleAttentionBlock, block)
        level = len(memories) - index
        received = received_attention(block, query, memory, attention_bytes)
        maps.append(LevelMap("attention", level, strides[-1], _array(received.view(grid))))
        if cell is not None:
            row = block.weights(query[:, cell : cell + 1], memory).mean(dim=(0, 1, 2))
            maps.append(LevelMap("focus", level, strides[-1], _array(row.view(grid))))
        query = block(query, memory)
    score = net.head.score(net.conclude(query), image, reference)
    return Findings(score.item(), maps)


def received_attention(block: CrossScaleAttentionBlock, query: Tensor, memory: Tensor, max_bytes: int) -> Tensor:
    """The attention that each token of the memory ``(1, L, D)`` gets: ``(L,)``, the mean over heads and queries.

    It sums to 1. The queries are taken some at a time.
    """
    per_query = 3 * block.attention.heads * memory.shape[1] * memory.element_size()
    total = memory.new_zeros(memory.shape[1])
    for part in torch.split(query, max(1, max_bytes // per_query), dim=1):
        total += block.weights(part, memory).sum(dim=(0, 1, 2))
    return total / (block.attention.heads * query.shape[1])


def explain_lpips(net: LPIPSPlusNetwork, image: Tensor, reference: Tensor) -> Findings:
    """The distance of each level, what weighs it, and both together, for one pair of images ``(1, 3, H, W)``.

    The weights add up to 1; the mean of the weighted map is what the level adds to the score.
    """
    levels = list(net.maps(image, reference))
    added = [weighted_mean(*level).item() for level in levels]
    score = sum(added)
    maps = []
    for index, (distance, weights) in enumerate(levels):
        level, stride = index + 1, net.strides[index]
        share = added[index] / score if score else 0.0
        if weights is None:
            maps.append(LevelMap("distance", level, stride, _array(distance[0, 0]), share=share))
            continue
        even = weights / weights.mean()
        maps.append(LevelMap("distance", level, stride, _array(distance[0, 0])))
        maps.append(LevelMap("semantic", level, stride, _array(even[0, 0] / even.numel())))
        maps.append(LevelMap("weighted", level, stride, _array((distance * even)[0, 0]), share=share))
    return Findings(score, maps)


def _array(values: Tensor) -> Array:
    array: Array = values.float().cpu().numpy()
    return array
