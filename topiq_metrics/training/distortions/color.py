"""Wrong colours."""

from __future__ import annotations

import math
import warnings

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from skimage.color import lab2rgb, rgb2lab
from torch import Tensor
from torchvision.transforms.v2.functional import adjust_saturation

from topiq_metrics.images import load_image
from topiq_metrics.training.distortions.arrays import as_image, as_picture, as_pixels
from topiq_metrics.training.distortions.blur import smoothed
from topiq_metrics.training.distortions.scale import geometric


def color_diffusion(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """The colours, not the lightness, under a Gaussian of 2 to 20 px (CIELAB)."""
    lab = as_image(rgb2lab(as_pixels(image)))
    lab[1:] = smoothed(lab[1:], geometric(2, 20, severity))
    return from_lab(as_pixels(lab))


def color_shift(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """The green plane moved by 1 to 12 px in a random direction, where there are edges."""
    angle = 2 * math.pi * torch.rand((), generator=generator).item()
    distance = geometric(1, 12, severity)
    green = _moved(image[1], distance * math.sin(angle), distance * math.cos(angle))
    lightness = image.mean(dim=0)
    slopes = torch.stack(torch.gradient(lightness)).square().sum(dim=0).sqrt()
    share = smoothed(slopes[None], 1 + distance / 2)[0]
    share = (3 * share / share.max().clamp(min=1e-3)).clamp(max=1)
    return torch.stack([image[0], torch.lerp(image[1], green, share), image[2]])


def chromatic_aberration(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """The red and the blue plane moved apart by 1 to 10 px in a random direction."""
    angle = 2 * math.pi * torch.rand((), generator=generator).item()
    row, column = (geometric(0.5, 5, severity) * f(angle) for f in (math.sin, math.cos))
    return torch.stack([_moved(image[0], row, column), image[1], _moved(image[2], -row, -column)])


def color_quantization(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """From 64 colours down to 4, chosen for the picture."""
    colors = round(geometric(64, 4, severity))
    return load_image(as_picture(image).quantize(colors, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE))


def desaturation(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Saturation from 80 % down to 0."""
    grayer: Tensor = adjust_saturation(image, 0.8 * (1 - severity))
    return grayer


def oversaturation(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Chroma 1.3 to 6 times as strong (CIELAB)."""
    lab = rgb2lab(as_pixels(image))
    lab[..., 1:] *= geometric(1.3, 6, severity)
    return from_lab(lab)


def from_lab(lab: npt.NDArray[np.float64]) -> Tensor:
    with warnings.catch_warnings():
        # Of colours that no screen shows, which are cut off.
        warnings.filterwarnings("ignore", message="Conversion from CIE-LAB")
        return as_image(lab2rgb(lab))


def _moved(plane: Tensor, rows: float, columns: float) -> Tensor:
    """A plane ``(H, W)`` by fractions of a pixel; the edge goes on."""
    height, width = plane.shape
    offset = torch.tensor([[1.0, 0.0, -2 * columns / width], [0.0, 1.0, -2 * rows / height]])
    grid = F.affine_grid(offset[None], [1, 1, height, width], align_corners=False)
    return F.grid_sample(plane[None, None], grid, padding_mode="border", align_corners=False)[0, 0]
