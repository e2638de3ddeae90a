"""Sphinx: MyST pages, autodoc, warnings as errors (see the Makefile)."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import topiq_metrics

project = "topiq-metrics"
author = "the topiq-metrics authors"
copyright = "2026, the topiq-metrics authors"
version = release = topiq_metrics.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "api_index",
    "catalogue",
    "commands",
    "dataset_facts",
]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nitpicky = False
autodoc_typehints = "description"
autodoc_member_order = "bysource"
exclude_patterns = ["_build", "boards", "examples", "photographs"]

html_theme = "furo"
html_title = f"topiq-metrics {release}"


def setup(app: Any) -> None:
    app.connect("build-finished", copy_boards)


def copy_boards(app: Any, error: Exception | None) -> None:
    """Put the boards where the pages look for them, as in the repository."""
    if error is None:
        shutil.copytree(Path(app.srcdir) / "boards", Path(app.outdir) / "boards", dirs_exist_ok=True)
