"""The damages of KADID-10k, against what its authors say of them."""

from __future__ import annotations

import pytest
import torch

from topiq_metrics.training.distortions.kadid import KADID, PICTURE, kadid_damage

NOT_RISING = {18, 25}
"""Kinds whose third level changes least."""


def error(first: torch.Tensor, second: torch.Tensor) -> float:
    return (first - second).square().mean().item()


@pytest.mark.parametrize("number", KADID)
class TestEachKind:
    @pytest.mark.parametrize("size", [(128, 128), (97, 61), (64, 200)])
    def test_shape_and_range(self, number, size, picture):
        image = picture(*size)
        before = image.clone()
        for level in (1, 3.4, 5):
            damaged = kadid_damage(image, number, level, seed=0)
            assert (damaged.shape, damaged.dtype) == (image.shape, torch.float32)
            assert damaged.min() >= 0
            assert damaged.max() <= 1
        assert torch.equal(image, before)

    def test_seed_decides(self, number, picture):
        image = picture()
        first, second = (kadid_damage(image, number, 4.5, seed=3) for _ in range(2))
        assert torch.equal(first, second)

    def test_levels_in_order(self, number, picture):
        image = picture(192, 192)
        errors = [error(kadid_damage(image, number, level, seed=5), image) for level in range(1, 6)]
        if number in NOT_RISING:
            assert min(errors) == errors[2]
            assert errors[0] > errors[1]
            assert errors[4] > errors[3]
        else:
            assert errors == sorted(errors)
            assert errors[4] > errors[0]

    def test_parameter_between_levels(self, number):
        kind = KADID[number]
        assert [kind.parameter(level) for level in range(1, 6)] == pytest.approx(kind.parameters)
        low, high = sorted((kind.parameters[1], kind.parameters[2]))
        assert low < kind.parameter(2.5) < high


def flat(value=0.5, side=96):
    return torch.full((3, side, side), value)


def point(side=33):
    image = torch.zeros(3, side, side)
    image[:, side // 2, side // 2] = 1
    return image


def test_parameters_mean_what_they_say():
    noise = kadid_damage(flat(), 11, 5, seed=0) - 0.5
    assert noise.var().item() == pytest.approx(0.01, rel=0.05)
    speckle = kadid_damage(flat(), 14, 4, seed=0) / 0.5 - 1
    assert speckle.var().item() == pytest.approx(0.02, rel=0.05)
    struck = kadid_damage(flat(), 13, 5, seed=0) != 0.5
    assert struck.float().mean().item() == pytest.approx(0.03, rel=0.15)
    # In each plane by itself.
    assert struck.any(dim=0).float().mean() > 2.5 * struck[0].float().mean()
    shifted = kadid_damage(flat(), 18, 1, seed=0)
    assert torch.allclose(shifted, flat(0.65))


@pytest.mark.parametrize(("number", "level", "deviation"), [(1, 4, 2.0), (1, 3, 1.0)])
def test_blur_widths(number, level, deviation):
    spread = kadid_damage(point(), number, level, seed=0)[0]
    assert spread.sum().item() == pytest.approx(1, abs=1e-4)
    offsets = torch.arange(33) - 16
    # Cut off at two deviations, a Gaussian is narrower.
    assert (spread.sum(dim=1) * offsets.square()).sum().sqrt().item() == pytest.approx(0.9 * deviation, rel=0.08)


def test_lens_blur_is_a_disc():
    disc = kadid_damage(point(), 2, 3, seed=0)[0]
    assert (disc > disc.max() / 2).sum().item() == pytest.approx(3.1416 * 4**2, rel=0.25)
    assert disc.max().item() == pytest.approx(1 / (3.1416 * 4**2), rel=0.02)


def test_motion_of_one_pixel_is_none(picture):
    assert torch.allclose(kadid_damage(picture(), 3, 1, seed=0), picture(), atol=1e-6)
    line = kadid_damage(point(), 3, 5, seed=2)[0]
    rows, columns = (line > 0.02).nonzero().unbind(dim=1)
    assert torch.hypot((rows - 16.0), (columns - 16.0)).max().item() == pytest.approx(4.5, abs=0.8)


def test_saturation_below_zero_turns_hues_round():
    orange = torch.tensor([1.0, 0.5, 0.0]).view(3, 1, 1).expand(3, 40, 40)
    gray = kadid_damage(orange, 7, 4, seed=0)
    assert torch.allclose(gray, torch.ones_like(gray))
    damaged = kadid_damage(0.6 * orange, 7, 5, seed=0)[:, 0, 0]
    assert damaged.tolist() == pytest.approx([0.6, 0.72, 0.84], abs=1e-3)


def test_color_diffusion_spreads_and_strengthens(picture):
    image = picture(96, 96)
    weak, strong = (kadid_damage(image, 4, level, seed=0) for level in (1, 2))
    chroma = [(x - x.mean(dim=0)).abs().mean() for x in (weak, strong)]
    assert chroma[1] > 2 * chroma[0]


def test_contrast_is_raised_at_strength_zero():
    ramp = torch.linspace(0, 1, 101).expand(3, 101, 101)
    curve = kadid_damage(ramp, 25, 3, seed=0)[0, 0]
    assert [curve[i].item() for i in (0, 30, 50, 70, 100)] == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=1e-4)


def test_brighten_and_darken_keep_black_and_white():
    for number in (16, 17):
        for value in (0.0, 1.0):
            assert torch.allclose(kadid_damage(flat(value), number, 2, seed=0), flat(value), atol=2e-3)
    assert kadid_damage(flat(), 17, 4, seed=0).mean().item() == pytest.approx(0.3, abs=1e-3)
    assert kadid_damage(flat(), 16, 3, seed=0).mean().item() == pytest.approx(0.7, abs=0.02)


def test_quantization_has_so_many_values(picture):
    assert len(kadid_damage(picture(), 22, 5, seed=0).unique()) <= 7
    assert len(kadid_damage(picture(), 22, 1, seed=0).unique()) > 7


def test_what_is_counted_is_as_dense_in_other_sizes():
    rows, columns = 384, 512
    assert rows * columns == PICTURE
    whole = torch.zeros(3, rows, columns)
    struck = [(kadid_damage(image, 23, 5, seed=1) > 0).any(dim=0).sum().item() for image in (whole, whole[:, :192])]
    assert 0.55 * 10 * 32**2 < struck[0] <= 10 * 32**2
    assert struck[1] <= 5 * 32**2


def test_refused():
    with pytest.raises(ValueError, match=r"Argument `number` must be one of \(1, 2, .* but got 6"):
        kadid_damage(flat(), 6, 1, seed=0)
    for level in (0.9, 5.1, float("nan")):
        with pytest.raises(ValueError, match=r"Argument `level` must be in \[1, 5\], but got "):
            kadid_damage(flat(), 1, level, seed=0)
