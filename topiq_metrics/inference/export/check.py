"""A written file against PyTorch, on images of different sizes and batches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from topiq_metrics.images import MIN_SIDE, SizePolicy
from topiq_metrics.inference.backends.base import Run
from topiq_metrics.models.network import QualityNetwork

TOLERANCES = {"float32": 1e-4, "float16": 5e-3}
"""How far a score s may be from PyTorch's in float32, times max(1, |s|)."""

_SHAPES = (
    (1, 1, 1),
    (3, 0.5, 0.7),
    (2, 0.8, 0.45),
    (1, 1.35, 0.9),
    (1, 0.85, 1.5),
    (4, 0.4, 0.4),
    (2, 0.9, 1.2),
    (1, 1, 0.6),
)
"""Batch, height and width of the inputs, the sides in parts of the size rule's."""

_NATIVE_SIDE = 160


class ExportError(RuntimeError):
    """A file does not give the scores that it should."""


def deviation(run: Run, net: QualityNetwork, size: SizePolicy) -> float:
    """The largest difference of scores of up to 11 random inputs, in parts of max(1, |score|); NaN if one is NaN."""
    generator = torch.Generator().manual_seed(0)
    # First the smallest: what a runtime keeps of it must not be used for others.
    smallest = (1, MIN_SIDE, MIN_SIDE), (2, MIN_SIDE, 3 * MIN_SIDE), (1, 2 * MIN_SIDE + 1, MIN_SIDE)
    shapes = [shape for shape in smallest if not size.too_small(*shape[1:])]
    for batch, *sides in _SHAPES:
        # Odd sides are where paddings and windows are uneven.
        height, width = (max(MIN_SIDE + 16, int(side * (size.side or _NATIVE_SIDE))) | 1 for side in sides)
        shapes.append((int(batch), height, width))
    differences = []
    for batch, height, width in shapes:
        images = [_random_images(batch, height, width, generator)]
        if net.config.mode == "FR":
            images.append((images[0] + 0.1 * _random_images(batch, height, width, generator)).clamp(0, 1))
        with torch.inference_mode():
            expected = net(*(size.apply(image) for image in images))
        found = run(*images)
        if found.shape != expected.shape:
            raise ExportError(f"The scores of {batch} images have shape {tuple(found.shape)}.")
        differences.append(((found - expected).abs() / expected.abs().clamp(min=1)).max())
    return float(torch.stack(differences).max())


def check_refusals(run: Run, net: QualityNetwork, size: SizePolicy) -> None:
    """Raise ExportError if images on another scale, or too small ones, get a score: neither NaN nor an error."""
    side = max(MIN_SIDE + 16, size.side or _NATIVE_SIDE)
    right = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    wrong = {
        "in 0...255": 255 * right,
        "in [-1, 1]": 2 * right - 1,
        f"of {MIN_SIDE} x {MIN_SIDE - 1} pixels": right[:, :, : MIN_SIDE - 1, :MIN_SIDE].contiguous(),
    }
    for what, image in wrong.items():
        try:
            score = run(*[image] * (2 if net.config.mode == "FR" else 1))
        except (AssertionError, RuntimeError):
            # A program of PyTorch can refuse a size.
            continue
        if not bool(score.isnan().all()):
            raise ExportError(f"It gives images {what} a score.")


def _random_images(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Smooth colours under more or less noise, in [0, 1]: scores of mere noise hardly vary."""
    smooth = F.interpolate(torch.rand(count, 3, 5, 7, generator=generator), size=(height, width), mode="bilinear")
    strength = 0.2 * torch.rand(count, 1, 1, 1, generator=generator)
    return (smooth + strength * torch.randn(smooth.shape, generator=generator)).clamp(0, 1)
