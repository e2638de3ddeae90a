"""What errors say, in a line."""

from __future__ import annotations

import pytest

from topiq_metrics._extras import missing
from topiq_metrics.errors import one_line, suggest


@pytest.mark.parametrize(
    ("error", "line", "bare"),
    [
        (ValueError(" first\nsecond"), "ValueError: first", "first"),
        (MemoryError(), "MemoryError", "MemoryError"),
    ],
)
def test_first_lines(error, line, bare):
    assert one_line(error) == line
    assert one_line(error, with_type=False) == bare


def test_near_names():
    assert suggest("Topiq_NR", ["topiq-nr", "other"]) == "Did you mean 'topiq-nr'?"
    assert suggest("nothing", ["b", "a"]) == "Known are: a, b."


def test_an_extra_is_quoted_for_zsh():
    error = missing("train", "Training needs an extra", "lightning")
    assert (str(error), error.name) == ("Training needs an extra: pip install 'topiq-metrics[train]'", "lightning")
