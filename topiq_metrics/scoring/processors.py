"""How many processors this process may use."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path


def usable_processors(root: Path = Path("/")) -> int:
    """Processors that this process may use: those it may run on, and no more than the time that its container has.

    Args:
        root: where the system's ``proc`` and ``sys`` are.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # A part of a processor's time still needs a process.
    return max(1, min([count, *(math.ceil(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """Processors that control groups of Linux grant: ours and those that it is in."""
    with contextlib.suppress(OSError):
        for line in os.fsdecode((root / "proc/self/cgroup").read_bytes()).splitlines():
            number, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            if number != "0" and "cpu" not in controllers.split(","):
                continue
            mount = root / "sys/fs/cgroup"
            if number != "0":
                mount /= controllers if (mount / controllers).is_dir() else "cpu"
            # In a container, our group is mounted where its root would be.
            own = mount / path.lstrip("/")
            for folder in (own, *own.parents):
                yield from _quota(folder)
                if folder == mount:
                    break


def _quota(folder: Path) -> Iterator[float]:
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        yield float(quota) / float(period)
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = ((folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period"))
        if float(quota) > 0:
            yield float(quota) / float(period)
