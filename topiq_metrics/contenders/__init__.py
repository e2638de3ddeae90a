"""Metrics of this package and of other toolboxes with one interface.

``topiq_nr-lite`` is a metric of this package; ``pyiqa:niqe``, ``piq:vif_p``, ``torchmetrics:ssim`` and
``brisque:brisque`` are metrics of other toolboxes. Nothing is downloaded unless asked for.
"""

from __future__ import annotations

import fnmatch
import importlib
from collections.abc import Sequence
from types import ModuleType

from topiq_metrics.catalog import Mode
from topiq_metrics.contenders.base import MetricUnavailableError, ToolboxMetric, ToolboxPredictor
from topiq_metrics.errors import suggest

__all__ = [
    "TOOLBOXES",
    "MetricUnavailableError",
    "ToolboxMetric",
    "ToolboxPredictor",
    "find_toolbox_metrics",
    "get_toolbox_metric",
    "list_toolbox_metrics",
    "missing_toolboxes",
]

_MODULES = {
    "topiq-metrics": "own",
    "pyiqa": "pyiqa_toolbox",
    "piq": "piq_toolbox",
    "torchmetrics": "torchmetrics_toolbox",
    "brisque": "brisque_toolbox",
}
TOOLBOXES = tuple(_MODULES)


def get_toolbox_metric(name: str) -> ToolboxMetric:
    """The metric ``name``: one of this package, or ``toolbox:metric``.

    Raises:
        ValueError: if there is no such metric; the message suggests similar names.
        ModuleNotFoundError: if its toolbox is not installed.
    """
    toolbox, prefixed, _ = name.partition(":")
    if prefixed and toolbox not in TOOLBOXES[1:]:
        raise ValueError(f"There is no toolbox named {toolbox!r}. {suggest(toolbox, TOOLBOXES[1:])}")
    known = {found.name: found for found in list_toolbox_metrics(toolbox if prefixed else TOOLBOXES[0])}
    if name not in known:
        others = known if prefixed else {found.name: found for found in list_toolbox_metrics()}
        raise ValueError(f"There is no metric named {name!r}. {suggest(name, others)}")
    return known[name]


def find_toolbox_metrics(names: Sequence[str], mode: Mode | None = None) -> list[ToolboxMetric]:
    """The metrics with these names, then those that match patterns with ``*`` and ``?``, such as ``pyiqa:*``.

    Args:
        names: as for `get_toolbox_metric`, or patterns.
        mode: ``"NR"`` or ``"FR"`` restricts the matches of patterns; None for both.

    Raises:
        ValueError: if there is no such metric, or none matches a pattern.
        ModuleNotFoundError: if the toolbox of a name is not installed.
    """
    patterns = [name for name in names if set("*?") & set(name)]
    found = [get_toolbox_metric(name) for name in names if name not in patterns]
    for pattern in patterns:
        toolbox, prefixed, _ = pattern.partition(":")
        known = list_toolbox_metrics(toolbox if prefixed and toolbox in TOOLBOXES else None, mode)
        fitting = [each for each in known if fnmatch.fnmatchcase(each.name, pattern)]
        if not fitting:
            raise ValueError(f"No metric{f' of mode {mode}' if mode else ''} fits {pattern!r}.")
        there = {each.name for each in found}
        found += [each for each in fitting if each.name not in there]
    return found


def list_toolbox_metrics(toolbox: str | None = None, mode: Mode | None = None) -> list[ToolboxMetric]:
    """List metrics, including those that cannot be run on this machine.

    Args:
        toolbox: one of `TOOLBOXES`; None for all that are installed (see `missing_toolboxes`).
        mode: ``"NR"`` or ``"FR"``; None for both.

    Raises:
        ValueError: if there is no such toolbox.
        ModuleNotFoundError: if the toolbox is not installed.
    """
    found = _installed()[0] if toolbox is None else toolbox_module(toolbox).metrics()
    return [metric for metric in found if mode in (None, metric.mode)]


def missing_toolboxes() -> dict[str, str]:
    """The toolboxes that are not installed, by name, each with a message that has the command to install it."""
    return _installed()[1]


def _installed() -> tuple[list[ToolboxMetric], dict[str, str]]:
    """The metrics of all toolboxes that are installed, and what installs the others."""
    found: list[ToolboxMetric] = []
    missing = {}
    for name in TOOLBOXES:
        try:
            found += toolbox_module(name).metrics()
        except ModuleNotFoundError as error:
            missing[name] = str(error)
    return found, missing


def toolbox_module(name: str) -> ModuleType:
    """The adapter of a toolbox: its functions ``metrics`` and ``open_metric``."""
    if name not in _MODULES:
        raise ValueError(f"There is no toolbox named {name!r}. {suggest(name, TOOLBOXES)}")
    return importlib.import_module(f"{__name__}.{_MODULES[name]}")
