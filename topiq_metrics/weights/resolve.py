"""The file that a metric's weights are in."""

from __future__ import annotations

from pathlib import Path

from topiq_metrics.catalog import get_card
from topiq_metrics.weights.fetch import fetch
from topiq_metrics.weights.places import find_checked, not_found


def resolve(name: str, *, download: bool = True) -> Path:
    """Find the weights file of the metric ``name``, fetch it if need be, and check its SHA-256.

    Looked for, in this order: bundled with the package; the folder in ``TOPIQ_METRICS_WEIGHTS``; our cache (see
    `cache_dir`); pyiqa's cache; the Hugging Face cache; the Hugging Face hub, from where it is fetched into our cache.

    Args:
        name: name of a metric.
        download: whether the hub may be asked.

    Raises:
        WeightsNotFoundError: if the file is in none of these places.
        WeightsHashError: if the file that was found is not the published one.
    """
    card = get_card(name)
    found = find_checked(card)
    if found is not None:
        return found
    if card.weights.bundled or not download:
        raise not_found(card, "not asked")
    return fetch(name)
