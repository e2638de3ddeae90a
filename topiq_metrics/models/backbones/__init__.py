"""Backbones by name; a module is imported when its network is built."""

from __future__ import annotations

from topiq_metrics.models.backbones.base import Backbone

__all__ = ["BACKBONES", "Backbone", "build_backbone", "find_backbone"]

BACKBONES = ("resnet50", "efficientnet_lite0", "swin_base")


def find_backbone(name: str) -> type[Backbone]:
    """The class of the backbone ``name`` (one of `BACKBONES`)."""
    if name == "resnet50":
        from topiq_metrics.models.backbones.resnet import ResNet50

        return ResNet50
    if name == "efficientnet_lite0":
        from topiq_metrics.models.backbones.efficientnet_lite import EfficientNetLite0

        return EfficientNetLite0
    if name == "swin_base":
        from topiq_metrics.models.backbones.swin import SwinB

        return SwinB
    raise ValueError(f"Argument `name` must be one of {BACKBONES}, but got {name!r}.")


def build_backbone(name: str) -> Backbone:
    """Build the untrained backbone ``name`` (one of `BACKBONES`)."""
    return find_backbone(name)()
