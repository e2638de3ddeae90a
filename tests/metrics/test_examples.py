"""The examples in the docstrings run."""

from __future__ import annotations

import doctest
import importlib

import pytest

from topiq_metrics.weights import find


@pytest.mark.parametrize("module", ["functional.topiq", "metrics.topiq", "registry"])
def test_examples(module):
    if find("topiq_nr-lite") is None:
        pytest.skip("the bundled weights are not there")
    result = doctest.testmod(importlib.import_module(f"topiq_metrics.{module}"))
    assert result.attempted >= 2
    assert result.failed == 0
