"""The results of a board: figures with confidence intervals for each entry, and which metrics are tied."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

from topiq_metrics.catalog.cards import PublishedResult
from topiq_metrics.datasets.splits import BY_IMAGE, BY_REFERENCE, random_splits
from topiq_metrics.leaderboard.board import Board, Entry, TestSet
from topiq_metrics.leaderboard.published import published_result
from topiq_metrics.statistics.bootstrap import Bootstrap
from topiq_metrics.statistics.columns import Array
from topiq_metrics.statistics.grouped import Breakdown, evaluate_groups, evaluate_splits
from topiq_metrics.statistics.logistic import LogisticName
from topiq_metrics.statistics.preference import Preference, Rule, agreement_of_pairs, evaluate_preferences
from topiq_metrics.statistics.protocol import FIGURES, Evaluation, Figure, evaluate
from topiq_metrics.statistics.significance import Comparison, Verdict, compare, compare_agreements

MedianOf: TypeAlias = Literal["scene", "distortion", "split", ""]
MARKS: dict[Verdict, str] = {"tied": "=", "untested": "?", "better": "▲", "worse": ""}
"""Beside a place, what `Ranking.against_first` says."""

MODES = {"NR": "no-reference", "FR": "full-reference"}


@dataclass(frozen=True)
class Rules:
    """How a board is judged.

    Attributes:
        logistic: the logistic fit before PLCC and RMSE; see `topiq_metrics.evaluation.fit_logistic`.
        bootstrap: how the confidence intervals are computed.
        alpha: significance level: the probability that any two equal metrics of a test set and mode are told apart.
        median_of: report the median of figures within each ``"scene"`` or ``"distortion"``, if a test set has them, or
            each ``"split"`` (test parts of the ten customary random splits); ``""`` reports figures over all images.
    """

    logistic: LogisticName = "logistic4"
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    alpha: float = 0.05
    median_of: MedianOf = "scene"


@dataclass(frozen=True)
class MetricResult:
    """An entry that has scores, with its figures.

    Attributes:
        entry: the entry.
        evaluation: agreement over all images.
        by_distortion: agreement within each type of distortion, if the test set has types.
        by_scene: agreement within each scene, if the test set has scenes.
        by_split: agreement on each test part, by its `split_hash`, if their medians are reported.
        median_of: ``"scene"``, ``"distortion"`` or ``"split"`` if medians over these are reported, else ``""``.
        published: the published result of the metric on these images, or None.
    """

    entry: Entry
    evaluation: Evaluation
    by_distortion: Breakdown | None
    by_scene: Breakdown | None
    by_split: Breakdown | None = None
    median_of: MedianOf = ""
    published: PublishedResult | None = None

    @property
    def disagrees(self) -> bool:
        """Whether the published SRCC or PLCC is outside the confidence interval of the measured one."""
        return bool(self.disagrees_on)

    @property
    def disagrees_on(self) -> tuple[str, ...]:
        """Those of ``"srcc"`` and ``"plcc"`` (without fit) whose published value is outside the confidence interval."""
        if self.published is None:
            return ()
        pairs = {
            "srcc": (self.evaluation.srcc, self.published.srcc),
            "plcc": (self.plcc_raw, self.published.plcc),
        }
        return tuple(
            name
            for name, (figure, value) in pairs.items()
            if math.isfinite(figure.low) and not figure.low <= value <= figure.high
        )

    @property
    def plcc_raw(self) -> Figure:
        """PLCC over all images without logistic fit, as in published results."""
        return self.evaluation.plcc

    @property
    def inverted(self) -> bool:
        """Whether the metric correlates negatively: people prefer the images that it rates lower.

        True if the whole confidence interval of the SRCC is below 0, or the SRCC if it has no interval.
        """
        return _is_below(self.evaluation.srcc, 0)

    def figure(self, name: str) -> Figure:
        """The reported figure of this name: over all images, or the median over parts."""
        breakdowns = {"scene": self.by_scene, "distortion": self.by_distortion, "split": self.by_split}
        parts = breakdowns.get(self.median_of)
        found: Figure = getattr(self.evaluation, name) if parts is None else parts.summaries[name].median
        return found

    @property
    def value(self) -> float:
        """The value that the board is sorted by: the reported SRCC."""
        return self.figure("srcc").value


@dataclass(frozen=True)
class PreferenceResult:
    """An entry on a set of pairs that has scores, with its 2AFC agreement.

    Attributes:
        entry: the entry.
        preference: agreement over all pairs.
        by_distortion: agreement within each type of distortion, if the test set has types.
    """

    entry: Entry
    preference: Preference
    by_distortion: Mapping[str, Preference]

    @property
    def value(self) -> float:
        """What the board is sorted by."""
        return self.preference.agreement.value

    @property
    def inverted(self) -> bool:
        """Whether people mostly choose the image that the metric rates lower; see `MetricResult.inverted`."""
        return _is_below(self.preference.agreement, 0.5)


def _is_below(figure: Figure, bound: float) -> bool:
    return (figure.high if math.isfinite(figure.high) else figure.value) < bound


R = TypeVar("R", MetricResult, PreferenceResult)


@dataclass(frozen=True)
class Ranking:
    """All entries of one mode on one test set, best first.

    Attributes:
        test_set: the test set.
        mode: ``"NR"`` or ``"FR"``.
        results: the results on images, best first.
        preferences: the results on pairs, best first.
        comparison: the significance tests of all pairs of metrics with scores.
        unscored: the entries without scores.
    """

    test_set: TestSet
    mode: str
    results: Sequence[MetricResult]
    preferences: Sequence[PreferenceResult]
    comparison: Comparison | None
    unscored: Sequence[Entry]

    @property
    def scored(self) -> list[Entry]:
        """The entries that have scores, best first."""
        return [*(each.entry for each in self.results), *(each.entry for each in self.preferences)]

    def against_first(self, metric: str) -> Verdict:
        """The verdict of the significance test on a metric, compared with the one in first place.

        It can be ``"better"`` if places follow medians over parts: the test compares means within parts.
        """
        if self.comparison is None:
            return "untested"
        return self.comparison.verdict(metric, self.scored[0].metric)


def several_machines(ranking: Ranking) -> list[str]:
    """The machines that a ranking's costs are of, if there is more than one."""
    machines = {
        # Boards of before have it only with the scores.
        entry.cost.machine or f"{entry.provenance.get('device', '')} on {entry.provenance.get('machine', '')}"
        for entry in ranking.scored
        if entry.cost.milliseconds is not None
    }
    return sorted(machines) if len(machines) > 1 else []


def judge(board: Board, rules: Rules = Rules()) -> list[Ranking]:
    """Compute figures, confidence intervals and significance tests from a board's scores, by test set and mode."""
    rankings = []
    for test_set in board.test_sets:
        for mode in MODES:
            entries = [entry for entry in board.of(test_set.key) if entry.mode == mode]
            if entries:
                rankings.append(_ranking(test_set, mode, entries, rules))
    return rankings


def as_records(rankings: Sequence[Ranking]) -> list[dict[str, Any]]:
    """The figures of all entries, flat, for tables and for JSON."""
    rows = []
    for ranking in rankings:
        for place, result in enumerate(ranking.results, start=1):
            evaluation = result.evaluation
            whole = {name: asdict(getattr(evaluation, name)) for name in FIGURES}
            rows.append(
                {
                    **_head(ranking, result.entry),
                    "place": place,
                    "against_first": ranking.against_first(result.entry.metric),
                    "n": evaluation.n,
                    "left_out": evaluation.left_out,
                    "median_of": result.median_of,
                    "figures": {name: asdict(result.figure(name)) for name in FIGURES},
                    "over_all_images": whole if result.median_of else None,
                    "fit": {"name": evaluation.fit.name, "parameters": list(evaluation.fit.parameters)},
                    "srcc_by_distortion": _values(result.by_distortion),
                    "srcc_by_scene": _values(result.by_scene),
                    "srcc_by_split": _values(result.by_split),
                    "published": None if result.published is None else asdict(result.published),
                    "disagrees_with_published": result.disagrees,
                    "disagrees_on": list(result.disagrees_on),
                    "inverted": result.inverted,
                }
            )
        rows += [_preference_record(ranking, place, each) for place, each in enumerate(ranking.preferences, start=1)]
        rows += [{**_head(ranking, entry), "place": None} for entry in ranking.unscored]
    return rows


def _preference_record(ranking: Ranking, place: int, result: PreferenceResult) -> dict[str, Any]:
    return {
        **_head(ranking, result.entry),
        "place": place,
        "against_first": ranking.against_first(result.entry.metric),
        "n": result.preference.n,
        "left_out": result.preference.left_out,
        "preference": asdict(result.preference),
        "inverted": result.inverted,
        "2afc_by_distortion": {name: part.agreement.value for name, part in result.by_distortion.items()},
    }


def _ranking(test_set: TestSet, mode: str, entries: Sequence[Entry], rules: Rules) -> Ranking:
    scored = [entry for entry in entries if entry.scores]
    unscored = sorted((entry for entry in entries if not entry.scores), key=lambda entry: entry.metric)
    if test_set.pairs:
        preferences = _best_first([_choose(test_set, entry, rules) for entry in scored])
        agreements = {each.entry.metric: _agreements(test_set, each.entry) for each in preferences}
        comparison = None
        if len(preferences) > 1:
            comparison = compare_agreements(agreements, groups=test_set.groups or None, alpha=rules.alpha)
        return Ranking(test_set, mode, (), preferences, comparison, unscored)
    strata = {"scene": test_set.scenes, "distortion": test_set.distortions}.get(rules.median_of, ())
    median_of: MedianOf = rules.median_of if strata or rules.median_of == "split" else ""
    results = _best_first([_judge(test_set, entry, rules, median_of) for entry in scored])
    comparison = None
    if len(results) > 1:
        comparison = compare(
            {each.entry.metric: _numbers(each.entry) for each in results},
            test_set.mos,
            higher_is_better={each.entry.metric: each.entry.higher_is_better for each in results},
            mos_higher_is_better=test_set.higher_is_better,
            # Versions of one reference are not independent.
            test="jackknife" if test_set.groups else "williams",
            alpha=rules.alpha,
            groups=test_set.groups or None,
            strata=strata or None,
        )
    return Ranking(test_set, mode, results, (), comparison, unscored)


def _best_first(ranked: list[R]) -> list[R]:
    """Those that have scored everything come first: a figure of a few images is another figure."""

    def place(each: R) -> tuple[bool, float, str]:
        value = each.value if math.isfinite(each.value) else -math.inf
        return each.entry.status != "scored", -value, each.entry.metric

    return sorted(ranked, key=place)


def _choose(test_set: TestSet, entry: Entry, rules: Rules) -> PreferenceResult:
    first, second = _halves(entry)
    rule = _rule(test_set)

    def within(places: Sequence[int], **options: Any) -> Preference:
        columns = ([column[place] for place in places] for column in (first, second, test_set.mos))
        return evaluate_preferences(*columns, higher_is_better=entry.higher_is_better, rule=rule, **options)

    whole = within(range(len(test_set.ids)), groups=test_set.groups or None, bootstrap=rules.bootstrap)
    kinds: dict[str, list[int]] = {}
    for place, name in enumerate(test_set.distortions):
        kinds.setdefault(name, []).append(place)
    return PreferenceResult(entry, whole, {name: within(places, bootstrap=None) for name, places in kinds.items()})


def _agreements(test_set: TestSet, entry: Entry) -> Array:
    first, second = _halves(entry)
    rule = _rule(test_set)
    return agreement_of_pairs(first, second, test_set.mos, higher_is_better=entry.higher_is_better, rule=rule)


def _rule(test_set: TestSet) -> Rule:
    return "majority" if test_set.pairs == "majority" else "votes"


def _halves(entry: Entry) -> tuple[list[float], list[float]]:
    numbers = _numbers(entry)
    half = len(numbers) // 2
    return numbers[:half], numbers[half:]


def _judge(test_set: TestSet, entry: Entry, rules: Rules, median_of: MedianOf) -> MetricResult:
    scores = _numbers(entry)
    direction = {"higher_is_better": entry.higher_is_better, "mos_higher_is_better": test_set.higher_is_better}

    def within(names: Sequence[str]) -> Breakdown | None:
        if not names:
            return None
        return evaluate_groups(
            scores, test_set.mos, names, bootstrap=rules.bootstrap, logistic=rules.logistic, **direction
        )

    evaluation = evaluate(
        scores,
        test_set.mos,
        groups=test_set.groups or None,
        logistic=rules.logistic,
        bootstrap=rules.bootstrap,
        **direction,
    )
    by_split = None
    if median_of == "split":
        by_split = evaluate_splits(scores, test_set.mos, _test_parts(test_set), logistic=rules.logistic, **direction)
    # What was published is of all images together.
    known = None if median_of else published_result(entry.metric, test_set)
    parts = within(test_set.distortions), within(test_set.scenes), by_split
    return MetricResult(entry, evaluation, *parts, median_of, known)


@dataclass(frozen=True)
class _Member:
    id: str
    group: str


def _test_parts(test_set: TestSet) -> dict[str, tuple[int, ...]]:
    """The test parts of random splits by reference, or by image, by their hashes; none of a single one."""
    if len(set(test_set.groups or test_set.ids)) < 2:
        return {}
    members = [_Member(*each) for each in zip(test_set.ids, test_set.groups or test_set.ids, strict=True)]
    splits = random_splits(members, BY_REFERENCE if test_set.groups else BY_IMAGE)
    return {split.hashes["test"]: split.parts["test"] for split in splits}


def _numbers(entry: Entry) -> list[float]:
    return [math.nan if score is None else score for score in entry.scores]


def _values(breakdown: Breakdown | None) -> Mapping[str, float] | None:
    return None if breakdown is None else {str(name): part.srcc.value for name, part in breakdown.parts.items()}


def _head(ranking: Ranking, entry: Entry) -> dict[str, Any]:
    return {
        "subject": ranking.test_set.key,
        "mode": ranking.mode,
        "metric": entry.metric,
        "toolbox": entry.toolbox,
        "status": entry.status,
        "reason": entry.reason,
        "trained_on": asdict(entry.trained_on),
    }
