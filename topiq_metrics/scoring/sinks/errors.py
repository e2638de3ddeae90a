"""What is wrong with an output."""

from __future__ import annotations


class OutputError(ValueError):
    """Rows cannot go where they should; the message says what to do."""
