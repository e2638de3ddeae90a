"""Logistics are found again, and what cannot be fitted says so."""

from __future__ import annotations

import math

import numpy as np
import pytest

from topiq_metrics.evaluation import Fit, fit_logistic, plcc, rmse
from topiq_metrics.statistics.logistic import _as_published, _Scale

optimize = pytest.importorskip("scipy.optimize", reason="scipy is not installed")

NAMES = ["logistic4", "logistic5"]


def vqeg(x, b1, b2, b3, b4):
    return (b1 - b2) / (1 + np.exp(-(x - b3) / abs(b4))) + b2


def sheikh(x, b1, b2, b3, b4, b5):
    return b1 * (0.5 - 1 / (1 + np.exp(b2 * (x - b3)))) + b4 * x + b5


@pytest.mark.parametrize("falls", [False, True])
@pytest.mark.parametrize("n", [8, 200])
@pytest.mark.parametrize(("offset", "scale"), [(0, 1), (30, 5), (-1000, 0.01), (0.5, 1e-4)])
def test_four_parameters_are_recovered(offset, scale, n, falls):
    x = offset + scale * np.random.default_rng(0).normal(size=n)
    parameters = (80.0, 10.0, offset + 0.3 * scale, 0.7 * scale)
    if falls:
        parameters = (10.0, 80.0, *parameters[2:])
    fit = fit_logistic(x, vqeg(x, *parameters), "logistic4")
    assert fit.converged
    assert fit.parameters == pytest.approx(parameters, rel=1e-5)
    assert fit(x) == pytest.approx(vqeg(x, *fit.parameters), rel=1e-12)


@pytest.mark.parametrize("height", [40.0, -40.0])
@pytest.mark.parametrize(("offset", "scale"), [(0, 1), (30, 5)])
def test_five_parameters_are_recovered(offset, scale, height):
    x = offset + scale * np.random.default_rng(1).normal(size=100)
    parameters = (height, 2.0 / scale, offset - 0.2 * scale, 3 / scale, 20.0)
    fit = fit_logistic(x, sheikh(x, *parameters), "logistic5")
    assert fit.converged
    # The signs of the first two may change together.
    found = np.array(fit.parameters)
    found[:2] *= np.sign(found[1])
    assert found == pytest.approx(parameters, rel=1e-4)
    assert fit(x) == pytest.approx(sheikh(x, *fit.parameters), rel=1e-10)


@pytest.mark.parametrize("slope", [-2.0, 2.0])
@pytest.mark.parametrize("name", NAMES)
def test_published_parameters_are_the_same_curve(name, slope):
    solution = np.array([slope, 0.5, 3.0, 1.0, *([0.7] if name == "logistic5" else [])])
    x = np.linspace(-20, 40, 30)
    u = (x - 10) / 4
    logistic = 1 / (1 + np.exp(-slope * (u - 0.5)))
    expected = 50 + 8 * (3 * logistic + 1 + (0.7 * u if name == "logistic5" else 0))
    fit = Fit(name, _as_published(solution, _Scale(10, 4), _Scale(50, 8)), converged=True)
    assert fit(x) == pytest.approx(expected, rel=1e-12)


def test_any_logistic_is_found():
    random = np.random.default_rng(2)
    for _ in range(25):
        x = random.normal(size=30)
        slope = random.choice([-1, 1]) * 10 ** random.uniform(-0.3, 0.8)
        y = 20 + 50 / (1 + np.exp(-slope * (x - random.uniform(-1, 1))))
        assert fit_logistic(x, y)(x) == pytest.approx(y, abs=1e-4)
        tilted = y + random.uniform(-3, 3) * x
        assert fit_logistic(x, tilted, "logistic5")(x) == pytest.approx(tilted, abs=1e-4)


def test_is_no_worse_than_curve_fit():
    random = np.random.default_rng(3)
    x = random.normal(size=100)
    y = vqeg(x, 90, 15, 0.2, 0.5) + 5 * random.normal(size=100)
    parameters, _ = optimize.curve_fit(vqeg, x, y, p0=(90, 15, 0.2, 0.5))
    fit = fit_logistic(x, y)
    assert fit.parameters == pytest.approx(parameters, rel=1e-3)
    assert rmse(fit(x), y) <= rmse(vqeg(x, *parameters), y) + 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_direction_does_not_matter(name):
    random = np.random.default_rng(4)
    x = random.normal(size=60)
    y = np.tanh(x) + 0.2 * random.normal(size=60)
    rising, falling = fit_logistic(x, y, name), fit_logistic(-x, y, name)
    assert rising(x) == pytest.approx(falling(-x), abs=1e-5)


ODD = {
    "line": (np.arange(50.0), np.arange(50.0)),
    "step": (np.arange(50.0), (np.arange(50) > 20) * 1.0),
    "noise": tuple(np.random.default_rng(5).normal(size=(2, 50))),
    "two values": (np.arange(20) % 2.0, np.arange(20.0)),
    "outlier": (np.r_[np.random.default_rng(6).normal(size=49), 1e6], np.arange(50.0)),
    "mostly equal": (np.r_[np.zeros(48), 1, 2], np.arange(50.0)),
    "parabola": (np.linspace(-1, 1, 50), np.linspace(-1, 1, 50) ** 2),
    "exponential": (np.arange(50.0), np.exp(np.arange(50) / 3)),
    "huge": (np.arange(50) * 1e200, np.arange(50.0) ** 2),
    "tiny": (np.arange(50) * 1e-200, np.arange(50.0) ** 2),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", ODD)
def test_odd_data_neither_warns_nor_gets_worse(shape, name):
    x, y = ODD[shape]
    fit = fit_logistic(x, y, name)
    assert fit.converged != bool(fit.reason)
    assert np.isfinite(fit.parameters).all()
    assert rmse(fit(x), y) <= y.std() * (1 + 1e-9)
    if name == "logistic5" and shape not in {"huge", "tiny"}:
        # A line is one of its curves.
        assert rmse(fit(x), y) <= y.std() * math.sqrt(1 - np.corrcoef(x, y)[0, 1] ** 2) + 1e-9 * y.std()


def test_a_search_without_end_says_so():
    # A line is a logistic with infinitely high asymptotes.
    fit = fit_logistic(*ODD["line"])
    assert not fit.converged
    assert fit.reason == "the fit did not converge: these are the best parameters it found"
    assert plcc(fit(ODD["line"][0]), ODD["line"][1]) > 0.9999


@pytest.mark.parametrize(
    ("x", "y", "name", "reason"),
    [
        ([], [], "logistic4", "a fit of 4 parameters needs at least 5 images, and there are 0"),
        ([1, 2, 3, 4], [1, 2, 3, 5], "logistic4", "a fit of 4 parameters needs at least 5 images, and there are 4"),
        (
            [1, 2, 3, 4, 5, math.nan],
            [1, 2, 3, 5, 8, 9],
            "logistic5",
            "a fit of 5 parameters needs at least 6 images, and there are 5",
        ),
        ([1] * 9, range(9), "logistic4", "all predictions are equal"),
        (range(9), [1] * 9, "logistic5", "all opinion scores are equal"),
    ],
)
def test_there_is_no_fit(x, y, name, reason):
    fit = fit_logistic(x, y, name)
    assert (fit.exists, fit.converged, fit.reason) == (False, False, reason)
    assert np.isnan(fit.parameters).all()
    assert np.isnan(fit([1.0, 2.0])).all()


def test_five_images_are_enough_for_four_parameters():
    assert fit_logistic([1, 2, 3, 4, 5], [1, 2, 3, 5, 8]).exists


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"`logistic` must be one of \('logistic4', 'logistic5'\), but got 'cubic'"):
        fit_logistic([1, 2], [1, 2], "cubic")
