"""The one call: every figure, directions, what is left out, and what cannot be said of few images."""

from __future__ import annotations

import dataclasses
import doctest
import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from topiq_metrics.evaluation import (
    FIGURES,
    Bootstrap,
    compare,
    evaluate,
    evaluate_groups,
    fit_logistic,
    krcc,
    plcc,
    rmse,
    srcc,
)
from topiq_metrics.statistics import protocol

pytest.importorskip("scipy", reason="scipy is not installed")

FEW = Bootstrap(100)
CORRELATIONS = ["srcc", "krcc", "plcc"]


def make(n=80, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=n)
    return x, 50 + 30 * np.tanh(x) + 5 * random.normal(size=n)


@pytest.mark.parametrize("logistic", ["logistic4", "logistic5"])
def test_figures_are_those_of_the_functions(logistic):
    x, y = make()
    result = evaluate(x, y, logistic=logistic, bootstrap=FEW)
    fit = fit_logistic(x, y, logistic)
    expected = [srcc(x, y), krcc(x, y), plcc(x, y), rmse(x, y), plcc(fit(x), y), rmse(fit(x), y)]
    assert [getattr(result, name).value for name in FIGURES] == pytest.approx(expected, rel=1e-12)
    assert result.fit == fit
    assert (result.n, result.left_out, result.groups, result.bootstrap) == (80, 0, None, FEW)
    assert result.fitted_plcc.value > result.plcc.value
    for name in FIGURES:
        figure = getattr(result, name)
        assert figure.low < figure.value < figure.high, name
        assert figure.reason == ""


@pytest.mark.parametrize(
    "turn",
    [
        lambda x: torch.as_tensor(x).bfloat16(),
        lambda x: torch.as_tensor(x).half().requires_grad_(),
        lambda x: torch.as_tensor(x).requires_grad_() * 1,
        lambda x: list(torch.as_tensor(x).bfloat16().requires_grad_()),
        lambda x: np.asarray(x, np.float32),
    ],
    ids=["bfloat16", "leaf", "graph", "scalars", "array"],
)
def test_tensors(turn):
    # Exact in every type.
    x, y = make(20)
    x, y = np.round(4 * x) / 4, np.round(y)
    groups = np.arange(20) // 2
    result = evaluate(turn(x), turn(y), groups=list(torch.as_tensor(groups)), bootstrap=FEW)
    assert result == evaluate(x, y, groups=groups.tolist(), bootstrap=FEW)
    assert result.groups == 10
    assert evaluate(x, y, groups=torch.as_tensor(groups), bootstrap=FEW).groups == 10
    assert srcc(turn(x), turn(y)) == srcc(x, y)
    assert (result.fit(turn(x)) == result.fit(x)).all()
    assert list(evaluate_groups(turn(x), turn(y), torch.as_tensor(groups // 5), bootstrap=None).parts) == [0, 1]
    assert compare({"a": turn(x), "b": turn(x[::-1].copy())}, turn(y)) == compare({"a": x, "b": x[::-1]}, y)


def test_intervals_take_the_fit_as_given():
    x, y = make()
    fitted = fit_logistic(x, y)(x)
    assert evaluate(x, y, bootstrap=FEW).fitted_plcc == evaluate(fitted, y, bootstrap=FEW).plcc


def test_a_good_metric_correlates_positively():
    x, y = make()
    expected = evaluate(x, y, bootstrap=FEW)
    for turn_metric, turn_opinion in [(-1, 1), (1, -1), (-1, -1)]:
        result = evaluate(
            turn_metric * x,
            turn_opinion * y,
            higher_is_better=turn_metric > 0,
            mos_higher_is_better=turn_opinion > 0,
            bootstrap=FEW,
        )
        for name in CORRELATIONS:
            ours, theirs = (dataclasses.astuple(getattr(e, name))[:3] for e in (result, expected))
            assert ours == pytest.approx(theirs, abs=1e-12)
        assert result.fitted_plcc.value == pytest.approx(expected.fitted_plcc.value, abs=1e-6)
        assert result.fitted_rmse.value == pytest.approx(expected.fitted_rmse.value, rel=1e-6)
        assert math.isnan(result.rmse.value) == (turn_metric != turn_opinion)
        if turn_metric != turn_opinion:
            assert result.rmse.reason == "the scores have opposite directions: their difference means nothing"
    assert evaluate(-x, y, bootstrap=None).srcc.value == pytest.approx(-expected.srcc.value)


def test_rows_without_a_score_are_counted():
    x, y = make()
    groups = [f"reference {i // 4}" for i in range(80)]
    expected = evaluate(x, y, groups=groups, bootstrap=FEW)
    bad = [math.nan, math.inf, 1.0, 1.0]
    result = evaluate([*bad, *x], [1.0, 1.0, math.nan, -math.inf, *y], groups=[*"abcd", *groups], bootstrap=FEW)
    assert (result.n, result.left_out, result.groups) == (80, 4, 20)
    assert dataclasses.replace(result, left_out=0) == expected


@pytest.mark.parametrize("kind", [list, tuple, torch.tensor, lambda x: np.asarray(x, dtype=np.float32)])
def test_kinds_of_columns(kind):
    x, y = (np.round(column, 1).tolist() for column in make(20))
    assert evaluate(kind(x), kind(y), bootstrap=None).srcc == evaluate(x, y, bootstrap=None).srcc


# What there is for each number of images: raw difference, correlations, intervals and fits of 4 and of 5 parameters.
@pytest.mark.parametrize(
    ("n", "difference", "correlations", "intervals", "fit4", "fit5"),
    [
        (0, False, False, False, False, False),
        (1, True, False, False, False, False),
        (2, True, False, False, False, False),
        (3, True, True, False, False, False),
        (4, True, True, False, False, False),
        (5, True, True, True, True, False),
        (6, True, True, True, True, True),
    ],
)
def test_few_images(n, difference, correlations, intervals, fit4, fit5):
    x, y = make(6, seed=3)
    for logistic, fit in [("logistic4", fit4), ("logistic5", fit5)]:
        result = evaluate(x[:n], y[:n], logistic=logistic, bootstrap=FEW)
        exists = dict(zip(FIGURES, [*[correlations] * 3, difference, fit, fit], strict=True))
        for name, there in exists.items():
            figure = getattr(result, name)
            assert math.isnan(figure.value) != there, name
            assert math.isnan(figure.low) != (there and intervals), name
            assert bool(figure.reason) != (there and intervals), name
        assert result.n == n


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        (np.ones(20), make(20)[1], "all predictions are equal"),
        (make(20)[0], np.ones(20), "all opinion scores are equal"),
    ],
)
@pytest.mark.parametrize("bootstrap", [None, FEW, Bootstrap(50, method="bca")])
def test_constant_scores(x, y, reason, bootstrap):
    result = evaluate(x, y, bootstrap=bootstrap)
    for name in FIGURES:
        figure = getattr(result, name)
        assert math.isnan(figure.value) == (name != "rmse")
        if name != "rmse":
            assert figure.reason == reason
    assert result.rmse.value == pytest.approx(rmse(x, y))


def test_equal_up_to_rounding():
    x = np.full(20, 0.3)
    x[::2] = 0.1 + 0.2
    result = evaluate(x, make(20)[1], bootstrap=FEW)
    assert result.plcc.reason == "the scores are equal up to rounding, or beyond what can be squared"


def test_no_image_has_both_scores():
    result = evaluate([1.0, math.nan], [math.nan, 1.0])
    assert (result.n, result.left_out) == (0, 2)
    assert {getattr(result, name).reason for name in FIGURES} == {"there is no image with both scores"}


def test_without_intervals():
    result = evaluate(*make(), bootstrap=None)
    assert result.srcc.value > 0.8
    assert math.isnan(result.srcc.low)
    assert result.srcc.reason == "no interval was asked for"


def test_it_can_be_written_as_json():
    x, y = make(20)
    text = json.dumps(dataclasses.asdict(evaluate(x, y, bootstrap=FEW)))
    assert json.loads(text)["srcc"]["value"] == pytest.approx(srcc(x, y))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mos": [1, 2]}, r"one length, but got predicted \(3,\), mos \(2,\)"),
        ({"groups": [1, 2]}, "Expected a group for each of 3 rows, but got 2"),
        ({"logistic": "cubic"}, "`logistic` must be one of"),
    ],
)
def test_arguments_that_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate(**{"predicted": [1, 2, 3], "mos": [1, 2, 3], **arguments})


def test_example():
    result = doctest.testmod(protocol)
    assert (result.attempted > 0, result.failed) == (True, 0)


def test_importing_is_light():
    code = "import sys, topiq_metrics.evaluation; print({'torch', 'scipy', 'torchmetrics'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert run.stdout.strip() == "set()"
