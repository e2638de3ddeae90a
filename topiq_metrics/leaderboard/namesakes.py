"""Rows of a board that bear one name, and are not one figure: SSIM of pyiqa, piq and torchmetrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from topiq_metrics.contenders.conventions import convention_of
from topiq_metrics.leaderboard.board import Board, Entry

LEAST_DIFFERENCE = 0.01
"""Of namesakes, in the units of their scores: a mean absolute difference over the images that both have scored."""


def tell_namesakes(board: Board) -> list[str]:
    """Say which metrics of one name differ by more than `LEAST_DIFFERENCE` on the same images, a line for each.

    The difference is the mean over images of the absolute difference of two scores. Of a test set, the two that are
    farthest apart are told of, and each one's mean score.
    """
    lines = []
    for test_set in board.test_sets:
        for name, entries in _by_name(board.of(test_set.key)).items():
            pairs = [(_difference(one, other), one, other) for i, one in enumerate(entries) for other in entries[:i]]
            largest, one, other = max(pairs, key=lambda pair: pair[0], default=(0.0, None, None))
            if one is None or other is None or largest <= LEAST_DIFFERENCE:
                continue
            figures = ", ".join(f"{entry.metric} {_mean(entry):.4g}" for entry in entries)
            farthest = f"{other.metric} and {one.metric} by " if len(entries) > 2 else ""
            lines.append(
                f"{name} is not one figure on {test_set.title}: {figures} on average; scores of one image differ, "
                f"{farthest}{largest:.2g} (mean absolute difference). Why: topiq leaderboard conventions "
                f"-m {','.join(entry.metric for entry in entries)}"
            )
    return lines


def _by_name(entries: Sequence[Entry]) -> Mapping[str, list[Entry]]:
    """The entries with scores by what they bear the name of, where several toolboxes have it."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        convention = convention_of(entry.metric)
        if convention is not None and entry.scores:
            found.setdefault(convention.measure, []).append(entry)
    return {name: these for name, these in found.items() if len({entry.toolbox for entry in these}) > 1}


def _difference(one: Entry, other: Entry) -> float:
    """The mean absolute difference of scores of the images that both have scored; 0 if there is none."""
    differences = np.abs(_scores(one) - _scores(other))
    return float(np.nanmean(differences)) if np.isfinite(differences).any() else 0.0


def _mean(entry: Entry) -> float:
    return float(np.nanmean(_scores(entry)))


def _scores(entry: Entry) -> NDArray[np.float64]:
    return np.array([np.nan if score is None else score for score in entry.scores], dtype=np.float64)
