"""Optional packages, imported where they are needed."""

from __future__ import annotations

import importlib
from typing import Any


def import_extra(module: str, extra: str, purpose: str, what: str = "an extra") -> Any:
    """An optional module.

    Raises:
        ModuleNotFoundError: with the line that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{purpose} {what} (there is no {error.name}): pip install 'topiq-metrics[{extra}]'", name=error.name
        ) from None
