"""What a board says: figures with intervals for each entry, and which metrics are tied."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

from topiq_metrics.catalog.cards import PublishedResult
from topiq_metrics.datasets.splits import BY_IMAGE, BY_REFERENCE, random_splits
from topiq_metrics.evaluation.arrays import Array, as_columns
from topiq_metrics.evaluation.board import Board, Entry, Subject
from topiq_metrics.evaluation.bootstrap import Bootstrap
from topiq_metrics.evaluation.grouped import Breakdown, evaluate_groups, evaluate_splits
from topiq_metrics.evaluation.logistic import LogisticName
from topiq_metrics.evaluation.preference import Preference, Rule, agreement_of_pairs, evaluate_preferences
from topiq_metrics.evaluation.protocol import FIGURES, Evaluation, Figure, evaluate
from topiq_metrics.evaluation.published import published_result
from topiq_metrics.evaluation.significance import Comparison, Verdict, compare, compare_agreements

MedianOf: TypeAlias = Literal["scene", "distortion", "split", ""]
MARKS: dict[Verdict, str] = {"tied": "=", "untested": "?", "better": "▲", "worse": ""}
"""Beside a place, what `Standing.against_first` says."""

MODES = {"NR": "no-reference", "FR": "full-reference"}


@dataclass(frozen=True)
class Protocol:
    """How a board is judged.

    Attributes:
        logistic: the fit before PLCC and RMSE.
        bootstrap: how the intervals are made.
        alpha: chance that any two metrics of a subject and mode are wrongly told apart.
        median_of: what has figures of its own, whose medians count: ``"scene"`` or ``"distortion"``, where a subject
            has them; ``"split"``, the test parts of the ten customary random splits; or ``""`` for none.
    """

    logistic: LogisticName = "logistic4"
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    alpha: float = 0.05
    median_of: MedianOf = "scene"


@dataclass(frozen=True)
class Judged:
    """An entry that has scores, with its figures.

    Attributes:
        entry: the entry.
        evaluation: agreement over all images.
        by_distortion: agreement within each type of distortion, if the subject has types.
        by_scene: agreement within each scene, if the subject has scenes.
        by_split: agreement on each test part, by its `split_hash`, if the medians of these count.
        median_of: ``"scene"``, ``"distortion"`` or ``"split"`` where the medians of these count, else ``""``.
        published: what was published of the metric on these images, if anything was.
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
        """Whether the published SRCC or PLCC is beyond the interval of the measured one."""
        if self.published is None:
            return False
        pairs = (self.evaluation.srcc, self.published.srcc), (self.evaluation.plcc, self.published.plcc)
        return any(not figure.low <= value <= figure.high for figure, value in pairs if math.isfinite(figure.low))

    def figure(self, name: str) -> Figure:
        """The figure that counts, by its name: over all images, or the median of parts."""
        breakdowns = {"scene": self.by_scene, "distortion": self.by_distortion, "split": self.by_split}
        parts = breakdowns.get(self.median_of)
        found: Figure = getattr(self.evaluation, name) if parts is None else parts.summaries[name].median
        return found

    @property
    def value(self) -> float:
        """What the board is sorted by."""
        return self.figure("srcc").value


@dataclass(frozen=True)
class Chosen:
    """An entry on a set of pairs that has scores, with its agreement.

    Attributes:
        entry: the entry.
        preference: agreement over all pairs.
        by_distortion: agreement within each kind of distortion, if the subject has kinds.
    """

    entry: Entry
    preference: Preference
    by_distortion: Mapping[str, Preference]

    @property
    def value(self) -> float:
        """What the board is sorted by."""
        return self.preference.agreement.value


R = TypeVar("R", Judged, Chosen)


@dataclass(frozen=True)
class Standing:
    """All entries of one mode on one subject.

    Attributes:
        subject: the images, or pairs.
        mode: ``"NR"`` or ``"FR"``.
        judged: those with scores of images, best first.
        chosen: those with scores of pairs, best first.
        comparison: how those with scores compare.
        others: those without scores.
    """

    subject: Subject
    mode: str
    judged: Sequence[Judged]
    chosen: Sequence[Chosen]
    comparison: Comparison | None
    others: Sequence[Entry]

    @property
    def ranking(self) -> list[Entry]:
        """The entries that have scores, best first."""
        return [*(each.entry for each in self.judged), *(each.entry for each in self.chosen)]

    def against_first(self, metric: str) -> Verdict:
        """What the test says of a metric, compared with the one in the first place.

        ``"better"`` can be where medians decide on the place: the test compares means within parts.
        """
        if self.comparison is None:
            return "untested"
        return self.comparison.verdict(metric, self.ranking[0].metric)


def several_machines(standing: Standing) -> list[str]:
    """The machines that a standing's costs are of, if there is more than one."""
    machines = {
        f"{entry.provenance.get('device', '')} on {entry.provenance.get('machine', '')}"
        for entry in standing.ranking
        if entry.cost.milliseconds is not None
    }
    return sorted(machines) if len(machines) > 1 else []


def judge(board: Board, protocol: Protocol = Protocol()) -> list[Standing]:
    """Derive what a board says from its scores, by subject and mode."""
    standings = []
    for subject in board.subjects:
        for mode in MODES:
            entries = [entry for entry in board.of(subject.key) if entry.mode == mode]
            if entries:
                standings.append(_standing(subject, mode, entries, protocol))
    return standings


def as_records(standings: Sequence[Standing]) -> list[dict[str, Any]]:
    """The figures of all entries, flat, for tables and for JSON."""
    rows = []
    for standing in standings:
        for place, judged in enumerate(standing.judged, start=1):
            evaluation = judged.evaluation
            whole = {name: asdict(getattr(evaluation, name)) for name in FIGURES}
            rows.append(
                {
                    **_head(standing, judged.entry),
                    "place": place,
                    "against_first": standing.against_first(judged.entry.metric),
                    "n": evaluation.n,
                    "left_out": evaluation.left_out,
                    "median_of": judged.median_of,
                    "figures": {name: asdict(judged.figure(name)) for name in FIGURES},
                    "over_all_images": whole if judged.median_of else None,
                    "fit": {"name": evaluation.fit.name, "parameters": list(evaluation.fit.parameters)},
                    "srcc_by_distortion": _values(judged.by_distortion),
                    "srcc_by_scene": _values(judged.by_scene),
                    "srcc_by_split": _values(judged.by_split),
                    "published": None if judged.published is None else asdict(judged.published),
                    "disagrees_with_published": judged.disagrees,
                }
            )
        rows += [_chosen_record(standing, place, each) for place, each in enumerate(standing.chosen, start=1)]
        rows += [{**_head(standing, entry), "place": None} for entry in standing.others]
    return rows


def _chosen_record(standing: Standing, place: int, chosen: Chosen) -> dict[str, Any]:
    return {
        **_head(standing, chosen.entry),
        "place": place,
        "against_first": standing.against_first(chosen.entry.metric),
        "n": chosen.preference.n,
        "left_out": chosen.preference.left_out,
        "preference": asdict(chosen.preference),
        "2afc_by_distortion": {name: part.agreement.value for name, part in chosen.by_distortion.items()},
    }


def _standing(subject: Subject, mode: str, entries: Sequence[Entry], protocol: Protocol) -> Standing:
    scored = [entry for entry in entries if entry.scores]
    others = sorted((entry for entry in entries if not entry.scores), key=lambda entry: entry.metric)
    if subject.pairs:
        chosen = _best_first([_choose(subject, entry, protocol) for entry in scored])
        agreements = {each.entry.metric: _agreements(subject, each.entry) for each in chosen}
        comparison = None
        if len(chosen) > 1:
            comparison = compare_agreements(agreements, groups=subject.groups or None, alpha=protocol.alpha)
        return Standing(subject, mode, (), chosen, comparison, others)
    strata = {"scene": subject.scenes, "distortion": subject.distortions}.get(protocol.median_of, ())
    median_of: MedianOf = protocol.median_of if strata or protocol.median_of == "split" else ""
    judged = _best_first([_judge(subject, entry, protocol, median_of) for entry in scored])
    comparison = None
    if len(judged) > 1:
        comparison = compare(
            {each.entry.metric: _numbers(each.entry) for each in judged},
            subject.mos,
            higher_is_better={each.entry.metric: each.entry.higher_is_better for each in judged},
            mos_higher_is_better=subject.higher_is_better,
            # Versions of one reference are not independent.
            test="jackknife" if subject.groups else "williams",
            alpha=protocol.alpha,
            groups=subject.groups or None,
            strata=strata or None,
        )
    return Standing(subject, mode, judged, (), comparison, others)


def _best_first(ranked: list[R]) -> list[R]:
    """Those that have scored everything come first: a figure of a few images is another figure."""

    def place(each: R) -> tuple[bool, float, str]:
        value = each.value if math.isfinite(each.value) else -math.inf
        return each.entry.status != "scored", -value, each.entry.metric

    return sorted(ranked, key=place)


def _choose(subject: Subject, entry: Entry, protocol: Protocol) -> Chosen:
    first, second = _halves(entry)
    rule = _rule(subject)

    def within(places: Sequence[int], **options: Any) -> Preference:
        columns = ([column[place] for place in places] for column in (first, second, subject.mos))
        return evaluate_preferences(*columns, higher_is_better=entry.higher_is_better, rule=rule, **options)

    whole = within(range(len(subject.ids)), groups=subject.groups or None, bootstrap=protocol.bootstrap)
    kinds: dict[str, list[int]] = {}
    for place, name in enumerate(subject.distortions):
        kinds.setdefault(name, []).append(place)
    return Chosen(entry, whole, {name: within(places, bootstrap=None) for name, places in kinds.items()})


def _agreements(subject: Subject, entry: Entry) -> Array:
    first, second = _halves(entry)
    columns = as_columns({"first": first, "second": second, "preference": subject.mos})
    return agreement_of_pairs(*columns, higher_is_better=entry.higher_is_better, rule=_rule(subject))


def _rule(subject: Subject) -> Rule:
    return "majority" if subject.pairs == "majority" else "votes"


def _halves(entry: Entry) -> tuple[list[float], list[float]]:
    numbers = _numbers(entry)
    half = len(numbers) // 2
    return numbers[:half], numbers[half:]


def _judge(subject: Subject, entry: Entry, protocol: Protocol, median_of: MedianOf) -> Judged:
    scores = _numbers(entry)
    direction = {"higher_is_better": entry.higher_is_better, "mos_higher_is_better": subject.higher_is_better}

    def within(names: Sequence[str]) -> Breakdown | None:
        if not names:
            return None
        return evaluate_groups(
            scores, subject.mos, names, bootstrap=protocol.bootstrap, logistic=protocol.logistic, **direction
        )

    evaluation = evaluate(
        scores,
        subject.mos,
        groups=subject.groups or None,
        logistic=protocol.logistic,
        bootstrap=protocol.bootstrap,
        **direction,
    )
    by_split = None
    if median_of == "split":
        by_split = evaluate_splits(scores, subject.mos, _test_parts(subject), logistic=protocol.logistic, **direction)
    # What was published is of all images together.
    known = None if median_of else published_result(entry.metric, subject)
    parts = within(subject.distortions), within(subject.scenes), by_split
    return Judged(entry, evaluation, *parts, median_of, known)


@dataclass(frozen=True)
class _Member:
    id: str
    group: str


def _test_parts(subject: Subject) -> dict[str, tuple[int, ...]]:
    """The test parts of random splits by reference, or by image, by their hashes; none of a single one."""
    if len(set(subject.groups or subject.ids)) < 2:
        return {}
    members = [_Member(*each) for each in zip(subject.ids, subject.groups or subject.ids, strict=True)]
    splits = random_splits(members, BY_REFERENCE if subject.groups else BY_IMAGE)
    return {split.hashes["test"]: split.parts["test"] for split in splits}


def _numbers(entry: Entry) -> list[float]:
    return [math.nan if score is None else score for score in entry.scores]


def _values(breakdown: Breakdown | None) -> Mapping[str, float] | None:
    return None if breakdown is None else {str(name): part.srcc.value for name, part in breakdown.parts.items()}


def _head(standing: Standing, entry: Entry) -> dict[str, Any]:
    return {
        "subject": standing.subject.key,
        "mode": standing.mode,
        "metric": entry.metric,
        "toolbox": entry.toolbox,
        "status": entry.status,
        "reason": entry.reason,
    }
