"""The metrics that can be had without a network, and why others cannot."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from topiq_metrics._extras import install_line
from topiq_metrics.catalog import ModelCard, all_cards
from topiq_metrics.weights import find


@dataclass(frozen=True)
class Offered:
    """A metric of the catalogue on this machine.

    Attributes:
        card: the metric's.
        lacking: what it lacks here and how to get it, or an empty string.
    """

    card: ModelCard
    lacking: str

    @property
    def is_here(self) -> bool:
        return not self.lacking

    @property
    def compares(self) -> bool:
        """Whether it can say which of several pictures is best: `topiq_metrics.rank_images` takes it."""
        return not (self.card.is_foreign or self.card.scores_faces)


def offered_metrics() -> dict[str, Offered]:
    """Every metric of the catalogue by name, as this machine has it now; nothing is downloaded."""
    return {name: Offered(card, _lacking(card)) for name, card in all_cards().items()}


def _lacking(card: ModelCard) -> str:
    if card.scores_faces and importlib.util.find_spec("facexlib") is None:
        return f"It needs facexlib: {install_line('face')}"
    for file in card.files:
        if find(file) is None:
            if file.published:
                return f"Its weights are not on this machine: `topiq weights fetch {card.name}` gets them."
            return f"Nobody publishes its weights: `topiq train {file.recipe}` makes them."
    return ""
