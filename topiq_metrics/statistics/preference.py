"""Agreement with human choices between two images, as in BAPPS and PieAPP."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from topiq_metrics.statistics.bootstrap import Bootstrap
from topiq_metrics.statistics.columns import Array, Indices, as_columns, finite_rows, keep_groups
from topiq_metrics.statistics.protocol import NO_INTERVAL, Figure

Rule: TypeAlias = Literal["votes", "majority"]
RULES = ("votes", "majority")


@dataclass(frozen=True)
class Preference:
    """How often a metric prefers the image that people prefer.

    Attributes:
        agreement: from 0 to 1, higher is better; random choices reach 0.5.
        human: mean agreement of a vote that is drawn at random from the votes cast, which include itself. With few
            votes per pair, another person would agree less.
        n: number of pairs evaluated.
        left_out: number of pairs with a score or a preference that is not finite.
        undecided: number of pairs that the rule leaves out because the votes are not decisive.
        ties: number of pairs with tied scores; they count half.
        rule: ``"votes"`` or ``"majority"``.
    """

    agreement: Figure
    human: float
    n: int
    left_out: int
    undecided: int
    ties: int
    rule: Rule


def evaluate_preferences(
    first: ArrayLike,
    second: ArrayLike,
    preference: ArrayLike,
    *,
    higher_is_better: bool = False,
    rule: Rule = "votes",
    margin: float = 0.0,
    groups: Sequence[Hashable] | None = None,
    bootstrap: Bootstrap | None = Bootstrap(),  # noqa: B008 - frozen
) -> Preference:
    """Measure two-alternative forced choice (2AFC) agreement.

    With p the share of votes for the second image, and j = 1 if the metric prefers it, 0 if it prefers the first, and
    1/2 if the two are tied:

    - ``"votes"``: the mean of p·j + (1 − p)·(1 − j), for BAPPS (Zhang et al., "The Unreasonable Effectiveness of Deep
      Features as a Perceptual Metric", CVPR 2018);
    - ``"majority"``: the share of pairs where the metric prefers the image that most people prefer, for PieAPP
      (Prashnani et al., CVPR 2018). The KRCC of that paper is 2 · agreement − 1; its figure for clear preferences
      leaves out 0.35 ≤ p ≤ 0.65, which is ``margin=0.15``.

    Args:
        first: the metric's score of each pair's first image, ``(N,)``.
        second: the metric's score of each pair's second image, ``(N,)``.
        preference: share of people who chose the second image, ``(N,)``, from 0 to 1.
        higher_is_better: direction of the metric; False for a distance.
        rule: ``"votes"`` or ``"majority"``.
        margin: for ``"majority"``: pairs whose preference differs from 1/2 by no more than this are left out. Pairs at
            1/2 always are.
        groups: the group of each pair, for example its reference: pairs of a group are resampled together.
        bootstrap: how the interval is computed; None for the value only.

    Raises:
        ValueError: columns or groups differ in length, preferences are outside 0 to 1, or the rule is unknown.
    """
    columns = as_columns({"first": first, "second": second, "preference": preference})
    p = columns[2]
    agreements = agreement_of_pairs(*columns, higher_is_better=higher_is_better, rule=rule, margin=margin)
    usable, used = finite_rows(*columns), np.isfinite(agreements)
    scores, p = agreements[used], p[used]
    return Preference(
        agreement=_mean(scores, keep_groups(groups, used), bootstrap),
        human=float(np.mean(p**2 + (1 - p) ** 2 if rule == "votes" else np.maximum(p, 1 - p))) if len(p) else math.nan,
        n=len(p),
        left_out=int(np.sum(~usable)),
        undecided=int(np.sum(usable & ~used)),
        ties=int(np.sum(columns[0][used] == columns[1][used])),
        rule=rule,
    )


def agreement_of_pairs(
    first: ArrayLike,
    second: ArrayLike,
    preference: ArrayLike,
    *,
    higher_is_better: bool,
    rule: Rule,
    margin: float = 0.0,
) -> Array:
    """The agreement of each pair, whose mean is that of `evaluate_preferences`; see there for the arguments.

    Returns:
        ``(N,)``, from 0 to 1; NaN for pairs that are left out.

    Raises:
        ValueError: columns differ in length, preferences are outside 0 to 1, or the rule is unknown.
    """
    first, second, preference = as_columns({"first": first, "second": second, "preference": preference})
    if rule not in RULES:
        raise ValueError(f"Argument `rule` must be one of {RULES}, but got {rule!r}.")
    if ((preference < 0) | (preference > 1)).any():
        low, high = np.nanmin(preference), np.nanmax(preference)
        raise ValueError(f"Expected `preference` from 0 to 1, but got {low:g} to {high:g}.")
    used = finite_rows(first, second, preference)
    votes = preference
    if rule == "majority":
        # Rounding of 0.5 ± margin must not decide.
        used = used & ~(np.abs(preference - 0.5) <= margin + 1e-9)
        votes = (preference > 0.5).astype(np.float64)
    scores = np.full(len(votes), math.nan)
    choices = prefer_second(first[used], second[used], higher_is_better=higher_is_better)
    scores[used] = agreement_scores(choices, votes[used])
    return scores


def prefer_second(first: Array, second: Array, *, higher_is_better: bool) -> Array:
    """What a metric chooses: 1 for the second image, 0 for the first, 1/2 for a tie."""
    choices: Array = (1 + np.sign(second - first if higher_is_better else first - second)) / 2
    return choices


def agreement_scores(choices: Array, votes: Array) -> Array:
    """Share of the votes that agree with each choice."""
    return votes * choices + (1 - votes) * (1 - choices)


def _mean(scores: Array, groups: Sequence[Hashable] | None, bootstrap: Bootstrap | None) -> Figure:
    if len(scores) == 0:
        return Figure.undefined("there is no pair with both scores and a preference")

    def means(counts: Indices) -> Array:
        values: Array = (counts @ scores / counts.sum(axis=1))[:, None]
        return values

    interval = NO_INTERVAL if bootstrap is None else bootstrap.intervals(means, len(scores), groups)[0]
    return Figure(float(scores.mean()), interval.low, interval.high, interval.reason)
