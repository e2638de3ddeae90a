"""Every kind of damage by its name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from topiq_metrics.models.network import float32_by_default
from topiq_metrics.training.distortions import blur, color, compression, noise, resampling, spatial, tone

Distortion = Callable[[Tensor, float, torch.Generator], Tensor]

LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""The severities of the five levels that data sets have."""

DISTORTIONS: dict[str, Distortion] = {
    "blur": blur.gaussian_blur,
    "noise": noise.gaussian_noise,
    "jpeg": compression.jpeg,
    "webp": compression.webp,
    "underexposure": tone.underexposure,
    "low-resolution": resampling.low_resolution,
    "motion-blur": blur.motion_blur,
    "impulse-noise": noise.impulse_noise,
    "lens-blur": blur.lens_blur,
    "color-diffusion": color.color_diffusion,
    "color-shift": color.color_shift,
    "color-quantization": color.color_quantization,
    "desaturation": color.desaturation,
    "oversaturation": color.oversaturation,
    "chromatic-aberration": color.chromatic_aberration,
    "jpeg2000": compression.jpeg2000,
    "avif": compression.avif,
    "color-noise": noise.color_noise,
    "multiplicative-noise": noise.multiplicative_noise,
    "correlated-noise": noise.correlated_noise,
    "high-frequency-noise": noise.high_frequency_noise,
    "denoise": noise.denoise,
    "brighten": tone.brighten,
    "darken": tone.darken,
    "mean-shift": tone.mean_shift,
    "contrast-loss": tone.contrast_loss,
    "contrast-gain": tone.contrast_gain,
    "quantization": tone.quantization,
    "sharpen": tone.sharpen,
    "jitter": spatial.jitter,
    "displaced-patches": spatial.displaced_patches,
    "color-blocks": spatial.color_blocks,
    "lost-blocks": spatial.lost_blocks,
    "pixelate": resampling.pixelate,
    "nearest-upscaling": resampling.nearest_upscaling,
    "bilinear-upscaling": resampling.bilinear_upscaling,
    "bicubic-upscaling": resampling.bicubic_upscaling,
    "lanczos-upscaling": resampling.lanczos_upscaling,
    "sharpened-upscaling": resampling.sharpened_upscaling,
    "textured-upscaling": resampling.textured_upscaling,
}

PLAIN = (
    "blur",
    "noise",
    "jpeg",
    "webp",
    "underexposure",
    "low-resolution",
    "motion-blur",
    "impulse-noise",
)
"""Those that make any photograph worse, as people see it too: for ranks without ratings."""

VISIBLE = (
    *PLAIN,
    "lens-blur",
    "chromatic-aberration",
    "jpeg2000",
    "avif",
    "color-noise",
    "multiplicative-noise",
    "correlated-noise",
    "high-frequency-noise",
    "color-quantization",
    "sharpen",
    "jitter",
    "lost-blocks",
    "pixelate",
    "nearest-upscaling",
    "bicubic-upscaling",
    "sharpened-upscaling",
)
"""Those that people see without knowing the photograph as it was."""


@float32_by_default()
def distort(image: Tensor, kind: str, severity: float, *, seed: int) -> Tensor:
    """Apply the distortion ``kind``, or several after each other as ``"blur+jpeg"``; the same way for one seed.

    Raises:
        ValueError: an unknown kind, or a severity outside [0, 1].
    """
    kinds = kind.split("+")
    if not set(kinds) <= set(DISTORTIONS):
        raise ValueError(f"Argument `kind` must be one of {tuple(DISTORTIONS)}, but got {kind!r}.")
    if not 0 <= severity <= 1:
        raise ValueError(f"Argument `severity` must be in [0, 1], but got {severity}.")
    generator = torch.Generator().manual_seed(seed)
    for name in kinds:
        # Filters overshoot by a rounding error.
        image = DISTORTIONS[name](image, severity, generator).clamp(0, 1)
    return image
