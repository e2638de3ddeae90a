"""Metrics of other distributions: entry points of the group ``topiq_metrics.metrics``.

An entry point's name is the metric's name, its object a `ModelCard` of that name, or a function without arguments that
makes one::

    [project.entry-points."topiq_metrics.metrics"]
    my_metric = "my_package:CARD"
"""

from __future__ import annotations

import re
import warnings
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import get_args

from topiq_metrics.catalog.cards import Mode, ModelCard, WeightsFile
from topiq_metrics.catalog.networks import CFANetConfig, LPIPSPlusConfig

GROUP = "topiq_metrics.metrics"
_OURS = "topiq-metrics"
# From 32 px on, as `SizePolicy` has it.
_SIZE = re.compile(r"native|(max_side|max_short_side|short_side|square)=(3[2-9]|[4-9][0-9]|[1-9][0-9]{2,})")


def check_unclaimed(name: str) -> None:
    """Raise ValueError if another distribution has a metric of the name of one of ours."""
    claims = _claims().get(name)
    if claims:
        raise _duplicate(name, [_OURS, *map(_distribution, claims)])


def installed_card(name: str) -> ModelCard | None:
    """The card that another distribution has for ``name``; None if there is none, or none that can be loaded.

    Raises:
        ValueError: if more than one distribution has it.
    """
    claims = _claims().get(name)
    if not claims:
        return None
    if len(claims) > 1:
        raise _duplicate(name, sorted(map(_distribution, claims)))
    return _load(claims[0])


def installed_cards() -> dict[str, ModelCard]:
    """The cards of other distributions, by name; those that cannot be loaded are left out, with a warning each.

    Raises:
        ValueError: if two distributions have a metric of one name.
    """
    cards = {name: installed_card(name) for name in sorted(_claims())}
    return {name: card for name, card in cards.items() if card is not None}


def provider(name: str) -> tuple[str, str] | None:
    """The distribution that has a metric, and its version; None where none has, or its installation is damaged."""
    for point in _claims().get(name, ()):
        if point.dist is not None and point.dist.name:
            return point.dist.name, point.dist.version
    return None


@cache
def _claims() -> dict[str, tuple[EntryPoint, ...]]:
    """The entry points for each name; one distribution that is found twice, as an editable one may be, counts once."""
    claims: dict[str, dict[str, EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        claims.setdefault(point.name, {}).setdefault(_distribution(point), point)
    return {name: tuple(points.values()) for name, points in claims.items()}


@cache
def _load(point: EntryPoint) -> ModelCard | None:
    try:
        card = point.load()
        if callable(card):
            card = card()
        problem = _problem(card, point.name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever is wrong there must not stop what is right here
        card, problem = None, f"{type(error).__name__}: {error}"
    if problem:
        warnings.warn(
            f"The metric {point.name!r} of the distribution {_distribution(point)!r} ({point.value}) is left out: "
            f"{problem}",
            stacklevel=2,
        )
        return None
    return card if isinstance(card, ModelCard) else None


def _problem(card: object, name: str) -> str:
    if not isinstance(card, ModelCard):
        return f"its entry point must give a topiq_metrics.ModelCard, but gives {type(card).__name__}."
    if card.name != name:
        return f"its card is named {card.name!r}."
    module, _, attribute = card.metric.partition(":")
    if not module or not attribute:
        return f"its card must name its class as 'module:Class', but has {card.metric!r}."
    low, high = map(float, card.score_range)
    wrong = {
        "mode": card.mode not in get_args(Mode),
        "score_range": not low < high,
        "size": not _SIZE.fullmatch(card.size),
        "weights or also_needs": not all(isinstance(file, WeightsFile) for file in card.files),
        "network": card.network is not None
        and not (isinstance(card.network, (CFANetConfig, LPIPSPlusConfig)) and card.weights),
    }
    fields = [field for field, is_wrong in wrong.items() if is_wrong]
    return f"its card has a wrong {', '.join(fields)}." if fields else ""


def _distribution(point: EntryPoint) -> str:
    # A damaged installation has no name.
    return (point.dist.name if point.dist is not None else None) or point.value


def _duplicate(name: str, distributions: list[str]) -> ValueError:
    return ValueError(
        f"The metric {name!r} is defined by more than one distribution: {' and '.join(distributions)}. "
        "Uninstall all but one of them."
    )
