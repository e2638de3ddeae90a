"""What the files of a comparison are called."""

from __future__ import annotations

import re
from pathlib import Path

from topiq_metrics.explaining import naming as explaining
from topiq_metrics.explaining.naming import SHEET, is_overlay

PAGE, PAGES, MAPS, NETWORK = "comparison.jpg", "comparison-[0-9]*.jpg", "comparison.npz", "comparison.png"


def is_page(path: Path) -> bool:
    """Whether a file is called as a further page of a comparison."""
    return re.fullmatch(r"comparison-\d+\.jpg", path.name) is not None


def is_drawn(path: Path, folder: Path) -> bool:
    """Whether an image was drawn by a comparison in ``folder``: by its name, and by what that leaves beside it."""
    if path.parent == folder:
        is_first = path.name == PAGE or is_page(path)
        return (is_first and (folder / MAPS).exists()) or path.name == NETWORK
    is_explanation = path.name == SHEET or is_overlay(path)
    return is_explanation and path.parent.parent == folder and (path.parent / explaining.MAPS).exists()
