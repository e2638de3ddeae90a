"""Memory that a network lets go stays with the process, which needs it again for the next images."""

from __future__ import annotations

import os

from topiq_metrics.cli.memory_limit import available_bytes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""

_MOST = 1 << 30
_SHARE = 8
"""Of what the machine has left, such a part at most."""


def keep_freed_memory() -> bool:
    """Let glibc keep large arrays that are free, unless the user has tuned it; returns whether it does.

    By default it gives them back to the kernel, which has to clear as much memory again for the next image: about an
    eighth of the time of a job.
    """
    if any(name.startswith("MALLOC_") for name in os.environ) or "malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    import ctypes

    try:
        kept = min(_MOST, available_bytes() // _SHARE)
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, ValueError, AttributeError):
        # Another system, or another C library.
        return False
    return all(mallopt(option, kept) == 1 for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD))
