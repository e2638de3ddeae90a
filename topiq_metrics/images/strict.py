"""Pillow's leniency with files that are cut short, off while we decode."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from PIL import ImageFile

_lock = threading.Lock()
_users = 0
_lenient = False


@contextlib.contextmanager
def strict_pillow() -> Iterator[None]:
    """Let a truncated file be an error, whatever ``ImageFile.LOAD_TRUNCATED_IMAGES`` says; several threads may enter.

    Other packages, pyiqa among them, set it for the whole process, and missing pixels would be scored as grey ones.
    """
    global _users, _lenient  # noqa: PLW0603
    with _lock:
        if not _users:
            _lenient = ImageFile.LOAD_TRUNCATED_IMAGES
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users and _lenient:
                ImageFile.LOAD_TRUNCATED_IMAGES = True
