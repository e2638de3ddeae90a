from __future__ import annotations

import math

import pytest
import torch

from topiq_metrics.training.distortions import DISTORTIONS, distort

SIZES = [(128, 128), (32, 40), (97, 61), (33, 200)]


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
        first, second, other = (distort(image, kind, 0.6, seed=seed) for seed in (3, 3, 4))
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.equal(first, second)
        random = kind in {"noise", "underexposure", "motion-blur", "impulse-noise"}
        assert torch.equal(first, other) != random

    @pytest.mark.parametrize("seed", [0, 1])
    def test_worse_as_severity_grows(self, kind, seed, picture):
        image = picture(seed=seed)
        values = [psnr(distort(image, kind, severity, seed=seed), image) for severity in (0.1, 0.3, 0.5, 0.7, 0.9)]
        assert values == sorted(values, reverse=True)
        assert len(set(values)) == 5

    def test_least_severity_is_mild(self, kind, picture):
        image = picture()
        least, most = (psnr(distort(image, kind, severity, seed=0), image) for severity in (0, 1))
        assert least > 18
        assert least > most + 4


def test_unknown_kind():
    with pytest.raises(ValueError, match=r"Argument `kind` must be one of \('blur', 'noise', .*\), but got 'fog'"):
        distort(torch.zeros(3, 40, 40), "fog", 0.5, seed=0)


@pytest.mark.parametrize("severity", [-0.1, 1.1, float("nan")])
def test_severity_out_of_range(severity):
    with pytest.raises(ValueError, match=r"Argument `severity` must be in \[0, 1\], but got "):
        distort(torch.zeros(3, 40, 40), "blur", severity, seed=0)
