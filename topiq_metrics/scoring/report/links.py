"""Where a page finds the files that its rows are of: addresses that hold as long as both stay where they are."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import quote

from topiq_metrics.scoring.sources.locations import is_url, is_web

BY_NAME = 1
"""Stands for the address that the page makes of the name itself: most rows need no other."""


def link_of(name: str) -> str | int:
    """The address of a row's file, relative to the folder of `root_of` unless it is absolute; 0 if there is none."""
    if is_url(name):
        return quote(name, safe=":/?#[]@!$&'()*+,;=%~") if is_web(name) else 0
    try:
        if not os.path.isfile(name):  # noqa: PTH113 - Path.is_file raises where a parent may not be read
            return 0
        if sys.platform == "win32":
            return Path(name).absolute().as_uri()
    except (OSError, ValueError):
        return 0
    try:
        name.encode()
    except UnicodeEncodeError:
        return quote(os.fsencode(name))
    return BY_NAME


def root_of(page: Path) -> str:
    """The address of the current folder, where relative names start, as the page sees it; it ends in a slash."""
    try:
        relative = os.path.relpath(Path(), page.parent)
    except ValueError:
        # They are on different drives.
        return Path().absolute().as_uri() + "/"
    return quote(os.fsencode(relative.replace(os.sep, "/"))) + "/"
