"""Metrics by name."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, cast

from topiq_metrics.catalog import Mode, all_cards, get_card

if TYPE_CHECKING:
    from torchmetrics import Metric

_MODES = ("NR", "FR")


def create_metric(name: str, **kwargs: Any) -> Metric:
    """Build the torchmetrics metric ``name``.

    Args:
        name: one of `list_metrics`.
        kwargs: arguments of the metric's class, such as ``weights`` or ``reduction``.

    Returns:
        A metric, for example `topiq_metrics.TOPIQNoReference`.

    Raises:
        ValueError: if there is no such metric (the message suggests similar names), or an argument is wrong.
        WeightsError: if the weights cannot be found or loaded.

    Examples:
        >>> from topiq_metrics import create_metric
        >>> create_metric("topiq_nr-lite", reduction="none").reduction
        'none'
    """
    if "model" in kwargs:
        raise ValueError("Argument `model` is the metric's name: give it as `name` only.")
    card = get_card(name)
    module, _, attribute = card.metric.partition(":")
    return cast("Metric", getattr(importlib.import_module(module), attribute)(model=name, **kwargs))


def list_metrics(mode: Mode | None = None) -> list[str]:
    """List the names that `create_metric` accepts, sorted: those of this package and of plug-ins.

    Args:
        mode: ``"NR"`` for no-reference metrics only, ``"FR"`` for full-reference metrics only; None for all.

    Raises:
        ValueError: if ``mode`` is another value, or two distributions have a metric of the same name.

    Examples:
        >>> from topiq_metrics import list_metrics
        >>> list_metrics("FR")
        ['lpips+', 'lpips-vgg+', 'topiq_fr', 'topiq_fr-lite', 'topiq_fr-pipal']
    """
    if mode is not None and mode not in _MODES:
        raise ValueError(f"Argument `mode` must be one of {_MODES} or None, but got {mode!r}.")
    return sorted(name for name, card in all_cards().items() if mode in {None, card.mode})
