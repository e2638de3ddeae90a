"""2AFC agreement by hand, as BAPPS and as PieAPP count it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from topiq_metrics.evaluation import Bootstrap, agreement_of_pairs, evaluate_preferences

FIRST = [0.3, 0.1, 0.2, 0.5, 0.4]
SECOND = [0.1, 0.3, 0.2, 0.4, 0.5]
SHARES = [0.8, 0.4, 0.0, 0.5, 1.0]


def test_votes_by_hand():
    # The distances choose second, first, neither, second, first.
    result = evaluate_preferences(FIRST, SECOND, SHARES, bootstrap=None)
    assert result.agreement.value == pytest.approx((0.8 + 0.6 + 0.5 + 0.5 + 0.0) / 5)
    assert result.human == pytest.approx((0.68 + 0.52 + 1 + 0.5 + 1) / 5)
    assert (result.n, result.left_out, result.undecided, result.ties, result.rule) == (5, 0, 0, 1, "votes")
    assert result.agreement.reason == "no interval was asked for"


def test_majority_by_hand():
    result = evaluate_preferences(FIRST, SECOND, SHARES, rule="majority", bootstrap=None)
    assert result.agreement.value == pytest.approx((1 + 1 + 0.5 + 0) / 4)
    assert result.human == pytest.approx((0.8 + 0.6 + 1 + 1) / 4)
    assert (result.n, result.undecided, result.ties) == (4, 1, 1)


def test_a_margin_leaves_out_pairs_that_are_not_clear():
    shares = [0.35, 0.65, 0.34, 0.66, 0.5]
    result = evaluate_preferences(
        [0, 0, 0, 0, 0], [1, 1, 1, 1, 1], shares, rule="majority", margin=0.15, bootstrap=None
    )
    assert (result.n, result.undecided, result.agreement.value) == (2, 3, 0.5)


def test_kendall_of_the_paper():
    random = np.random.default_rng(0)
    first, second, shares = random.normal(size=(3, 100)) * 0.1 + 0.5
    shares = shares.clip(0, 1)
    result = evaluate_preferences(first, second, shares, rule="majority", bootstrap=None)
    agree = np.sign(first - second) * np.sign(shares - 0.5)
    assert 2 * result.agreement.value - 1 == pytest.approx(agree.mean())


def test_directions():
    random = np.random.default_rng(1)
    first, second, shares = random.random((3, 50))
    distance = evaluate_preferences(first, second, shares, bootstrap=None).agreement.value
    assert evaluate_preferences(
        -first, -second, shares, higher_is_better=True, bootstrap=None
    ).agreement.value == pytest.approx(distance)
    assert evaluate_preferences(second, first, shares, bootstrap=None).agreement.value == pytest.approx(1 - distance)
    assert evaluate_preferences(second, first, 1 - shares, bootstrap=None).agreement.value == pytest.approx(distance)


def test_rows_that_are_not_finite_are_left_out():
    result = evaluate_preferences(
        [*FIRST, math.nan, 1, 1], [*SECOND, 1, math.inf, 1], [*SHARES, 1, 1, math.nan], groups=range(8)
    )
    expected = evaluate_preferences(FIRST, SECOND, SHARES, groups=range(5))
    assert (result.n, result.left_out) == (5, 3)
    assert result.agreement == expected.agreement


def test_interval_by_groups():
    random = np.random.default_rng(2)
    first, second, shares = (column.repeat(10) for column in random.random((3, 40)))
    alone, together = (
        evaluate_preferences(first, second, shares, groups=groups, bootstrap=Bootstrap(500)).agreement
        for groups in (None, np.arange(40).repeat(10).tolist())
    )
    assert alone.low < alone.value < alone.high
    assert together.high - together.low > 2 * (alone.high - alone.low)


@pytest.mark.parametrize("rule", ["votes", "majority"])
def test_few_pairs(rule):
    none = evaluate_preferences([math.nan], [1], [1], rule=rule)
    assert math.isnan(none.agreement.value)
    assert math.isnan(none.human)
    assert none.agreement.reason == "there is no pair with both scores and a preference"
    one = evaluate_preferences([0.1], [0.2], [0.2], rule=rule)
    assert one.agreement.value == (0.8 if rule == "votes" else 1)
    assert one.agreement.reason == "an interval needs at least 5 images, and there are 1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preference": [1.2]}, "Expected `preference` from 0 to 1, but got 1.2 to 1.2"),
        ({"rule": "mean"}, r"`rule` must be one of \('votes', 'majority'\), but got 'mean'"),
        ({"first": [1, 2]}, r"one length, but got first \(2,\), second \(1,\), preference \(1,\)"),
        ({"groups": [1, 2]}, "Expected a group for each of 1 rows, but got 2"),
    ],
)
def test_arguments_that_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate_preferences(**{"first": [1], "second": [1], "preference": [1], **arguments})


@pytest.mark.parametrize(
    "make", [list, np.array, torch.tensor, lambda column: torch.tensor(column, requires_grad=True)]
)
def test_pair_by_pair(make):
    columns = map(make, (FIRST, SECOND, SHARES))
    found = agreement_of_pairs(*columns, higher_is_better=False, rule="votes")
    assert found == pytest.approx([0.8, 0.6, 0.5, 0.5, 0.0], abs=1e-6)


def test_scores_of_8_bits():
    columns = np.array([1, 2], np.uint8), np.array([2, 1], np.uint8), [0.0, 1.0]
    assert agreement_of_pairs(*columns, higher_is_better=False, rule="votes").tolist() == [1, 1]
