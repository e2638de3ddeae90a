"""CFANet, the coarse-to-fine attention network of TOPIQ.

Chen, Mo, Hou, Wu, Liao, Sun, Yan, Lin. "TOPIQ: A Top-Down Approach From Semantics to Distortions for Image
Quality Assessment". IEEE TIP 33:2404–2418, 2024. arXiv 2308.03060.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from topiq_metrics.models.attention import CrossScaleAttentionBlock, SelfAttentionBlock, position_embedding
from topiq_metrics.models.backbones import Backbone, build_backbone
from topiq_metrics.models.feature_selection import FeatureSelection
from topiq_metrics.models.network import QualityNetwork
from topiq_metrics.models.pooling import GatedPoolFR, GatedPoolNR

_EMBEDDING_SIDE = 32

_UNSEEN = 2**-16
"""The mean absolute difference τ below which two images are all but the same: a 257th of a level of 8 bits."""

_BEND = 20.0
"""How sharply an anchored score bends below 1."""


@dataclass(frozen=True)
class CFANetConfig:
    """All that fixes the architecture.

    Attributes:
        backbone: name of the feature pyramid.
        mode: ``"NR"`` scores an image by itself, ``"FR"`` against a reference.
        dim: width D of the tokens.
        heads: attention heads.
        bins: 1 for a score, K > 1 for a distribution over the ratings 1…K.
        gate_width: channels inside the gates of the local pooling.
        dropout: in the attention blocks, while training.
        feature_selection: whether a gate weighs the channels of all levels by what the image's are like (QFM-IQM).
        anchored: in full-reference mode, whether an image that equals its reference scores 1, and no other more.
    """

    backbone: str = "resnet50"
    mode: Literal["NR", "FR"] = "NR"
    dim: int = 256
    heads: int = 4
    bins: int = 1
    gate_width: int = 64
    dropout: float = 0.1
    feature_selection: bool = False
    anchored: bool = False


class CFANet(QualityNetwork):
    """Score images from semantics down to distortions.

    Takes RGB in [0, 1]; higher scores are better. BatchNorm always uses its running statistics, so a score
    does not depend on the images that share the batch.

    Shape:
        - ``image``: ``(N, 3, H, W)``, the image to score.
        - ``reference``: ``(N, 3, H, W)``, only in full-reference mode.
        - output: ``(N,)``.
    """

    config: CFANetConfig

    def __init__(self, config: CFANetConfig | None = None, name: str = "") -> None:
        super().__init__()
        self.config = config = config or CFANetConfig()
        if config.anchored and (config.mode, config.bins) != ("FR", 1):
            raise ValueError("Only a network in FR mode that predicts a score can be anchored.")
        self.name = name
        self.backbone = build_backbone(config.backbone)
        pyramid = cast(Backbone, self.backbone)
        channels = pyramid.channels
        dim, block_args = config.dim, (config.dim, config.heads, config.dropout)

        pool = GatedPoolNR if config.mode == "NR" else GatedPoolFR
        self.gated_pools = nn.ModuleList(pool(c, config.gate_width) for c in channels)
        self.reduce = nn.ModuleList(
            nn.Sequential(nn.Conv2d(cast(int, glp.out_channels), dim, 1), nn.GELU()) for glp in self.gated_pools
        )
        self.selection = FeatureSelection(len(channels) * dim) if config.feature_selection else None
        self.h_emb = nn.Parameter(torch.empty(1, dim // 2, _EMBEDDING_SIDE, 1))
        self.w_emb = nn.Parameter(torch.empty(1, dim // 2, 1, _EMBEDDING_SIDE))
        nn.init.trunc_normal_(self.h_emb, std=0.02)
        nn.init.trunc_normal_(self.w_emb, std=0.02)
        self.self_attention = nn.ModuleList(SelfAttentionBlock(*block_args) for _ in channels)
        self.cross_attention = nn.ModuleList(CrossScaleAttentionBlock(*block_args) for _ in channels[1:])
        self.pool_attention = SelfAttentionBlock(*block_args)
        self.head = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, dim),
            nn.GELU(),
            nn.LayerNorm(dim),
            nn.Linear(dim, dim),
            nn.GELU(),
            nn.Linear(dim, config.bins),
        )
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(pyramid.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(pyramid.std).view(1, 3, 1, 1), persistent=False)
        # A new module is in training mode, but BatchNorm must not be.
        self.train()

    def forward(self, image: Tensor, reference: Tensor | None = None) -> Tensor:
        return self.score(self.head_output(image, reference), self.difference(image, reference))

    def distribution(self, image: Tensor, reference: Tensor | None = None) -> Tensor:
        """The predicted share of each rating 1…K, ``(N, K)``."""
        if self.config.bins == 1:
            raise ValueError("This network predicts a score, not a distribution of ratings.")
        return self.head_output(image, reference).softmax(dim=1)

    def score(self, output: Tensor, difference: Tensor | None = None) -> Tensor:
        """What the head's output ``(N, K)`` says, with `difference` if the network is anchored: ``(N,)``."""
        score = output[:, 0] if self.config.bins == 1 else expected_rating(output.softmax(dim=1))
        return score if difference is None else anchored_score(score, difference)

    def difference(self, image: Tensor, reference: Tensor | None) -> Tensor | None:
        """The mean absolute difference of the images ``(N,)``, which only an anchored network looks at."""
        if not self.config.anchored or reference is None:
            return None
        return (image - reference).abs().mean(dim=(1, 2, 3))

    def head_output(self, image: Tensor, reference: Tensor | None = None) -> Tensor:
        """The head's raw output ``(N, K)``."""
        self.check_inputs(reference)
        return self.regress(list(self.levels(image, reference)))

    def check_inputs(self, reference: Tensor | None) -> None:
        """Raise ValueError unless there is a reference just where the network needs one."""
        if (reference is None) == (self.config.mode == "FR"):
            expected = "needs a reference" if reference is None else "takes no reference"
            raise ValueError(f"A network in {self.config.mode} mode {expected}.")

    def levels(self, image: Tensor, reference: Tensor | None = None) -> Iterator[Tensor]:
        """Each level pooled to the deepest grid and reduced to D channels, shallow to deep: ``(N, D, h, w)``.

        One after the other, so that the backbone's map of a level need not outlive the next.
        """
        grid = self.grid(image.shape[-2], image.shape[-1])
        for maps, glp, reduce in zip(self.features(image, reference), self.gated_pools, self.reduce, strict=True):
            yield reduce(glp(maps, grid))

    def features(self, image: Tensor, reference: Tensor | None = None) -> Iterator[list[Tensor]]:
        """The backbone's map of the image, and of the reference, at each level, shallow to deep: ``(N, C, H, W)``."""
        maps = [self.normalize(x) for x in (image, reference) if x is not None]
        for step in cast(Backbone, self.backbone).steps():
            maps = [step(x) for x in maps]
            yield maps

    def normalize(self, image: Tensor) -> Tensor:
        """Bring an image in [0, 1] to the mean and deviation that the backbone expects."""
        return (image - self.mean) / self.std

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """The deepest level's grid for an image of this size."""
        stride = cast(Backbone, self.backbone).strides[-1]
        return (height + stride - 1) // stride, (width + stride - 1) // stride

    def regress(self, levels: Sequence[Tensor]) -> Tensor:
        """From coarse to fine: the head's raw output ``(N, K)`` for the pooled and reduced levels."""
        query, *memories = self.tokens(levels)
        for block, memory in zip(self.cross_attention, memories, strict=True):
            query = block(query, memory)
        return self.conclude(query)

    def tokens(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Tokens ``(N, L, D)`` of the pooled and reduced levels, deep to shallow, as the cross-scale blocks take them.

        The first are the first block's queries, the others are what the blocks look at, one after the other.
        """
        levels = self.select(levels)
        position = position_embedding(self.h_emb, self.w_emb, (levels[-1].shape[-2], levels[-1].shape[-1]))
        tokens = [
            block((level + position).flatten(2).transpose(1, 2))
            for block, level in zip(self.self_attention, levels, strict=True)
        ]
        return tokens[::-1]

    def select(self, levels: Sequence[Tensor]) -> Sequence[Tensor]:
        """What the feature selection keeps of the pooled and reduced levels; all where the network has none."""
        if self.selection is None:
            return levels
        return torch.split(self.selection(torch.cat(list(levels), dim=1)), self.config.dim, dim=1)

    def conclude(self, query: Tensor) -> Tensor:
        """The head's raw output ``(N, K)`` for the last cross-scale block's tokens ``(N, L, D)``."""
        output: Tensor = self.head(self.pool_attention(query).mean(dim=1))
        return output

    def train(self, mode: bool = True) -> CFANet:
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


def anchored_score(score: Tensor, difference: Tensor) -> Tensor:
    """S' = 1 − (1 − exp(−Δ/τ)) · softplus(1 − S): 1 for equal images, the bound of others, S where that is low.

    Args:
        score: S, what the head says, ``(N,)``.
        difference: Δ, the mean absolute difference of the images, ``(N,)`` in [0, 1].
    """
    # Written so that exporters know every operator.
    seen = 1 - torch.exp(-difference / _UNSEEN)
    return 1 - seen * F.softplus(_BEND * (1 - score)) / _BEND


def expected_rating(distribution: Tensor) -> Tensor:
    """The mean rating Σ i·pᵢ of a distribution ``(N, K)`` over 1…K: ``(N,)``."""
    ratings = torch.arange(1, distribution.shape[1] + 1, dtype=distribution.dtype, device=distribution.device)
    return (distribution * ratings).sum(dim=1)
