"""The configurations that the networks are built from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

LEVELS = 5
"""Of LPIPS's backbones."""


@dataclass(frozen=True)
class CFANetConfig:
    """Configuration of a `CFANet`; it determines the architecture.

    Attributes:
        backbone: name of the backbone, which gives the feature pyramid.
        mode: ``"NR"`` for no-reference, ``"FR"`` for full-reference.
        dim: dimension D of the tokens.
        heads: number of attention heads.
        bins: 1 to predict a score, K > 1 to predict a distribution over the ratings 1…K.
        gate_width: channels inside the gates of the gated local pooling.
        dropout: dropout rate in the attention blocks, in training only.
        feature_selection: whether a gate weights the channels of all levels depending on the image (QFM-IQM).
        anchored: in full-reference mode, whether an image that equals its reference scores 1 and no image scores more.
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
    """Configuration of an `LPIPSPlusNetwork`; it determines the architecture.

    Attributes:
        backbone: the network whose features are compared: ``"alexnet"`` or ``"vgg16"``.
        semantic_layer: the level, 0 to 4, whose features of the reference weight the differences; None weights all
            positions equally, which is LPIPS.
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
