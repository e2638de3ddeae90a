"""CFANet, the coarse-to-fine attention network of TOPIQ.

Chen, Mo, Hou, Wu, Liao, Sun, Yan, Lin. "TOPIQ: A Top-Down Approach From Semantics to Distortions for Image
Quality Assessment". IEEE TIP 33:2404–2418, 2024. arXiv 2308.03060.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from topiq_metrics.catalog.networks import CFANetConfig
from topiq_metrics.models.attention import CrossScaleAttentionBlock, SelfAttentionBlock, position_embedding
from topiq_metrics.models.backbones import build_backbone
from topiq_metrics.models.backbones.base import Step
from topiq_metrics.models.feature_selection import FeatureSelection
from topiq_metrics.models.heads import AnchoredHead, DistributionHead, Head, ScoreHead
from topiq_metrics.models.network import QualityNetwork, rounded_alike
from topiq_metrics.models.pooling import GatedPoolFR, GatedPoolNR

__all__ = ["CFANet", "CFANetConfig", "Grid"]

_EMBEDDING_SIDE = 32


class CFANet(QualityNetwork):
    """The coarse-to-fine attention network of TOPIQ: scores images from semantics down to distortions.

    BatchNorm always uses its running statistics, so a score does not depend on the other images of the batch.

    Args:
        config: the architecture; by default a `CFANetConfig` with its defaults.
        name: name of the metric it belongs to, or an empty string.

    Shape:
        - ``image``: ``(N, 3, H, W)``, RGB in [0, 1].
        - ``reference``: as ``image``, only in full-reference mode.
        - output: ``(N,)``, higher is better: a score or, with ``bins`` K > 1, the mean rating from 1 to K.

    Raises:
        ValueError: if ``config.anchored`` is set in other than full-reference mode with ``bins`` 1.

    References:
        Chen et al. "TOPIQ: A Top-Down Approach From Semantics to Distortions for Image Quality Assessment".
        IEEE TIP 33:2404–2418, 2024. arXiv 2308.03060.
    """

    config: CFANetConfig

    def __init__(self, config: CFANetConfig | None = None, name: str = "") -> None:
        super().__init__()
        self.config = config = config or CFANetConfig()
        if config.anchored and (config.mode, config.bins) != ("FR", 1):
            raise ValueError("Only a network in FR mode that predicts a score can be anchored.")
        self.name = name
        self.backbone = build_backbone(config.backbone)
        channels = self.backbone.channels
        dim, block_args = config.dim, (config.dim, config.heads, config.dropout)

        self.grid = Grid(self.backbone.strides[-1])
        gated_pool = GatedPoolNR if config.mode == "NR" else GatedPoolFR
        pools = [gated_pool(c, config.gate_width) for c in channels]
        self.gated_pools = nn.ModuleList(pools)
        self.reduce = nn.ModuleList(nn.Sequential(nn.Conv2d(pool.out_channels, dim, 1), nn.GELU()) for pool in pools)
        self.selection = FeatureSelection(len(channels) * dim) if config.feature_selection else None
        self.h_emb = nn.Parameter(torch.empty(1, dim // 2, _EMBEDDING_SIDE, 1))
        self.w_emb = nn.Parameter(torch.empty(1, dim // 2, 1, _EMBEDDING_SIDE))
        nn.init.trunc_normal_(self.h_emb, std=0.02)
        nn.init.trunc_normal_(self.w_emb, std=0.02)
        self.self_attention = nn.ModuleList(SelfAttentionBlock(*block_args) for _ in channels)
        self.cross_attention = nn.ModuleList(CrossScaleAttentionBlock(*block_args) for _ in channels[1:])
        self.pool_attention = SelfAttentionBlock(*block_args)
        self.head = _build_head(config)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(self.backbone.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.backbone.std).view(1, 3, 1, 1), persistent=False)
        # A new module is in training mode, but BatchNorm must not be.
        self.train()

    def forward(self, image: Tensor, reference: Tensor | None = None) -> Tensor:
        """Score images, as in Fig. 5 of the paper: from the deepest level of the backbone to the shallowest.

        Raises:
            ValueError: if the reference is missing in full-reference mode, or given in no-reference mode.
        """
        self.check_inputs(reference)
        # F: the backbone's maps of each level, shallow to deep, of the image and of the reference.
        features = self.features(image, reference)
        # G: each level's maps, gated and pooled to the grid of the deepest (Eq. 2), and reduced to D channels.
        levels = list(self.pooled(features, self.grid(*image.shape[-2:])))
        # G′: what the places of a level tell each other (Eq. 5), as tokens, deep to shallow.
        tokens = self.attend_within(levels)
        # Ĝ: semantics look for distortions in one shallower level after the other (Eq. 6–8).
        semantics = self.attend_across(tokens)
        return self.head.score(self.conclude(semantics), image, reference)

    def distribution(self, image: Tensor, reference: Tensor | None = None) -> Tensor:
        """The predicted share of each rating 1…K, ``(N, K)``.

        Raises:
            ValueError: as `forward`, or if the network predicts a score (``bins`` 1).
        """
        self.check_inputs(reference)
        return self.head.distribution(self.regress(list(self.levels(image, reference))))

    def features(self, image: Tensor, reference: Tensor | None = None) -> Iterator[list[Tensor]]:
        """F, the map ``(N, C, H, W)`` of the image, and of the reference, at each level, shallow to deep."""
        images = (self.normalize(x) for x in (image, reference) if x is not None)
        return self.climb(list(images), self.backbone.steps)

    @staticmethod
    def climb(maps: list[Tensor], steps: Iterable[Step]) -> Iterator[list[Tensor]]:
        """What one step after the other makes of the maps of an image, and of the reference."""
        for step in steps:
            # A compiled network has one way of computing anyhow.
            with contextlib.nullcontext() if torch.compiler.is_compiling() else rounded_alike(maps):
                maps = [step(x) for x in maps]
            yield maps

    def pooled(self, features: Iterable[Sequence[Tensor]], grid: tuple[int, int]) -> Iterator[Tensor]:
        """G of F: each level ``(N, D, h, w)`` on the grid ``(h, w)``, shallow to deep.

        One after the other, so that the backbone's map of a level need not outlive the next.
        """
        for maps, glp, reduce in zip(features, self.gated_pools, self.reduce, strict=True):
            yield reduce(glp(maps, grid))

    def attend_within(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """G′ of G: tokens ``(N, L, D)``, deep to shallow, as the cross-scale blocks take them."""
        if self.selection is not None:
            levels = self.selection(torch.cat(list(levels), dim=1)).split(self.config.dim, dim=1)
        position = position_embedding(self.h_emb, self.w_emb, (levels[-1].shape[-2], levels[-1].shape[-1]))
        tokens = [
            block((level + position).flatten(2).transpose(1, 2))
            for block, level in zip(self.self_attention, levels, strict=True)
        ]
        return tokens[::-1]

    def attend_across(self, tokens: Sequence[Tensor]) -> Tensor:
        """Ĝ of G′: the first tokens are queries ``(N, L, D)``, the others what one block after the other looks at."""
        query, *memories = tokens
        for block, memory in zip(self.cross_attention, memories, strict=True):
            query = block(query, memory)
        return query

    def conclude(self, semantics: Tensor) -> Tensor:
        """The head's raw output ``(N, K)`` for Ĝ."""
        output: Tensor = self.head(self.pool_attention(semantics).mean(dim=1))
        return output

    def levels(self, image: Tensor, reference: Tensor | None = None) -> Iterator[Tensor]:
        """`forward` up to G."""
        return self.pooled(self.features(image, reference), self.grid(*image.shape[-2:]))

    def regress(self, levels: Sequence[Tensor]) -> Tensor:
        """`forward` from G to the head's raw output ``(N, K)``."""
        return self.conclude(self.attend_across(self.attend_within(levels)))

    def check_inputs(self, reference: Tensor | None) -> None:
        """Raise ValueError unless there is a reference just where the network needs one."""
        if (reference is None) == (self.config.mode == "FR"):
            expected = "needs a reference" if reference is None else "takes no reference"
            raise ValueError(f"A network in {self.config.mode} mode {expected}.")

    def normalize(self, image: Tensor) -> Tensor:
        """Bring an image in [0, 1] to the mean and deviation that the backbone expects."""
        return (image - self.mean) / self.std

    def train(self, mode: bool = True) -> CFANet:
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


class Grid(nn.Module):
    """The size of the deepest level's grid for an image of a height and width."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, height: int, width: int) -> tuple[int, int]:
        return (height + self.stride - 1) // self.stride, (width + self.stride - 1) // self.stride


def _build_head(config: CFANetConfig) -> Head:
    if config.bins > 1:
        return DistributionHead(config.dim, config.bins)
    return AnchoredHead(config.dim) if config.anchored else ScoreHead(config.dim)
