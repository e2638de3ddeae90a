"""What is wrong with a source."""

from __future__ import annotations


class SourceError(ValueError):
    """A source that holds nothing to score, or that cannot be read as what it is; the message says what to do."""
