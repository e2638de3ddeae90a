"""Memory that a network lets go stays with the process, which needs it again for the next images."""

from __future__ import annotations

import os

from topiq_metrics.cli.memory_limit import available_bytes
from topiq_metrics.cli.threads import local_processes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""

_MOST, _LEAST = 1 << 30, 64 << 20
"""Bytes of a free array that is kept: below the least, glibc does better by itself."""

_OLD_MOST = 32 << 20
"""The largest threshold for arrays that glibc before 2.35 accepts."""

_SHARE = 8
"""Of what the machine has left, the largest array that is kept is such a part at most."""


def keep_freed_memory() -> bool:
    """Let glibc keep large arrays that are free, unless the user has tuned it; returns whether it does.

    By default it gives them back to the kernel, which has to clear as much memory again for the next image: about an
    eighth of the time of a job. What is kept counts against a limit on the memory of the process.
    """
    if any(name.startswith("MALLOC_") for name in os.environ) or "malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    import ctypes

    try:
        kept = min(_MOST, available_bytes() // (_SHARE * max(1, local_processes() or 1)))
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, ValueError, AttributeError):
        # Another system, or another C library.
        return False
    if kept < _LEAST:
        return False
    large = mallopt(_M_MMAP_THRESHOLD, kept) or mallopt(_M_MMAP_THRESHOLD, _OLD_MOST)
    return bool(large and mallopt(_M_TRIM_THRESHOLD, kept))
