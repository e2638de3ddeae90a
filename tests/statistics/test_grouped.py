"""Agreement within scenes, distortion types and references, and on random splits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from topiq_metrics.evaluation import FIGURES, Bootstrap, evaluate, evaluate_groups, evaluate_splits, srcc

pytest.importorskip("scipy", reason="scipy is not installed")


def make(scenes=9, images=12, seed=0):
    """Scenes whose opinion scores have levels of their own, which the metric does not know."""
    random = np.random.default_rng(seed)
    scene = np.arange(scenes).repeat(images)
    x = random.normal(size=scenes * images)
    return x, x + 0.5 * random.normal(size=len(x)) + 10 * scene, [f"scene {i}" for i in scene]


def test_median_over_scenes():
    x, y, scenes = make()
    result = evaluate_groups(x, y, scenes, bootstrap=Bootstrap(300))
    assert list(result.parts) == list(dict.fromkeys(scenes))
    values = [srcc(x[start : start + 12], y[start : start + 12]) for start in range(0, 108, 12)]
    assert [part.srcc.value for part in result.parts.values()] == pytest.approx(values)
    summary = result.summaries["srcc"]
    assert summary.median.value == pytest.approx(np.median(values))
    assert summary.median.low <= summary.median.value <= summary.median.high
    assert summary.deviation == pytest.approx(np.std(values, ddof=1))
    assert (summary.lowest, summary.highest) == pytest.approx((min(values), max(values)))
    assert (summary.parts, summary.left_out) == (9, 0)
    assert set(result.summaries) == set(FIGURES)
    # All images at once would show the levels of the scenes.
    assert evaluate(x, y, bootstrap=None).srcc.value < 0.5 < summary.median.value


def test_parts_are_evaluations_with_the_same_options():
    x, y, scenes = make()
    options = {"higher_is_better": False, "logistic": "logistic5"}
    result = evaluate_groups(-x, y, scenes, bootstrap=None, **options)
    assert result.parts["scene 2"] == evaluate(-x[24:36], y[24:36], bootstrap=None, **options)
    assert result.summaries["rmse"].median.reason.startswith("no part has a value: the scores have opposite directions")


def test_groups_in_any_order_and_of_any_kind():
    x, y, scenes = make()
    order = np.random.default_rng(1).permutation(len(x))
    shuffled = evaluate_groups(x[order], y[order], [(scenes[i], 7) for i in order], bootstrap=None)
    expected = evaluate_groups(x, y, scenes, bootstrap=None)
    assert shuffled.summaries["krcc"].median.value == pytest.approx(expected.summaries["krcc"].median.value)


def test_parts_that_have_no_value():
    x, y, scenes = make()
    x[:12] = 1
    x[12:23] = math.nan
    result = evaluate_groups(x, y, scenes, bootstrap=None)
    assert result.parts["scene 0"].srcc.reason == "all predictions are equal"
    assert (result.parts["scene 1"].n, result.parts["scene 1"].left_out) == (1, 11)
    summary = result.summaries["srcc"]
    assert (summary.parts, summary.left_out) == (7, 2)
    assert summary.median.value > 0.5


def test_few_parts():
    x, y, scenes = make(scenes=4)
    summary = evaluate_groups(x, y, scenes).summaries["srcc"]
    assert summary.median.reason == "an interval needs at least 5 groups, and there are 4"
    one = evaluate_groups(x[:12], y[:12], scenes[:12]).summaries["srcc"]
    assert math.isnan(one.deviation)
    assert one.median.value == one.lowest == one.highest
    none = evaluate_groups([], [], []).summaries["srcc"]
    assert (none.parts, none.median.reason) == (0, "there is no part")


def test_splits():
    x, y, _ = make()
    random = np.random.default_rng(2)
    splits = [sorted(random.permutation(108)[:22].tolist()) for _ in range(10)]
    result = evaluate_splits(x, y, splits)
    values = [srcc(x[split], y[split]) for split in splits]
    assert result.summaries["srcc"].median.value == pytest.approx(np.median(values))
    assert result.summaries["srcc"].deviation == pytest.approx(np.std(values, ddof=1))
    assert result.summaries["srcc"].median.reason == "splits overlap: they give no interval"
    assert list(result.parts) == list(range(10))
    assert all(part.n == 22 for part in result.parts.values())


def test_groups_must_be_as_many_as_images():
    with pytest.raises(ValueError, match="Expected a group for each of 3 rows, but got 2"):
        evaluate_groups([1, 2, 3], [1, 2, 3], [1, 2])


def test_masks_are_splits_too():
    x, y = np.arange(6.0), np.array([0.0, 2.0, 1.0, 3.0, 5.0, 4.0])
    by_index = evaluate_splits(x, y, [[0, 2, 3, 5]])
    by_mask = evaluate_splits(x, y, [[True, False, True, True, False, True]])
    assert by_mask.parts[0].srcc == by_index.parts[0].srcc


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ([True, False], "Split 'test' must be indices of images, or a mask of all 6, but is"),
        ([0.9, 1.7], "Split 'test' must be indices"),
        ([[0, 1], [2, 3]], "Split 'test' must be indices"),
        ([0, 6], "Split 'test' has the index 6 or 0, but there are 6 images"),
    ],
)
def test_what_is_no_split(split, message):
    with pytest.raises(ValueError, match=message):
        evaluate_splits(np.arange(6.0), np.arange(6.0), {"test": split})
