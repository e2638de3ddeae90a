"""The damages of KADID-10k as its authors define them, so that their human scores can be taught on other pictures.

Kinds, numbers and parameters are those of Lin, Hosu, Saupe, "KADID-10k: A Large-Scale Artificially Distorted IQA
Database", QoMEX 2019. Kinds 6 (color quantization) and 15 (denoising) are left out: they need software whose settings
are not stated. Parameters in pixels are for pictures of 512 x 384, as they are shown there; what is counted (patches,
blocks) is as dense in pictures of other sizes.

An image is RGB ``(3, H, W)`` in [0, 1], on the CPU; so is what comes back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.interpolate import CubicSpline
from skimage.color import rgb2lab, rgb2ycbcr, ycbcr2rgb
from torch import Tensor

from topiq_metrics.training.distortions.arrays import as_image, as_pixels
from topiq_metrics.training.distortions.blur import filtered, smoothed
from topiq_metrics.training.distortions.color import from_lab
from topiq_metrics.training.distortions.compression import reencode

PICTURE = 512 * 384
"""The pixels of a picture of KADID-10k."""

Damage = Callable[[Tensor, float, torch.Generator], Tensor]


@dataclass(frozen=True)
class Kind:
    """One of the kinds.

    Attributes:
        number: in KADID-10k.
        name: in words.
        parameters: of its five levels, in KADID-10k's order. That is not the order of severity for mean shift and
            contrast change, whose third level changes least.
        damage: image, parameter and generator to the damaged image.
    """

    number: int
    name: str
    parameters: tuple[float, float, float, float, float]
    damage: Damage

    def parameter(self, level: float) -> float:
        """The parameter of a level from 1 to 5.

        Between two levels it is in proportion: of the logarithm, if both are above 0.
        """
        index = min(int(level), 4)
        low, high = self.parameters[index - 1 : index + 1]
        share = level - index
        if low > 0 and high > 0:
            return low * math.pow(high / low, share)
        return low + share * (high - low)


def kadid_damage(image: Tensor, number: int, level: float, *, seed: int) -> Tensor:
    """Damage an image as kind ``number`` of KADID-10k does at a level from 1 to 5; the same way for one seed.

    Raises:
        ValueError: a kind that is not in `KADID`, or a level outside [1, 5].
    """
    if number not in KADID:
        raise ValueError(f"Argument `number` must be one of {tuple(KADID)}, but got {number!r}.")
    if not 1 <= level <= 5:
        raise ValueError(f"Argument `level` must be in [1, 5], but got {level}.")
    kind = KADID[number]
    return kind.damage(image, kind.parameter(level), torch.Generator().manual_seed(seed)).clamp(0, 1)


def _gaussian(image: Tensor, sigma: float) -> Tensor:
    """Under a Gaussian that is cut off at twice its deviation, as KADID-10k's is."""
    return smoothed(image, sigma, reach=2)


def _gaussian_blur(image: Tensor, sigma: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    return _gaussian(image, sigma)


def _lens_blur(image: Tensor, radius: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """A disc; each weight is the share of its pixel that lies inside."""
    reach, fine = math.ceil(radius - 0.5), 15
    inside = (torch.arange(fine) + 0.5) / fine - 0.5
    places = (torch.arange(-reach, reach + 1)[:, None] + inside).flatten()
    disc = (torch.hypot(places[:, None], places) <= radius).float()
    return filtered(image, F.avg_pool2d(disc[None], fine)[0])


def _motion_blur(image: Tensor, length: float, generator: torch.Generator) -> Tensor:
    """A segment at a random angle; a weight falls to 0 at one pixel from it."""
    angle, half = math.pi * torch.rand((), generator=generator).item(), (length - 1) / 2
    reach = math.ceil(half) + 1
    offsets = torch.arange(-reach, reach + 1).float()
    rows, columns = offsets[:, None].expand(len(offsets), -1), offsets.expand(len(offsets), -1)
    along = (columns * math.cos(angle) - rows * math.sin(angle)).clamp(-half, half)
    distance = torch.hypot(columns - along * math.cos(angle), rows + along * math.sin(angle))
    return filtered(image, (1 - distance).clamp(min=0))


def _color_diffusion(image: Tensor, amount: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """The colours under a Gaussian, *and* ``amount`` times as strong."""
    lab = as_image(rgb2lab(as_pixels(image)))
    lab[1:] = amount * _gaussian(lab[1:], 1.5 * amount + 2)
    return from_lab(as_pixels(lab))


def _color_shift(image: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """The green plane moved by whole pixels, right and down, where the picture has edges."""
    direction = math.pi / 2 * torch.rand((), generator=generator).item()
    rows, columns = round(amount * math.sin(direction)), round(amount * math.cos(direction))
    green = F.pad(image[1][None], (columns, 0, rows, 0), mode="replicate")[0, : image.shape[1], : image.shape[2]]
    gray = (image * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(dim=0)
    slopes = torch.stack(torch.gradient(gray)).square().sum(dim=0).sqrt()
    mask = _gaussian(slopes[None], 4.0)[0]
    mask = (mask - mask.min()) / (mask.max() - mask.min()).clamp(min=1e-6)
    mask = mask.clamp(mask.flatten().quantile(0.01), mask.flatten().quantile(0.99))
    return torch.stack([image[0], torch.lerp(image[1], green, mask), image[2]])


def _saturation_hsv(image: Tensor, factor: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """The saturation of HSV times a factor; below 0 the hues are turned round."""
    value = image.amax(dim=0, keepdim=True)
    return value - factor * (value - image)


def _saturation_lab(image: Tensor, factor: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    lab = rgb2lab(as_pixels(image))
    lab[..., 1:] *= factor
    return from_lab(lab)


def _jpeg2000(image: Tensor, ratio: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    return reencode(image, "JPEG2000", quality_mode="rates", quality_layers=[ratio])


def _jpeg(image: Tensor, quality: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    return reencode(image, "JPEG", quality=round(quality))


def _white_noise(image: Tensor, variance: float, generator: torch.Generator) -> Tensor:
    return image + math.sqrt(variance) * torch.randn(image.shape, generator=generator)


def _white_noise_ycbcr(image: Tensor, variance: float, generator: torch.Generator) -> Tensor:
    noise = 255 * math.sqrt(variance) * torch.randn(image.shape, generator=generator)
    return as_image(ycbcr2rgb(rgb2ycbcr(as_pixels(image)) + as_pixels(noise)))


def _impulse_noise(image: Tensor, density: float, generator: torch.Generator) -> Tensor:
    """Salt and pepper in each plane by itself."""
    draw = torch.rand(image.shape, generator=generator)
    return image.masked_fill(draw < density / 2, 0).masked_fill(draw > 1 - density / 2, 1)


def _multiplicative_noise(image: Tensor, variance: float, generator: torch.Generator) -> Tensor:
    return image * (1 + math.sqrt(variance) * torch.randn(image.shape, generator=generator))


def _brighten(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """A parabola that lifts the middle, two thirds of it in RGB and a third in the lightness of CIELAB."""
    lab = as_image(rgb2lab(as_pixels(image)))
    lab[0] = 100 * _bent(lab[0] / 100, strength).clamp(0, 1)
    return (2 * _bent(image, strength).clamp(0, 1) + from_lab(as_pixels(lab)).clamp(0, 1)) / 3


def _darken(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    return _bent(image, -strength)


def _bent(values: Tensor, strength: float) -> Tensor:
    """The parabola through (0, 0), (1, 1) and (1/2, (1 + strength) / 2)."""
    return values * (1 + 2 * strength - 2 * strength * values)


def _mean_shift(image: Tensor, shift: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    return image + shift


def _jitter(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Five times, each pixel from somewhere near; the deviation of each move is ``strength`` pixels."""
    height, width = image.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    still = torch.stack([columns, rows], dim=-1).float()
    scale = 2 / torch.tensor([width, height])
    for _ in range(5):
        moves = strength * torch.randn(height, width, 2, generator=generator)
        grid = (still + moves + 0.5) * scale - 1
        image = F.grid_sample(image[None], grid[None], padding_mode="border", align_corners=False)[0]
    return image


def _displaced_patches(image: Tensor, number: float, generator: torch.Generator) -> Tensor:
    """Squares of 16 px, each from up to 8 px away in both directions."""
    image, side, reach = image.clone(), 16, 8
    for _ in range(_count(number, image)):
        top, left = (
            reach + int(torch.randint(max(length - side - 2 * reach, 1), (), generator=generator))
            for length in image.shape[-2:]
        )
        rows, columns = (int(move) for move in torch.randint(-reach, reach + 1, (2,), generator=generator))
        patch = image[:, top : top + side, left : left + side].clone()
        image[:, top + rows : top + rows + side, left + columns : left + columns + side] = patch
    return image


def _pixelate(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """To a share of the sides by the nearest pixel, and back by the nearest pixel."""
    height, width = image.shape[-2:]
    share = 0.95 - strength**0.6
    small = F.interpolate(image[None], size=(int(share * height), int(share * width)), mode="nearest-exact")
    return F.interpolate(small, size=(height, width), mode="nearest-exact")[0]


def _quantization(image: Tensor, levels: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """To the values that lose least variance, as Otsu's thresholds do; the same for all planes."""
    pixels = as_pixels(image)
    centers = np.linspace(0, 1, round(levels) * 2 + 1)[1::2]
    histogram, edges = np.histogram(pixels, 256, (0, 1))
    values = (edges[1:] + edges[:-1]) / 2
    for _ in range(50):
        nearest = np.abs(values[:, None] - centers).argmin(axis=1)
        weights = np.bincount(nearest, histogram, len(centers))
        sums = np.bincount(nearest, histogram * values, len(centers))
        # A value that no pixel has stays where it is.
        centers = np.where(weights > 0, sums / np.maximum(weights, 1), centers)
    return as_image(centers[np.searchsorted((centers[1:] + centers[:-1]) / 2, pixels)])


def _color_blocks(image: Tensor, number: float, generator: torch.Generator) -> Tensor:
    """Squares of 32 px, each of one random colour."""
    image, side = image.clone(), 32
    for _ in range(_count(number, image)):
        top, left = (int(torch.randint(length - side + 1, (), generator=generator)) for length in image.shape[-2:])
        image[:, top : top + side, left : left + side] = torch.rand(3, 1, 1, generator=generator)
    return image


def _count(number: float, image: Tensor) -> int:
    return max(1, round(number * image.shape[-2] * image.shape[-1] / PICTURE))


def _sharpen(image: Tensor, amount: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """An unsharp mask of the lightness, of deviation 3 px."""
    lab = as_image(rgb2lab(as_pixels(image)))
    lab[:1] += amount * (lab[:1] - _gaussian(lab[:1], 3.0))
    return from_lab(as_pixels(lab))


def _contrast_change(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """A curve through the middle; at strength 0 it already raises the contrast a little."""
    ends = strength / 4
    curve = CubicSpline([0, 0.3, 0.5, 0.7, 1], [0, 0.25 - ends, 0.5, 0.75 + ends, 1])
    return as_image(curve(as_pixels(image)).clip(0, 1))


KADID: dict[int, Kind] = {
    kind.number: kind
    for kind in (
        Kind(1, "Gaussian blur", (0.1, 0.5, 1, 2, 5), _gaussian_blur),
        Kind(2, "lens blur", (1, 2, 4, 6, 8), _lens_blur),
        Kind(3, "motion blur", (1, 2, 4, 6, 10), _motion_blur),
        Kind(4, "color diffusion", (1, 3, 6, 8, 12), _color_diffusion),
        Kind(5, "color shift", (1, 3, 6, 8, 12), _color_shift),
        Kind(7, "saturation in HSV", (0.4, 0.2, 0.1, 0, -0.4), _saturation_hsv),
        Kind(8, "saturation in Lab", (1, 2, 3, 6, 9), _saturation_lab),
        Kind(9, "JPEG 2000", (16, 32, 45, 120, 170), _jpeg2000),
        Kind(10, "JPEG", (43, 36, 24, 7, 4), _jpeg),
        Kind(11, "white noise", (0.001, 0.002, 0.003, 0.005, 0.01), _white_noise),
        Kind(12, "white noise in YCbCr", (0.0001, 0.0005, 0.001, 0.002, 0.003), _white_noise_ycbcr),
        Kind(13, "impulse noise", (0.001, 0.005, 0.01, 0.02, 0.03), _impulse_noise),
        Kind(14, "multiplicative noise", (0.001, 0.005, 0.01, 0.02, 0.05), _multiplicative_noise),
        Kind(16, "brighten", (0.1, 0.2, 0.4, 0.7, 1.1), _brighten),
        Kind(17, "darken", (0.05, 0.1, 0.2, 0.4, 0.8), _darken),
        Kind(18, "mean shift", (0.15, 0.08, 0, -0.08, -0.15), _mean_shift),
        Kind(19, "jitter", (0.05, 0.1, 0.2, 0.5, 1), _jitter),
        Kind(20, "displaced patches", (20, 40, 60, 80, 100), _displaced_patches),
        Kind(21, "pixelate", (0.01, 0.05, 0.1, 0.2, 0.5), _pixelate),
        Kind(22, "quantization", (20, 16, 13, 10, 7), _quantization),
        Kind(23, "color blocks", (2, 4, 6, 8, 10), _color_blocks),
        Kind(24, "sharpen", (1, 2, 3, 6, 12), _sharpen),
        Kind(25, "contrast change", (0.3, 0.15, 0, -0.4, -0.6), _contrast_change),
    )
}
"""Every kind by its number in KADID-10k."""
