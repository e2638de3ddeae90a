"""Noise, and what denoising leaves."""

from __future__ import annotations

import torch
from skimage.color import rgb2ycbcr, ycbcr2rgb
from skimage.restoration import denoise_tv_chambolle
from torch import Tensor

from topiq_metrics.training.distortions.arrays import as_image, as_pixels
from topiq_metrics.training.distortions.blur import smoothed
from topiq_metrics.training.distortions.scale import geometric


def gaussian_noise(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """Standard deviation from 0.01 to 0.4, geometric in the severity."""
    return (image + geometric(0.01, 0.4, severity) * torch.randn(image.shape, generator=generator)).clamp(0, 1)


def color_noise(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """In luma and, four times as strong, in chroma; standard deviation of the chroma from 0.02 to 0.5."""
    deviation = 255 * geometric(0.02, 0.5, severity)
    noise = torch.randn(image.shape, generator=generator) * torch.tensor([0.25, 1, 1]).view(3, 1, 1) * deviation
    return as_image(ycbcr2rgb(rgb2ycbcr(as_pixels(image)) + as_pixels(noise)))


def multiplicative_noise(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """Speckle: each value times 1 plus noise of standard deviation 0.02 to 0.8."""
    return image * (1 + geometric(0.02, 0.8, severity) * torch.randn(image.shape, generator=generator))


def correlated_noise(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """Grain of about 3 px; standard deviation from 0.01 to 0.3."""
    grain = smoothed(torch.randn(image.shape, generator=generator), 1.2)
    return image + geometric(0.01, 0.3, severity) * grain / grain.std()


def high_frequency_noise(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """Noise without its low frequencies; standard deviation from 0.01 to 0.4."""
    noise = torch.randn(image.shape, generator=generator)
    return image + geometric(0.01, 0.4, severity) * (noise - smoothed(noise, 1.0))


def impulse_noise(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """Salt and pepper on 0.2 % to 30 % of the pixels."""
    share = geometric(0.002, 0.3, severity)
    draw = torch.rand(image.shape[-2:], generator=generator)
    return image.masked_fill(draw < share / 2, 0).masked_fill(draw > 1 - share / 2, 1)


def denoise(image: Tensor, severity: float, generator: torch.Generator) -> Tensor:
    """Noise of standard deviation 0.02 to 0.3, then total variation denoising of matching strength."""
    deviation = geometric(0.02, 0.3, severity)
    noisy = image + deviation * torch.randn(image.shape, generator=generator)
    return as_image(denoise_tv_chambolle(as_pixels(noisy), weight=1.2 * deviation, channel_axis=2, max_num_iter=60))
