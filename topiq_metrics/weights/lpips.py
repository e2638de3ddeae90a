"""The two files that LPIPS+ is made of: a backbone of torchvision's, and the linear weights inside torchmetrics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from topiq_metrics.errors import WeightsNotFoundError
from topiq_metrics.weights.checkpoints import read_state
from topiq_metrics.weights.places import package_folder

_LINEAR_FILES = {"alexnet": "alex.pth", "vgg16": "vgg.pth"}
# What an image classifier has and a feature pyramid never uses.
_UNUSED = "classifier."


def from_torchvision(state: Mapping[str, Tensor], linear: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Complete the state dict of torchvision's classifier by the linear weights; one of ours stays as it is."""
    if any(key.startswith("linear.") for key in state):
        return dict(state)
    used = {key: value for key, value in state.items() if not key.startswith(_UNUSED)}
    return {**used, **{f"linear.{key}": value for key, value in linear.items()}}


def published_linear(backbone: str) -> dict[str, Tensor]:
    """The published linear weights (LPIPS v0.1) by level: ``(C,)`` each.

    Raises:
        WeightsNotFoundError: if torchmetrics does not have them where it should.
    """
    folder = package_folder("torchmetrics") or Path("torchmetrics")
    path = folder / "functional" / "image" / "lpips_models" / _LINEAR_FILES[backbone]
    if not path.is_file():
        raise WeightsNotFoundError(
            f"The linear weights of LPIPS, which torchmetrics ships, are not there: {path}. Reinstall torchmetrics."
        )
    return {str(level): weight.flatten() for level, weight in enumerate(read_state(path).values())}
