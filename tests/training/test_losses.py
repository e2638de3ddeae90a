from __future__ import annotations

import math

import pytest
import torch
from torch.autograd import gradcheck
from torchmetrics.functional.regression import pearson_corrcoef

from topiq_metrics.training import losses

pytestmark = pytest.mark.quick

BETWEEN_SCORES = ["mse", "nin", "plcc", "pairwise_rank"]


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


@pytest.mark.parametrize("name", BETWEEN_SCORES)
def test_gradients(name, scores):
    first, second, _ = scores
    assert gradcheck(getattr(losses, name), (first.requires_grad_(), second))


@pytest.mark.parametrize("name", BETWEEN_SCORES)
class TestBatches:
    def test_perfect_predictions_cost_nothing(self, name, scores):
        assert getattr(losses, name)(scores[0], scores[0]).item() == pytest.approx(0, abs=1e-9)

    def test_other_predictions_cost_something(self, name, scores):
        assert getattr(losses, name)(scores[0], scores[1]).item() > 0.05

    @pytest.mark.parametrize("predictions", [[0.3, 0.3, 0.3], [0.3]])
    @pytest.mark.parametrize("is_target", [False, True])
    def test_a_constant_is_finite(self, name, predictions, is_target):
        constant = torch.tensor(predictions)
        other = torch.linspace(0, 1, len(predictions))
        inputs, targets = (other, constant) if is_target else (constant, other)
        inputs.requires_grad_()
        value = getattr(losses, name)(inputs, targets)
        value.backward()
        assert value.isfinite()
        assert inputs.grad.isfinite().all()

    def test_descent_finds_the_order(self, name):
        generator = torch.Generator().manual_seed(0)
        targets = torch.rand(8, generator=generator)
        predictions = torch.rand(8, generator=generator).requires_grad_()
        optimizer = torch.optim.Adam([predictions], lr=0.02)
        for _ in range(400):
            optimizer.zero_grad()
            getattr(losses, name)(predictions, targets).backward()
            optimizer.step()
        assert (predictions.argsort() == targets.argsort()).all()


def test_plcc_is_that_of_torchmetrics(scores):
    first, second, _ = scores
    expected = (1 - pearson_corrcoef(first.float(), second.float())) / 2
    assert losses.plcc(first, second).item() == pytest.approx(expected.item(), abs=1e-6)
    assert losses.plcc(first, -3 * first).item() == pytest.approx(1)


def test_pairwise_rank_by_hand():
    # Pairs: 0-1 in order, but 0.1 apart instead of 0.5; 0-2 in order and far enough; 1-2 reversed.
    value = losses.pairwise_rank(torch.tensor([0.0, 0.1, -0.2]), torch.tensor([0.5, 1.0, 0.25]))
    assert value.item() == pytest.approx(2 * (0.4 + 0.05 + 0.45) / 9)


class TestEMD:
    @pytest.mark.parametrize(("r", "expected"), [(1, 2 / 3), (2, math.sqrt(2 / 3))])
    def test_by_hand(self, r, expected):
        first, last = torch.eye(3)[[0]], torch.eye(3)[[2]]
        assert losses.emd(first, last, r).item() == pytest.approx(expected)

    def test_nearer_ratings_are_nearer(self):
        ratings = torch.eye(10)
        distances = [losses.emd(ratings[[0]], ratings[[k]]).item() for k in range(10)]
        assert distances == sorted(distances)
        assert distances[0] == 0
        assert distances[-1] <= 1

    def test_is_the_mean_over_images(self):
        ratings = torch.eye(4)
        both = losses.emd(ratings[:2], ratings[2:])
        assert both.item() == pytest.approx(losses.emd(ratings[[0]], ratings[[2]]).item())

    @pytest.mark.parametrize("r", [1, 2])
    def test_gradients(self, r):
        generator = torch.Generator().manual_seed(0)
        logits, targets = (torch.randn(3, 5, dtype=torch.float64, generator=generator) for _ in range(2))
        assert gradcheck(lambda x: losses.emd(x.softmax(dim=1), targets.softmax(dim=1), r), (logits.requires_grad_(),))

    def test_equal_distributions_have_a_finite_gradient(self):
        shares = torch.full((2, 10), 0.1, requires_grad=True)
        losses.emd(shares, shares.detach()).backward()
        assert shares.grad.isfinite().all()


def test_gradients_of_rank(scores):
    better, worse, margin = scores
    assert gradcheck(losses.rank, (better.requires_grad_(), worse.requires_grad_(), margin))
