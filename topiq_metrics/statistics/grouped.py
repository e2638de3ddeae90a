"""Agreement within parts of a dataset: scenes, distortion types, the images of one reference, random splits."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import ArrayLike

from topiq_metrics.statistics.bootstrap import Bootstrap, Interval
from topiq_metrics.statistics.columns import Array, Indices, as_columns, as_labels, group_codes
from topiq_metrics.statistics.logistic import LogisticName
from topiq_metrics.statistics.protocol import FIGURES, NO_INTERVAL, Evaluation, Figure, evaluate

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Options(TypedDict, total=False):
    """Arguments of `evaluate` that hold for every part."""

    higher_is_better: bool
    mos_higher_is_better: bool
    logistic: LogisticName


@dataclass(frozen=True)
class Summary:
    """One figure, such as SRCC, over all parts.

    Attributes:
        median: median over the parts; its interval comes from resampling whole parts.
        deviation: standard deviation over the parts (N − 1), NaN for fewer than two.
        lowest: lowest value of a part.
        highest: highest value of a part.
        parts: number of parts that have a value.
        left_out: number of parts that have none, such as a scene of two images.
    """

    median: Figure
    deviation: float
    lowest: float
    highest: float
    parts: int
    left_out: int


@dataclass(frozen=True)
class Breakdown:
    """Agreement within each part, in the order of their first images, and over all of them.

    Attributes:
        parts: evaluation of each part, by its name.
        summaries: summary of each figure, by its name: ``"srcc"``, ``"krcc"``, ``"plcc"``, ``"rmse"``,
            ``"fitted_plcc"``, ``"fitted_rmse"``.
        bootstrap: how the intervals of the medians were computed, or None.
    """

    parts: Mapping[Hashable, Evaluation]
    summaries: Mapping[str, Summary]
    bootstrap: Bootstrap | None


def evaluate_groups(
    predicted: ArrayLike,
    mos: ArrayLike,
    groups: Sequence[Hashable],
    *,
    bootstrap: Bootstrap | None = Bootstrap(),  # noqa: B008 - frozen
    **options: Unpack[Options],
) -> Breakdown:
    """Measure agreement within each group of images, and its median over groups.

    With scenes as groups, the medians are the published figures of PIQ23 (Chahine et al., CVPR 2023); with distortion
    types, the usual table per distortion; with references, how well a metric ranks the versions of one image.

    Args:
        predicted: the metric's score of each image, ``(N,)``.
        mos: mean opinion score of each image, ``(N,)``.
        groups: the group of each image.
        bootstrap: how the intervals of the medians are computed, by resampling groups; None for none. The figures of a
            single group have no interval: call `evaluate` on its images for one.
        options: ``higher_is_better``, ``mos_higher_is_better`` and ``logistic``, as for `evaluate`.

    Raises:
        ValueError: columns or groups differ in length.
        ModuleNotFoundError: scipy is not installed.
    """
    columns = as_columns({"predicted": predicted, "mos": mos})
    codes = group_codes(groups, len(columns[0]))
    names = list(dict.fromkeys(as_labels(groups)))
    parts = {
        name: evaluate(*(column[codes == code] for column in columns), bootstrap=None, **options)
        for code, name in enumerate(names)
    }
    return Breakdown(parts, {name: _summarise(parts, name, bootstrap) for name in FIGURES}, bootstrap)


def evaluate_splits(
    predicted: ArrayLike,
    mos: ArrayLike,
    splits: Sequence[Sequence[int]] | Mapping[str, Sequence[int]],
    **options: Unpack[Options],
) -> Breakdown:
    """Measure agreement on the test parts of several splits; papers publish the median and deviation over them.

    The medians have no interval: the parts overlap, so their spread does not show how far the median is from its true
    value.

    Args:
        predicted: the metric's score of each image, ``(N,)``.
        mos: mean opinion score of each image, ``(N,)``.
        splits: for each split, the indices of the images in its test part, or a mask of all images, for example from
            `topiq_metrics.datasets.splits.random_splits`; by name, or numbered from 0.
        options: ``higher_is_better``, ``mos_higher_is_better`` and ``logistic``, as for `evaluate`.

    Raises:
        ValueError: columns differ in length, or a split is neither indices of their rows nor a mask of them.
        ModuleNotFoundError: scipy is not installed.
    """
    columns = as_columns({"predicted": predicted, "mos": mos})
    named: Iterable[tuple[Hashable, Sequence[int]]] = (
        splits.items() if isinstance(splits, Mapping) else enumerate(splits)
    )
    parts = {
        name: evaluate(*(column[_as_indices(name, test, len(column))] for column in columns), bootstrap=None, **options)
        for name, test in named
    }
    overlap = Interval(math.nan, math.nan, "splits overlap: they give no interval")
    return Breakdown(parts, {name: _summarise(parts, name, None, overlap) for name in FIGURES}, None)


def _as_indices(name: Hashable, test: Sequence[int], count: int) -> Indices:
    """Indices, or a mask, as indices."""
    found = np.asarray(test)
    if found.dtype == np.bool_ and found.shape == (count,):
        return np.flatnonzero(found)
    if found.size and not (found.ndim == 1 and np.issubdtype(found.dtype, np.integer)):
        raise ValueError(f"Split {name!r} must be indices of images, or a mask of all {count}, but is {test!r:.80}.")
    if found.size and not -count <= found.min() <= found.max() < count:
        raise ValueError(f"Split {name!r} has the index {found.max()} or {found.min()}, but there are {count} images.")
    return found.astype(np.intp)


def _summarise(
    parts: Mapping[Hashable, Evaluation], name: str, bootstrap: Bootstrap | None, interval: Interval = NO_INTERVAL
) -> Summary:
    figures: list[Figure] = [getattr(part, name) for part in parts.values()]
    values = np.array([figure.value for figure in figures if not math.isnan(figure.value)])
    left_out = len(figures) - len(values)
    if len(values) == 0:
        reason = f"no part has a value: {figures[0].reason}" if figures else "there is no part"
        return Summary(Figure.undefined(reason), math.nan, math.nan, math.nan, 0, left_out)

    def medians(counts: Indices) -> Array:
        return np.array([[np.median(values.repeat(row))] for row in counts])

    if bootstrap is not None:
        (interval,) = bootstrap.intervals(medians, len(values), range(len(values)))
    return Summary(
        median=Figure(float(np.median(values)), interval.low, interval.high, interval.reason),
        deviation=float(values.std(ddof=1)) if len(values) > 1 else math.nan,
        lowest=float(values.min()),
        highest=float(values.max()),
        parts=len(values),
        left_out=left_out,
    )
