"""Sphinx: MyST pages, autodoc, warnings as errors (see the Makefile)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import topiq_metrics

project = "topiq-metrics"
author = "the topiq-metrics authors"
copyright = "2026, the topiq-metrics authors"
version = release = topiq_metrics.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "catalogue", "dataset_facts"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nitpicky = False
autodoc_typehints = "description"
autodoc_member_order = "bysource"
exclude_patterns = ["_build", "boards", "examples", "photographs"]

html_theme = "furo"
html_extra_path = ["boards"]
html_title = f"topiq-metrics {release}"
