"""Shrinking without torch is that of the size rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from topiq_metrics.images import SizePolicy
from topiq_metrics.images.color import Pixels
from topiq_metrics.images.resampling import shrink, triangles
from topiq_metrics.images.unit_range import UnitRows

SIZES = ((64, 64), (97, 131), (300, 517), (33, 1000), (1201, 803), (65, 64))
TARGETS = ((32, 32), (64, 33), (50, 64), (33, 40))


def random_values(*shape):
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", SIZES)
def test_values_are_those_of_torch(size, target):
    image = torch.from_numpy(random_values(*size, 3)).permute(2, 0, 1) / 255
    expected = torch.nn.functional.interpolate(image[None], target, mode="bilinear", antialias=True)[0]
    rows = image.permute(1, 2, 0).numpy()
    got = shrink(lambda start, end: rows[start:end], size, target)
    assert got.shape == (3, *target)
    assert got.flags.c_contiguous
    np.testing.assert_allclose(got, expected.numpy(), atol=2e-6)


@pytest.mark.parametrize("rule", ["max_side=64", "max_short_side=48", "short_side=40", "square=32"])
def test_values_are_those_of_the_size_rule(rule):
    image = torch.from_numpy(random_values(301, 222, 1)).permute(2, 0, 1) / 255
    policy = SizePolicy.parse(rule)
    got = shrink(lambda start, end: image[0, start:end, :, None].numpy(), (301, 222), policy.output_size(301, 222))
    np.testing.assert_allclose(got, policy.apply(image).numpy(), atol=2e-6)


def test_weights_sum_to_one_and_reach_no_further_than_the_image():
    for side, target in ((7, 3), (1000, 1), (64, 63), (5, 5), (3840, 512)):
        starts, weights = triangles(side, target)
        assert weights.sum(axis=1) == pytest.approx(1, abs=1e-6)
        assert starts.min() >= 0
        assert starts.max() + weights.shape[1] <= side


def test_rows_of_all_kinds():
    colour = random_values(5, 4, 3)
    np.testing.assert_array_equal(UnitRows(Pixels(colour, 255), "a")(1, 3), colour[1:3] / np.float32(255))
    deep = colour[..., 0].astype(np.uint16) * 257
    np.testing.assert_array_equal(UnitRows(Pixels(deep, 65535), "a")(0, 5), deep[..., None] / np.float32(65535))
    clear = np.zeros((5, 4), np.uint8)
    assert (UnitRows(Pixels(colour, 255, alpha=clear), "a")(0, 5) == 1).all()
    key = colour[..., 0] > 100
    keyed = UnitRows(Pixels(colour[..., 0], 255, transparent=key), "a")(2, 5)
    assert (keyed[key[2:5]] == 1).all()
    assert (keyed[~key[2:5]] < 1).all()


def test_floats_are_checked_and_clipped():
    floats = np.array([[0.0, 1.0005]], np.float32)
    assert UnitRows(Pixels(floats, None), "a")(0, 1).max() == 1
    for wrong in (1.5, -0.5, np.nan):
        with pytest.raises(ValueError, match="a: floating-point pixels must be in"):
            UnitRows(Pixels(np.array([[0.5, wrong]], np.float32), None), "a")
