"""What of Pillow is the whole process's, changed while we decode, by several threads at once, and put back.

That is its warnings, and its leniency with files that are cut short.
"""

from __future__ import annotations

import contextlib
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any, cast

from PIL import ImageFile

_FROM_PILLOW = r"PIL(\.|$)"
_RULE = ("ignore", None, Warning, re.compile(_FROM_PILLOW), 0)
_lock = threading.Lock()
_quiet_users = 0
_strict_users = 0
_was_lenient = False


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Ignore the warnings that Pillow's own modules issue: damaged metadata, for the most part.

    Several threads may be inside at once. `warnings.catch_warnings` can't serve them where it swaps the filters of the
    whole process: threads that leave in another order than they came in would restore a list that stays for good.
    Nor can `warnings.filterwarnings`: each call makes every warning that was shown once be shown again.
    """
    if getattr(sys.flags, "context_aware_warnings", False):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=_FROM_PILLOW)
            yield
        return
    _enter()
    try:
        yield
    finally:
        _leave()


@contextlib.contextmanager
def strict_pillow() -> Iterator[None]:
    """Let a truncated file be an error, whatever ``ImageFile.LOAD_TRUNCATED_IMAGES`` says; several threads may enter.

    Other packages, pyiqa among them, set it for the whole process, and missing pixels would be scored as grey ones.
    """
    global _strict_users, _was_lenient  # noqa: PLW0603
    with _lock:
        if not _strict_users:
            _was_lenient = ImageFile.LOAD_TRUNCATED_IMAGES
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        _strict_users += 1
    try:
        yield
    finally:
        with _lock:
            _strict_users -= 1
            if not _strict_users and _was_lenient:
                ImageFile.LOAD_TRUNCATED_IMAGES = True


def _filters() -> list[Any]:
    return cast("list[Any]", warnings.filters)


def _enter() -> None:
    global _quiet_users  # noqa: PLW0603
    with _lock:
        _quiet_users += 1
        if _RULE not in _filters():
            _filters().insert(0, _RULE)


def _leave() -> None:
    global _quiet_users  # noqa: PLW0603
    with _lock:
        _quiet_users -= 1
        # A catch_warnings elsewhere may have taken the rule away already.
        if not _quiet_users and _RULE in _filters():
            _filters().remove(_RULE)
