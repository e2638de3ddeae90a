from __future__ import annotations

import math

import pytest
import torch
from torch.autograd import gradcheck

from topiq_metrics.training import losses


@pytest.fixture
def scores():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(7, dtype=torch.float64, generator=generator) for _ in range(3)]


def test_mse():
    assert losses.mse(torch.tensor([1.0, 2.0]), torch.zeros(2)).item() == 2.5


@pytest.mark.parametrize(
    ("predictions", "targets", "expected"),
    [
        ([0.0, 1.0], [1.0, 0.0], 1.0),
        ([1.0, 2.0, 3.0], [13.0, 18.0, 23.0], 0.0),
        ([0.0, 0.0, 1.0], [0.0, 1.0, 0.0], math.sqrt(0.5)),
        ([1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0], 4 / math.sqrt(20)),
    ],
)
def test_nin_by_hand(predictions, targets, expected):
    value = losses.nin(torch.tensor(predictions), torch.tensor(targets))
    assert value.item() == pytest.approx(expected, abs=1e-6)


def test_nin_is_in_the_unit_range(scores):
    generator = torch.Generator().manual_seed(1)
    for count in (2, 3, 16):
        for _ in range(50):
            first, second = torch.randn(2, count, generator=generator)
            assert 0 <= losses.nin(first, second) <= 1 + 1e-6


def test_nin_does_not_see_scale_and_offset(scores):
    first, second, _ = scores
    assert losses.nin(5 * first + 3, second).item() == pytest.approx(losses.nin(first, second).item())


@pytest.mark.parametrize("predictions", [[0.3, 0.3, 0.3], [0.3]])
def test_nin_of_a_constant_is_finite(predictions):
    inputs = torch.tensor(predictions, requires_grad=True)
    value = losses.nin(inputs, torch.linspace(0, 1, len(predictions)))
    value.backward()
    assert value.isfinite()
    assert inputs.grad.isfinite().all()


def test_nin_of_constant_targets_is_finite():
    inputs = torch.tensor([0.1, 0.2, 0.3], requires_grad=True)
    losses.nin(inputs, torch.full((3,), 0.5)).backward()
    assert inputs.grad.isfinite().all()


def test_rank_by_hand():
    value = losses.rank(torch.tensor([1.0, 0.5, 2.0]), torch.tensor([0.9, 0.6, 0.0]), torch.tensor([0.2, 0.2, 0.2]))
    assert value.item() == pytest.approx((0.1 + 0.3 + 0) / 3)


def test_rank_without_pairs_is_zero_and_differentiable():
    empty = torch.zeros(0, requires_grad=True)
    value = losses.rank(empty, empty, torch.zeros(0))
    value.backward()
    assert value.item() == 0


@pytest.mark.parametrize("name", ["mse", "nin"])
def test_gradients(name, scores):
    first, second, _ = scores
    assert gradcheck(getattr(losses, name), (first.requires_grad_(), second))


def test_gradients_of_rank(scores):
    better, worse, margin = scores
    assert gradcheck(losses.rank, (better.requires_grad_(), worse.requires_grad_(), margin))
