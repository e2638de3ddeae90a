"""What the script of a board's page draws: scores against opinion, and accuracy against cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from topiq_metrics.images.loader import ImageSource
from topiq_metrics.leaderboard.board import Board, TestSet
from topiq_metrics.leaderboard.ranking import MetricResult, Ranking
from topiq_metrics.pages.text import visible
from topiq_metrics.pages.thumbnails import Picture

Thumbnails = Callable[[TestSet, Sequence[str]], Mapping[str, ImageSource]]

MAX_POINTS = 3000
"""Of one scatter plot: of more images an even sample is drawn, and every outlier."""

OUTLIERS = 8
"""How many images are marked as farthest from a fit, at most; and at most a tenth of all."""

_CURVE_POINTS = 64
_DIGITS = 5


def plot_data(
    board: Board, rankings: Sequence[Ranking], names: Mapping[str, str], thumbnails: Thumbnails | None
) -> dict[str, object]:
    """JSON values; see `leaderboard_page` for the arguments, and ``names`` are those of the test sets by key."""
    test_sets: dict[str, object] = {}
    drawn: list[dict[str, object]] = []
    samples: dict[str, list[int]] = {}
    for test_set in board.test_sets:
        if test_set.pairs:
            continue
        results = [each for ranking in rankings if ranking.test_set.key == test_set.key for each in ranking.results]
        marked = sorted({index for each in results for index in _outliers(test_set, each)})
        samples[test_set.key] = sample = _sample(len(test_set.ids), marked)
        test_sets[test_set.key] = {
            "name": visible(names[test_set.key]),
            "scale": "opinion score (MOS)" if test_set.higher_is_better else "opinion score (DMOS)",
            "count": len(test_set.ids),
            "ids": [visible(test_set.ids[index]) for index in sample],
            "mos": [_rounded(test_set.mos[index]) for index in sample],
            "pictures": _pictures(test_set, marked, sample, thumbnails),
        }
    for ranking in rankings:
        sample = samples.get(ranking.test_set.key, [])
        drawn.append(
            {
                "testSet": ranking.test_set.key,
                "entries": [_drawn(ranking.test_set, each, sample) for each in ranking.results],
            }
        )
    return {"testSets": test_sets, "rankings": drawn}


def _drawn(test_set: TestSet, result: MetricResult, sample: Sequence[int]) -> dict[str, object]:
    entry, fit, srcc = result.entry, result.evaluation.fit, result.figure("srcc")
    places = {index: place for place, index in enumerate(sample)}
    scores = [score for score in entry.scores if score is not None]
    curve = None
    if fit.exists:
        x = np.linspace(min(scores), max(scores), _CURVE_POINTS)
        curve = [[_rounded(a), _rounded(b)] for a, b in zip(x, fit(x), strict=True)]
    cost = entry.cost
    return {
        "name": visible(entry.metric),
        "toolbox": visible(entry.toolbox),
        "srcc": _rounded(srcc.value, 4),
        "low": _rounded(srcc.low, 4),
        "high": _rounded(srcc.high, 4),
        "cost": [_rounded(cost.milliseconds), cost.parameters, _rounded(cost.gmacs), cost.memory],
        "scores": [_rounded(entry.scores[index]) for index in sample],
        "outliers": [places[index] for index in _outliers(test_set, result)],
        "curve": curve,
    }


def _outliers(test_set: TestSet, result: MetricResult) -> list[int]:
    """The images farthest from the fit, the farthest first."""
    fit = result.evaluation.fit
    if not fit.exists:
        return []
    x, y = (np.asarray(column, dtype=np.float64) for column in (result.entry.scores, test_set.mos))
    distances = np.nan_to_num(np.abs(fit(x) - y), nan=-1.0)
    count = min(OUTLIERS, max(1, result.evaluation.n // 10))
    return [int(index) for index in np.argsort(-distances, kind="stable")[:count]]


def _sample(count: int, marked: Sequence[int]) -> list[int]:
    """Which images are drawn: all, or those that are marked and an even sample of the others."""
    if count <= MAX_POINTS:
        return list(range(count))
    even = np.linspace(0, count - 1, max(0, MAX_POINTS - len(marked))).round().astype(int)
    return sorted({*marked, *even.tolist()})


def _pictures(
    test_set: TestSet, marked: Sequence[int], sample: Sequence[int], thumbnails: Thumbnails | None
) -> dict[int, str]:
    if thumbnails is None or not marked:
        return {}
    files = thumbnails(test_set, [test_set.ids[index] for index in marked])
    places = {index: place for place, index in enumerate(sample)}
    pictures = {places[i]: Picture(files[test_set.ids[i]]).uri for i in marked if test_set.ids[i] in files}
    return {place: uri for place, uri in pictures.items() if uri is not None}


def _rounded(value: float | None, digits: int = _DIGITS) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.{digits}g}")
