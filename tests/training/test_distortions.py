from __future__ import annotations

import math

import pytest
import torch

from topiq_metrics.training.distortions import DISTORTIONS, LEVELS, PLAIN, VISIBLE, distort
from topiq_metrics.training.distortions.blur import smoothed

SIZES = [(128, 128), (32, 40), (97, 61), (33, 200)]
RANDOM = {
    "noise",
    "color-noise",
    "multiplicative-noise",
    "correlated-noise",
    "high-frequency-noise",
    "denoise",
    "underexposure",
    "motion-blur",
    "impulse-noise",
    "color-shift",
    "chromatic-aberration",
    "mean-shift",
    "jitter",
    "displaced-patches",
    "color-blocks",
    "lost-blocks",
    "sharpened-upscaling",
    "textured-upscaling",
}


def psnr(first: torch.Tensor, second: torch.Tensor) -> float:
    return -10 * math.log10((first - second).square().mean().item())


@pytest.mark.parametrize("kind", DISTORTIONS)
class TestEachKind:
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("severity", [0, 0.5, 1.0])
    def test_shape_and_range(self, kind, size, severity, picture):
        image = picture(*size)
        before = image.clone()
        damaged = distort(image, kind, severity, seed=1)
        assert (damaged.shape, damaged.dtype) == (image.shape, torch.float32)
        assert damaged.min() >= 0
        assert damaged.max() <= 1
        assert torch.equal(image, before)
        assert not torch.equal(damaged, image)

    @pytest.mark.parametrize("level", [0.0, 1.0])
    def test_flat_images(self, kind, level):
        damaged = distort(torch.full((3, 40, 40), level), kind, 0.5, seed=1)
        assert damaged.isfinite().all()

    def test_seed_decides(self, kind, picture):
        image = picture()
        state = torch.get_rng_state()
        first, second, *others = (distort(image, kind, 0.6, seed=seed) for seed in (3, 3, 4, 5, 6, 7, 8))
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.equal(first, second)
        assert all(torch.equal(first, other) for other in others) != (kind in RANDOM)

    @pytest.mark.parametrize("seed", [0, 1])
    def test_worse_with_each_level(self, kind, seed, picture):
        image = picture(seed=seed)
        damaged = [distort(image, kind, severity, seed=seed) for severity in LEVELS]
        if kind == "chromatic-aberration":
            # Between two pixels, noise is blurred.
            image, *damaged = (smoothed(x, 1.0) for x in (image, *damaged))
        values = [psnr(x, image) for x in damaged]
        assert values == sorted(values, reverse=True)
        assert len(set(values)) == 5

    def test_least_severity_is_mild(self, kind, picture):
        image = picture()
        least, most = (psnr(distort(image, kind, severity, seed=0), image) for severity in (0, 1))
        assert least > 18
        assert least > most + 4


def test_mixtures_are_one_after_the_other(picture):
    image = picture()
    mixed = distort(image, "blur+jpeg", 0.4, seed=0)
    assert torch.equal(mixed, distort(distort(image, "blur", 0.4, seed=0), "jpeg", 0.4, seed=0))


def test_a_mixture_is_random_throughout(picture):
    """The second kind goes on with the numbers of the first."""
    image = picture()
    noise = [distort(image, kind, 0.4, seed=0) for kind in ("noise+noise", "noise")]
    assert psnr(noise[0], image) == pytest.approx(psnr(noise[1], image) - 3, abs=0.7)


def test_plain_ones_are_of_the_bank():
    assert set(PLAIN) <= set(DISTORTIONS)
    assert len(set(PLAIN)) == 8
    assert set(PLAIN) < set(VISIBLE) <= set(DISTORTIONS)
    assert len(set(VISIBLE)) == len(VISIBLE)


@pytest.mark.parametrize("kind", ["fog", "blur+fog", "", "blur+"])
def test_unknown_kind(kind):
    with pytest.raises(
        ValueError, match=r"Argument `kind` must be one of \('blur', 'noise', .*\), but got '" + kind[:4]
    ):
        distort(torch.zeros(3, 40, 40), kind, 0.5, seed=0)


@pytest.mark.parametrize("severity", [-0.1, 1.1, float("nan")])
def test_severity_out_of_range(severity):
    with pytest.raises(ValueError, match=r"Argument `severity` must be in \[0, 1\], but got "):
        distort(torch.zeros(3, 40, 40), "blur", severity, seed=0)
