"""What is wrong with a source."""

from __future__ import annotations


class SourceError(ValueError):
    """A source has nothing to score, or cannot be read; the message says what to do."""
