"""Names of metrics as commands take them."""

from __future__ import annotations

from collections.abc import Sequence


def split_names(given: Sequence[str]) -> list[str]:
    """Names that were given with commas, in several options, or both, in their order."""
    return [name for text in given for each in text.split(",") if (name := each.strip())]
