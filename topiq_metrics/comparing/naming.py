"""What the files of a comparison are called."""

from __future__ import annotations

import re
from pathlib import Path

from topiq_metrics.explaining.naming import SHEET, is_overlay

PAGE, PAGES, MAPS, NETWORK = "comparison.jpg", "comparison-[0-9]*.jpg", "comparison.npz", "comparison.png"


def is_page(path: Path) -> bool:
    """Whether a file is called as a further page of a comparison."""
    return re.fullmatch(r"comparison-\d+\.jpg", path.name) is not None


def is_drawn(path: Path, folder: Path) -> bool:
    """Whether an image is called as what a comparison in ``folder`` draws."""
    if path.parent == folder:
        return path.name in {PAGE, NETWORK} or is_page(path)
    return path.parent.parent == folder and (path.name == SHEET or is_overlay(path))
