"""Pillow's warnings, silenced without a data race."""

from __future__ import annotations

import contextlib
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any, cast

_FROM_PILLOW = r"PIL(\.|$)"
_RULE = ("ignore", None, Warning, re.compile(_FROM_PILLOW), 0)
_lock = threading.Lock()
_users = 0


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


def _filters() -> list[Any]:
    return cast("list[Any]", warnings.filters)


def _enter() -> None:
    global _users  # noqa: PLW0603
    with _lock:
        _users += 1
        if _RULE not in _filters():
            _filters().insert(0, _RULE)


def _leave() -> None:
    global _users  # noqa: PLW0603
    with _lock:
        _users -= 1
        # A catch_warnings elsewhere may have taken the rule away already.
        if not _users and _RULE in _filters():
            _filters().remove(_RULE)
