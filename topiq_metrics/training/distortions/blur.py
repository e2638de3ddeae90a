"""Out of focus, or in motion."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from topiq_metrics.training.distortions.scale import geometric


def gaussian_blur(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Standard deviation from 0.3 to 7 px, geometric in the severity."""
    return smoothed(image, geometric(0.3, 7, severity))


def smoothed(image: Tensor, sigma: float, reach: float = 3) -> Tensor:
    """Each plane of ``(C, H, W)`` under a Gaussian that is cut off at ``reach`` deviations."""
    radius = math.ceil(reach * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma).square())
    kernel = kernel / kernel.sum()
    planes = image.unsqueeze(1)
    mode = "reflect" if radius < min(image.shape[-2:]) else "replicate"
    planes = F.conv2d(F.pad(planes, (radius, radius, 0, 0), mode=mode), kernel.view(1, 1, 1, -1))
    return F.conv2d(F.pad(planes, (0, 0, radius, radius), mode=mode), kernel.view(1, 1, -1, 1)).squeeze(1)


def lens_blur(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """A disc of radius 0.7 to 10 px, geometric in the severity."""
    radius = geometric(0.7, 10, severity)
    reach = math.ceil(radius)
    offsets = torch.arange(-reach, reach + 1).float()
    # Pixels on the rim count by how much of them is inside.
    disc = (radius + 0.5 - torch.hypot(offsets[:, None], offsets)).clamp(0, 1)
    return filtered(image, disc)


def motion_blur(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """A straight path of 3 to 31 px at a random angle."""
    length = 3 + 2 * round(14 * severity)
    angle = math.pi * torch.rand((), generator=generator).item()
    kernel = torch.zeros(length, length)
    steps = torch.linspace(-(length - 1) / 2, (length - 1) / 2, 4 * length)
    rows = (steps * math.sin(angle) + length // 2).round().long()
    columns = (steps * math.cos(angle) + length // 2).round().long()
    kernel[rows, columns] = 1
    return filtered(image, kernel)


def filtered(image: Tensor, kernel: Tensor) -> Tensor:
    """Each plane under the average that the weights of a square kernel make."""
    planes = F.pad(image.unsqueeze(1), [kernel.shape[0] // 2] * 4, mode="replicate")
    return F.conv2d(planes, (kernel / kernel.sum())[None, None]).squeeze(1)
