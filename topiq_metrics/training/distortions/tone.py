"""Brightness, contrast and sharpness."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from topiq_metrics.training.distortions.blur import smoothed
from topiq_metrics.training.distortions.scale import geometric


def brighten(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """A curve that lifts the middle and keeps black and white: gamma from 0.85 to 0.2."""
    return image ** geometric(0.85, 0.2, severity)


def darken(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """A curve that lowers the middle and keeps black and white: gamma from 1.2 to 6."""
    return image ** geometric(1.2, 6, severity)


def mean_shift(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """All values up or down, at random, by 0.04 to 0.5."""
    sign = 1 if torch.rand((), generator=generator) < 0.5 else -1
    return image + sign * geometric(0.04, 0.5, severity)


def contrast_loss(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Towards the mean: 85 % to 10 % of the contrast."""
    mean = image.mean()
    return mean + geometric(0.85, 0.1, severity) * (image - mean)


def contrast_gain(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Away from the mean: 1.2 to 6 times the contrast, cut at black and white."""
    mean = image.mean()
    return mean + geometric(1.2, 6, severity) * (image - mean)


def quantization(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """From 24 steps of each channel down to 2."""
    steps = round(geometric(24, 2, severity)) - 1
    return (image * steps).round() / steps


def sharpen(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """An unsharp mask of radius 2 px, 0.5 to 12 times."""
    return image + geometric(0.5, 12, severity) * (image - smoothed(image, 2.0))


def underexposure(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """Darker by up to 4.5 stops in linear light, then read out with the noise that dark pictures have."""
    linear = image.pow(2.2) * math.pow(2, -0.5 - 4 * severity)
    noise = 0.002 * torch.randn(image.shape, generator=generator)
    return (linear.pow(1 / 2.2) + noise).clamp(0, 1)
