"""Backbones by name; a module is imported when its network is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topiq_metrics.models.backbones.base import Backbone

if TYPE_CHECKING:
    from torch import nn

__all__ = ["BACKBONES", "Backbone", "build_backbone"]

BACKBONES = ("resnet50", "efficientnet_lite0", "swin_base")


def build_backbone(name: str) -> nn.Module:
    """Build the untrained backbone ``name`` (one of `BACKBONES`)."""
    if name == "resnet50":
        from topiq_metrics.models.backbones.resnet import ResNet50

        return ResNet50()
    if name == "efficientnet_lite0":
        from topiq_metrics.models.backbones.efficientnet_lite import EfficientNetLite0

        return EfficientNetLite0()
    if name == "swin_base":
        from topiq_metrics.models.backbones.swin import SwinB

        return SwinB()
    raise ValueError(f"Argument `name` must be one of {BACKBONES}, but got {name!r}.")
