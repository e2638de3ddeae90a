"""Our networks inside pyiqa (0.1.16 or later).

pyiqa calls `entry_point` by itself when it first looks up a network. From then on it builds the TOPIQ networks with
ours, and knows the metrics of our catalogue that it lacks. `register` does the same at once. Where both packages are
imported, in whichever order, pyiqa knows the names by `add_names`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import threading
import warnings
from typing import Any

from topiq_metrics._extras import missing
from topiq_metrics.catalog import CARDS, ModelCard

__all__ = ["SWITCH_VARIABLE", "add_names", "entry_point", "register"]

SWITCH_VARIABLE = "TOPIQ_METRICS_PYIQA"
_OLDEST = (0, 1, 16)
_CATALOGUE_ARCH = "TOPIQMetricsNetwork"
_lock = threading.Lock()


def register() -> None:
    """Put our networks into pyiqa; doing it again changes nothing.

    ``pyiqa.create_metric`` then builds the ``topiq_*`` metrics with our networks, and `pyiqa.list_models` has those
    of our catalogue that pyiqa does not know, such as ``topiq_nr-lite``.

    Raises:
        ModuleNotFoundError: if pyiqa is not installed.
        RuntimeError: if it is older than 0.1.16.
    """
    if importlib.util.find_spec("pyiqa") is None:
        raise missing("pyiqa", "pyiqa is not installed", "pyiqa")
    import pyiqa

    version: str = pyiqa.__version__
    if _is_too_old(version):
        oldest = ".".join(map(str, _OLDEST))
        raise RuntimeError(
            f"pyiqa {version} has no plug-ins; topiq-metrics needs {oldest} or later: pip install 'pyiqa>={oldest}'"
        )
    from pyiqa.default_model_configs import DEFAULT_CONFIGS
    from pyiqa.utils.registry import ARCH_REGISTRY

    from topiq_metrics.plugins.pyiqa.networks import CatalogueNetwork, CFANetAdapter

    with _lock:
        ARCH_REGISTRY.register(CFANetAdapter, name="CFANet", override=True)
        ARCH_REGISTRY.register(CatalogueNetwork, name=_CATALOGUE_ARCH, override=True)
        _add_rows(DEFAULT_CONFIGS)


def add_names() -> None:
    """Tell pyiqa, which has been imported, the metrics of our catalogue that it lacks; nothing else is imported.

    Their networks are imported when one of them is first built. A pyiqa that is too old, or ``TOPIQ_METRICS_PYIQA=0``,
    is left alone.
    """
    if os.environ.get(SWITCH_VARIABLE) == "0":
        return
    try:
        from pyiqa import __version__ as version
        from pyiqa.default_model_configs import DEFAULT_CONFIGS
        from pyiqa.utils.registry import ARCH_REGISTRY

        if _is_too_old(version):
            return
        with _lock:
            ARCH_REGISTRY.register_lazy(_CATALOGUE_ARCH, f"{__name__}.networks:CatalogueNetwork", override=True)
            _add_rows(DEFAULT_CONFIGS)
    except Exception as error:  # noqa: BLE001 - to import either package must not fail of the other
        _warn(error)


def entry_point() -> None:
    """What pyiqa calls: `register`, unless ``TOPIQ_METRICS_PYIQA=0``.

    Whatever goes wrong here, pyiqa goes on with its own networks, and one warning says so.
    """
    if os.environ.get(SWITCH_VARIABLE) == "0":
        return
    try:
        register()
    except Exception as error:  # noqa: BLE001 - pyiqa must work without us
        _remove_rows()
        _warn(error)


def _warn(error: Exception) -> None:
    warnings.warn(
        f"pyiqa keeps its own networks, since those of topiq-metrics cannot be registered: "
        f"{type(error).__name__}: {error} ({SWITCH_VARIABLE}=0 turns the attempt off.)",
        RuntimeWarning,
        stacklevel=3,
    )


def _remove_rows() -> None:
    """Undo `add_names`, which the import of this package has led to."""
    module = sys.modules.get("pyiqa.default_model_configs")
    configs: dict[str, Any] = getattr(module, "DEFAULT_CONFIGS", {})
    for name in [name for name, row in configs.items() if row["metric_opts"].get("type") == _CATALOGUE_ARCH]:
        del configs[name]


def _is_too_old(version: str) -> bool:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3]) < _OLDEST


def _add_rows(configs: dict[str, Any]) -> None:
    for name, card in CARDS.items():
        if card.is_topiq:
            configs.setdefault(name, _row(card))


def _row(card: ModelCard) -> dict[str, Any]:
    """What pyiqa knows of a metric."""
    # pyiqa marks a bound that a score may pass.
    mark = "~" if card.bins == 1 else ""
    return {
        "metric_opts": {"type": _CATALOGUE_ARCH, "name": card.name},
        "metric_mode": card.mode,
        "lower_better": not card.higher_is_better,
        "score_range": ", ".join(f"{mark}{bound:g}" for bound in card.score_range),
    }
