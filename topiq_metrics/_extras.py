"""Optional packages, imported where they are needed."""

from __future__ import annotations

import importlib
from typing import Any


def install_line(extra: str) -> str:
    """The command that installs an extra, quoted for shells that expand brackets."""
    return f"pip install 'topiq-metrics[{extra}]'"


def missing(extra: str, for_what: str, package: str | None = None) -> ModuleNotFoundError:
    """The error that an extra is not installed, with the command that installs it.

    Args:
        extra: of ours.
        for_what: it is needed, a sentence without its end.
        package: that was not found.
    """
    return ModuleNotFoundError(f"{for_what}: {install_line(extra)}", name=package)


def import_extra(module: str, extra: str, purpose: str, what: str = "an extra") -> Any:
    """An optional module.

    Raises:
        ModuleNotFoundError: with the line that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise missing(extra, f"{purpose} {what} ({error.name} is not installed)", error.name) from None
