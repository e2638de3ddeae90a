"""LPIPS+, LPIPS with semantic weights (TOPIQ, Eq. 1).

Chen, Mo, Hou, Wu, Liao, Sun, Yan, Lin. "TOPIQ: A Top-Down Approach From Semantics to Distortions for Image
Quality Assessment". IEEE TIP 33:2404–2418, 2024. arXiv 2308.03060. LPIPS: Zhang, Isola, Efros, Shechtman, Wang.
"The Unreasonable Effectiveness of Deep Features as a Perceptual Metric". CVPR 2018. arXiv 1801.03924.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from topiq_metrics.catalog.networks import LPIPSPlusConfig
from topiq_metrics.models.network import QualityNetwork

__all__ = ["LPIPSPlusConfig", "LPIPSPlusNetwork", "weighted_mean"]


class LPIPSPlusNetwork(QualityNetwork):
    """The perceptual distance LPIPS+ of two images: 0 for equal images, lower is better.

    Shape:
        - ``image``, ``reference``: ``(N, 3, H, W)``, RGB in [0, 1].
        - output: ``(N,)``.

    References:
        Chen et al. "TOPIQ: A Top-Down Approach From Semantics to Distortions for Image Quality Assessment".
        IEEE TIP 33:2404–2418, 2024. arXiv 2308.03060, Eq. 1. LPIPS: Zhang et al. "The Unreasonable Effectiveness of
        Deep Features as a Perceptual Metric". CVPR 2018.
    """

    config: LPIPSPlusConfig

    def __init__(self, config: LPIPSPlusConfig | None = None, name: str = "") -> None:
        super().__init__()
        self.config = config = config or LPIPSPlusConfig()
        self.name = name
        self.shares_with: tuple[LPIPSPlusNetwork, ...] = ()
        self.features, self._ends, channels = _alexnet() if config.backbone == "alexnet" else _vgg16()
        self.linear = nn.ParameterList(torch.full((c,), 1 / c) for c in channels)
        self.shift: Tensor
        self.scale: Tensor
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor, reference: Tensor) -> Tensor:
        dtype = torch.promote_types(image.dtype, torch.float32)
        distance = torch.zeros(image.shape[0], dtype=dtype, device=image.device)
        for distance_map, weights in self.maps(image, reference):
            distance = distance + weighted_mean(distance_map, weights)
        return distance

    def maps(self, image: Tensor, reference: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Each level's distance map and what weighs it, shallow to deep: both ``(N, 1, h, w)``, float32 or wider.

        The weights, which add up to anything, are None where every place counts alike.
        """
        # The sums over a large map are beyond half precision's range.
        dtype = torch.promote_types(image.dtype, torch.float32)
        pyramids = [[level.to(dtype) for level in self.pyramid(x)] for x in (image, reference)]
        layer = self.config.semantic_layer
        semantics = None if layer is None else pyramids[1][layer].sum(dim=1, keepdim=True)
        for linear, distorted, clean in zip(self.linear, *pyramids, strict=True):
            difference = (_unit(distorted) - _unit(clean)).square()
            distance_map = (difference * linear.to(dtype).view(1, -1, 1, 1)).sum(dim=1, keepdim=True)
            yield distance_map, None if semantics is None else _weights(semantics, distance_map.shape[-2:])

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels to a cell of each level, along a side."""
        strides = []
        stride = 1
        for index, layer in enumerate(self.features):
            if isinstance(layer, nn.Conv2d):
                stride *= layer.stride[0]
            elif isinstance(layer, nn.MaxPool2d):
                stride *= cast(int, layer.stride)
            if index in self._ends:
                strides.append(stride)
        return tuple(strides)

    def pyramid(self, image: Tensor) -> list[Tensor]:
        """The backbone's maps after the last activation of each level, shallow to deep."""
        x = (2 * image - 1 - self.shift) / self.scale
        levels = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self._ends:
                levels.append(x)
        return levels

    def with_semantic_layer(self, semantic_layer: int | None) -> LPIPSPlusNetwork:
        """The same network, sharing all tensors, with semantic weights from another level, 0 to 4, or none."""
        if semantic_layer == self.config.semantic_layer:
            return self
        other = copy.copy(self)
        other.config = replace(self.config, semantic_layer=semantic_layer)
        # As long as it lives, who asks for this network gets it. Inside a tuple, it is no child.
        other.shares_with = (self,)
        return other


def weighted_mean(distance_map: Tensor, weights: Tensor | None) -> Tensor:
    """The mean of ``(N, 1, h, w)`` under weights of the same shape, or none: ``(N,)``."""
    if weights is None:
        return distance_map.mean(dim=(1, 2, 3))
    mean: Tensor = (distance_map * weights).sum(dim=(1, 2, 3)) / weights.sum(dim=(1, 2, 3))
    return mean


def _weights(semantics: Tensor, size: Sequence[int]) -> Tensor:
    """The semantics ``(N, 1, h, w)`` on the grid of another level, wherever there are any."""
    weights = F.interpolate(semantics, size=tuple(size), mode="bilinear", align_corners=False)
    # Where the reference has no features at all, every place counts alike.
    return torch.where(weights.sum(dim=(1, 2, 3), keepdim=True) > 0, weights, torch.ones_like(weights))


def _unit(features: Tensor) -> Tensor:
    # Unlike the root of a sum, the norm has a finite gradient where all features are zero.
    norm: Tensor = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return features / (norm + 1e-10)


_Levels = tuple[nn.Sequential, tuple[int, ...], tuple[int, ...]]
"""Layers as torchvision has and counts them; the index of each level's last activation; each level's channels."""


def _alexnet() -> _Levels:
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    layers += [nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    for channels, out_channels in ((192, 384), (384, 256), (256, 256)):
        layers += [nn.Conv2d(channels, out_channels, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers), (1, 4, 7, 9, 11), (64, 192, 384, 256, 256)


def _vgg16() -> _Levels:
    layers: list[nn.Module] = []
    ends = []
    channels = 3
    widths = (64, 128, 256, 512, 512)
    for out_channels, repeats in zip(widths, (2, 2, 3, 3, 3), strict=True):
        if layers:
            layers.append(nn.MaxPool2d(2, 2))
        for _ in range(repeats):
            layers += [nn.Conv2d(channels, out_channels, 3, padding=1), nn.ReLU()]
            channels = out_channels
        ends.append(len(layers) - 1)
    return nn.Sequential(*layers), tuple(ends), widths
