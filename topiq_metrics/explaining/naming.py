"""What the files of an explanation are called."""

from __future__ import annotations

import re
from pathlib import Path

from topiq_metrics.explaining.maps import KINDS

SHEET, MAPS = "sheet.png", "maps.npz"


def is_overlay(path: Path) -> bool:
    """Whether a file is called as the overlay of a map, of whatever metric."""
    return re.fullmatch(rf"overlay-({'|'.join(KINDS)})-level\d+\.png", path.name) is not None


def overlays_in(folder: Path) -> list[Path]:
    """The overlays of an explanation in a folder."""
    return [path for path in folder.glob("overlay-*.png") if is_overlay(path)]
