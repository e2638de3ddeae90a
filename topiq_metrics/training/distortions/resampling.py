"""Too few pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from topiq_metrics.images import load_image
from topiq_metrics.training.distortions.arrays import as_picture
from topiq_metrics.training.distortions.blur import smoothed
from topiq_metrics.training.distortions.scale import geometric


def low_resolution(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Down by a factor of 1.25 to 8 and bilinearly up again."""
    size = _smaller(image, geometric(1.25, 8, severity))
    small = F.interpolate(image[None], size=size, mode="area")
    return F.interpolate(small, size=image.shape[-2:], mode="bilinear", align_corners=False)[0]


def pixelate(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Averages over squares of 1.25 to 12 px."""
    small = F.interpolate(image[None], size=_smaller(image, geometric(1.25, 12, severity)), mode="area")
    return F.interpolate(small, size=image.shape[-2:], mode="nearest-exact")[0]


def nearest_upscaling(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Bicubically down by a factor of 2 (severity 0) to 4 (0.5) to 8 (1), and up by the nearest pixel."""
    return _upscaled(image, severity, Image.Resampling.NEAREST)


def bilinear_upscaling(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """As `nearest_upscaling`, but bilinearly."""
    return _upscaled(image, severity, Image.Resampling.BILINEAR)


def bicubic_upscaling(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """As `nearest_upscaling`, but bicubically."""
    return _upscaled(image, severity, Image.Resampling.BICUBIC)


def lanczos_upscaling(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """As `nearest_upscaling`, but by Lanczos' kernel."""
    return _upscaled(image, severity, Image.Resampling.LANCZOS)


def sharpened_upscaling(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """As `bicubic_upscaling`, then an unsharp mask of about the lost detail, 0.5 to 2.5 times.

    Learned upscaling that overdoes edges looks like it.
    """
    large = bicubic_upscaling(image, severity, generator)
    amount = 0.5 + 2 * torch.rand((), generator=generator).item()
    return large + amount * (large - smoothed(large, geometric(2, 8, severity) / 2))


def textured_upscaling(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """As `bicubic_upscaling`, with 40 % to all of the lost detail put back, in the wrong places.

    Learned upscaling that invents texture looks like it.
    """
    large = bicubic_upscaling(image, severity, generator)
    reach = geometric(2, 8, severity)
    height, width = image.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    moves = smoothed(torch.randn(2, height, width, generator=generator), reach)
    moves = reach * moves / moves.std()
    grid = (torch.stack([columns + moves[0], rows + moves[1]], dim=-1) + 0.5) * 2 / torch.tensor([width, height]) - 1
    detail = F.grid_sample((image - large)[None], grid[None], padding_mode="border", align_corners=False)[0]
    return large + (0.4 + 0.6 * torch.rand((), generator=generator).item()) * detail


def _upscaled(image: Tensor, severity: float, kernel: Image.Resampling) -> Tensor:
    height, width = _smaller(image, geometric(2, 8, severity))
    picture = as_picture(image)
    small = picture.resize((width, height), Image.Resampling.BICUBIC)
    return load_image(small.resize(picture.size, kernel))


def _smaller(image: Tensor, factor: float) -> tuple[int, int]:
    height, width = image.shape[-2:]
    return max(1, round(height / factor)), max(1, round(width / factor))
