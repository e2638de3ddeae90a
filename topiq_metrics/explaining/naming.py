"""What the files of an explanation are called."""

from __future__ import annotations

import re
from pathlib import Path

from topiq_metrics.explaining.maps import KINDS

SHEET, MAPS, OVERLAYS = "sheet.png", "maps.npz", "overlay-*.png"


def is_overlay(path: Path) -> bool:
    """Whether a file is called as the overlay of a map, of whatever metric."""
    return re.fullmatch(rf"overlay-({'|'.join(KINDS)})-level\d+\.png", path.name) is not None
