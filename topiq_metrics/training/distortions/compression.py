"""Real encoders, through Pillow."""

from __future__ import annotations

import io
from typing import Any

import torch
from torch import Tensor

from topiq_metrics.images import load_image
from topiq_metrics.training.distortions.arrays import as_picture
from topiq_metrics.training.distortions.scale import geometric


def jpeg(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Quality from 70 down to 3, geometric in the severity."""
    return reencode(image, "JPEG", quality=round(geometric(70, 3, severity)))


def jpeg2000(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """From a twelfth of the size to a four-hundredth."""
    return reencode(image, "JPEG2000", quality_mode="rates", quality_layers=[geometric(12, 400, severity)])


def webp(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Quality from 60 down to 0."""
    return reencode(image, "WEBP", quality=round(60 * (1 - severity)), method=0)


def avif(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Quality from 55 down to 0."""
    return reencode(image, "AVIF", quality=round(55 * (1 - severity)), speed=10)


def reencode(image: Tensor, codec: str, **options: Any) -> Tensor:
    """An image ``(3, H, W)`` as it comes back from a file that Pillow writes with the options."""
    buffer = io.BytesIO()
    as_picture(image).save(buffer, codec, **options)
    return load_image(buffer)
