"""The examples in the docstrings run."""

from __future__ import annotations

import doctest
import importlib

import pytest

from topiq_metrics.weights import find

MODULES = [
    *(f"{room}.{module}" for room in ("functional", "metrics") for module in ("topiq", "face", "lpips")),
    "explaining.run",
    "losses",
    "registry",
    "scoring.engine",
]


@pytest.mark.parametrize("module", MODULES)
def test_examples(module):
    if find("topiq_nr-lite") is None:
        pytest.skip("the bundled weights are not there")
    result = doctest.testmod(importlib.import_module(f"topiq_metrics.{module}"))
    assert result.attempted >= 1
    assert result.failed == 0
