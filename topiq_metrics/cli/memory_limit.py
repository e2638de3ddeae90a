"""Let memory that runs out be an error that a job survives, instead of the end of its process."""

from __future__ import annotations

from pathlib import Path

_RESERVE = 0.95


def limit_memory() -> None:
    """Refuse this process more memory than there is, where the system can: on Linux.

    Without it, the kernel grants what it does not have and then kills the process; with it, torch raises an error for
    the one image that needs too much. A limit that is set already stays if it is lower.
    """
    try:
        import resource

        available = available_bytes()
        used = int(_field(Path("/proc/self/status"), "VmData:")) * 1024
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    except (ImportError, AttributeError, OSError, ValueError):
        return
    limit = used + int(available * _RESERVE)
    if soft == resource.RLIM_INFINITY or limit < soft:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def available_bytes() -> int:
    """What the machine has left, or the control group of this process if that is less."""
    available = int(_field(Path("/proc/meminfo"), "MemAvailable:")) * 1024
    group = Path("/sys/fs/cgroup")
    try:
        most, now = ((group / name).read_text().strip() for name in ("memory.max", "memory.current"))
        cache = int(_field(group / "memory.stat", "inactive_file"))
    except (OSError, ValueError):
        return available
    return available if most == "max" else min(available, max(0, int(most) - int(now) + cache))


def _field(path: Path, name: str) -> str:
    for line in path.read_text().splitlines():
        if line.split(maxsplit=1)[0] == name:
            return line.split()[1]
    raise ValueError(f"{path} has no {name}")
