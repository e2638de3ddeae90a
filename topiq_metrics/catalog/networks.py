"""What fixes the architecture of each kind of network; the networks are built from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

LEVELS = 5
"""Of LPIPS's backbones."""


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


@dataclass(frozen=True)
class LPIPSPlusConfig:
    """All that fixes the network.

    Attributes:
        backbone: whose features are compared.
        semantic_layer: the level, 0 to 4, whose features of the reference say where a difference counts; None for
            nowhere more than elsewhere, which is LPIPS.
    """

    mode: ClassVar[Literal["FR"]] = "FR"
    bins: ClassVar[int] = 1

    backbone: Literal["alexnet", "vgg16"] = "alexnet"
    semantic_layer: int | None = 2

    def __post_init__(self) -> None:
        layer = self.semantic_layer
        if layer is not None and not (type(layer) is int and layer in range(LEVELS)):
            raise ValueError(
                f"Argument `semantic_layer` must be one of {tuple(range(LEVELS))} or None, "
                f"but got {self.semantic_layer!r}."
            )
