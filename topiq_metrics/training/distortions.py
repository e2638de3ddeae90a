"""Damage of known kind and severity, to teach and to test that a score falls with it.

An image is RGB ``(3, H, W)`` in [0, 1], on the CPU; so is what comes back. Severity runs from 0 (none) to 1 (ruined).
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

Distortion = Callable[[Tensor, float, torch.Generator], Tensor]


def gaussian_blur(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Standard deviation from 0.3 to 7 px, geometric in the severity."""
    sigma = 0.3 * (7 / 0.3) ** severity
    radius = math.ceil(3 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma).square())
    kernel = kernel / kernel.sum()
    planes = image.unsqueeze(1)
    mode = "reflect" if radius < min(image.shape[-2:]) else "replicate"
    planes = F.conv2d(F.pad(planes, (radius, radius, 0, 0), mode=mode), kernel.view(1, 1, 1, -1))
    return F.conv2d(F.pad(planes, (0, 0, radius, radius), mode=mode), kernel.view(1, 1, -1, 1)).squeeze(1)


def gaussian_noise(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """Standard deviation from 0.01 to 0.4, geometric in the severity."""
    return (image + 0.01 * math.pow(40, severity) * torch.randn(image.shape, generator=generator)).clamp(0, 1)


def jpeg(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Quality from 70 down to 3, geometric in the severity, through Pillow's encoder."""
    return _reencode(image, "JPEG", quality=round(70 * (3 / 70) ** severity))


def webp(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Quality from 60 down to 0, through Pillow's encoder."""
    return _reencode(image, "WEBP", quality=round(60 * (1 - severity)), method=0)


def underexposure(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """Darker by up to 4.5 stops in linear light, then read out with the noise that dark pictures have."""
    linear = image.pow(2.2) * math.pow(2, -0.5 - 4 * severity)
    noise = 0.002 * torch.randn(image.shape, generator=generator)
    return (linear.pow(1 / 2.2) + noise).clamp(0, 1)


def low_resolution(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Down by a factor of 1.25 to 8 and bilinearly up again."""
    height, width = image.shape[-2:]
    factor = 1.25 * (8 / 1.25) ** severity
    size = (max(1, round(height / factor)), max(1, round(width / factor)))
    small = F.interpolate(image[None], size=size, mode="area")
    return F.interpolate(small, size=(height, width), mode="bilinear", align_corners=False)[0]


def motion_blur(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """A straight path of 3 to 31 px at a random angle."""
    length = 3 + 2 * round(14 * severity)
    angle = math.pi * torch.rand((), generator=generator).item()
    kernel = torch.zeros(length, length)
    steps = torch.linspace(-(length - 1) / 2, (length - 1) / 2, 4 * length)
    rows = (steps * math.sin(angle) + length // 2).round().long()
    columns = (steps * math.cos(angle) + length // 2).round().long()
    kernel[rows, columns] = 1
    kernel = kernel / kernel.sum()
    planes = F.pad(image.unsqueeze(1), [length // 2] * 4, mode="replicate")
    return F.conv2d(planes, kernel.view(1, 1, length, length)).squeeze(1)


def impulse_noise(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """Salt and pepper on 0.2 % to 30 % of the pixels."""
    share = 0.002 * 150**severity
    draw = torch.rand(image.shape[-2:], generator=generator)
    return image.masked_fill(draw < share / 2, 0).masked_fill(draw > 1 - share / 2, 1)


DISTORTIONS: dict[str, Distortion] = {
    "blur": gaussian_blur,
    "noise": gaussian_noise,
    "jpeg": jpeg,
    "webp": webp,
    "underexposure": underexposure,
    "low-resolution": low_resolution,
    "motion-blur": motion_blur,
    "impulse-noise": impulse_noise,
}


def distort(image: Tensor, kind: str, severity: float, *, seed: int) -> Tensor:
    """Apply the distortion ``kind``, the same way each time for one seed.

    Raises:
        ValueError: an unknown kind, or a severity outside [0, 1].
    """
    if kind not in DISTORTIONS:
        raise ValueError(f"Argument `kind` must be one of {tuple(DISTORTIONS)}, but got {kind!r}.")
    if not 0 <= severity <= 1:
        raise ValueError(f"Argument `severity` must be in [0, 1], but got {severity}.")
    # Filters overshoot by a rounding error.
    return DISTORTIONS[kind](image, severity, torch.Generator().manual_seed(seed)).clamp(0, 1)


def _reencode(image: Tensor, codec: str, **options: int) -> Tensor:
    pixels = (image * 255).round().clamp(0, 255).byte().permute(1, 2, 0).contiguous().numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, codec, **options)
    with Image.open(buffer) as decoded:
        array = np.array(decoded.convert("RGB"))
    return torch.from_numpy(array).permute(2, 0, 1).float() / 255
