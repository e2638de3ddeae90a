"""Image quality assessment with the TOPIQ family: torchmetrics metrics, functions and a command line."""

from __future__ import annotations

__version__ = "0.1.0.dev0"
