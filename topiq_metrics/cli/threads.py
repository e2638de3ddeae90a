"""How many threads a command's networks take, and how many processes share the machine."""

from __future__ import annotations

import os


def local_processes() -> int | None:
    """How many processes `torchrun` has started on this machine; None where it has not.

    Raises:
        ValueError: if the variable is no number.
    """
    processes = os.environ.get("LOCAL_WORLD_SIZE")
    return None if processes is None else int(processes)


def limit_threads() -> None:
    """Let torch take as many threads as this process may use processors, unless the user has said how many."""
    import torch

    from topiq_metrics.scoring.processors import usable_processors

    # It counts the machine's processors, also where a container may use the time of a few.
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(torch.get_num_threads(), usable_processors()))
