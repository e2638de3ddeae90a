"""The command ``topiq``."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    from topiq_metrics.cli.app import app

    # However it was started: completion is installed under this name.
    app(prog_name="topiq")
