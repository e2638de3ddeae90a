"""The catalogue: one record for each metric.

The registry, the weights, the command line, the tables of the documentation and the tests all read it. `CARDS` has the
metrics of this package; `all_cards` also has those of other distributions.
"""

from __future__ import annotations

from topiq_metrics.catalog.builtin import CARDS, DEFAULT_FR, DEFAULT_NR
from topiq_metrics.catalog.cards import Mode, ModelCard, PublishedResult, WeightsFile
from topiq_metrics.catalog.extensions import check_unclaimed, installed_card, installed_cards
from topiq_metrics.catalog.networks import CFANetConfig, LPIPSPlusConfig
from topiq_metrics.errors import suggest

__all__ = [
    "CARDS",
    "DEFAULT_FR",
    "DEFAULT_NR",
    "CFANetConfig",
    "LPIPSPlusConfig",
    "Mode",
    "ModelCard",
    "PublishedResult",
    "WeightsFile",
    "all_cards",
    "default_metric",
    "get_card",
]


def default_metric(*, with_reference: bool) -> str:
    """The default metric, which is bundled: ``"topiq_fr-lite"`` with a reference, ``"topiq_nr-lite"`` without."""
    return DEFAULT_FR if with_reference else DEFAULT_NR


def get_card(name: str) -> ModelCard:
    """The card of the metric ``name``.

    Raises:
        ValueError: if there is no such metric (the message suggests similar names), or two distributions have it.
    """
    if name in CARDS:
        check_unclaimed(name)
        return CARDS[name]
    card = installed_card(name)
    if card is None:
        raise ValueError(f"There is no metric named {name!r}. {suggest(name, all_cards())}")
    return card


def all_cards() -> dict[str, ModelCard]:
    """All cards by name: those of this package, then those of other distributions.

    Raises:
        ValueError: if two distributions have a metric of the same name.
    """
    for name in CARDS:
        check_unclaimed(name)
    return {**CARDS, **installed_cards()}
