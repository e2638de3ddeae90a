"""The limit that makes a lack of memory an error instead of the end of the process."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is Linux's")

_SCRIPT = """
import resource
import torch
from topiq_metrics.cli.memory_limit import available_bytes, limit_memory

resource.setrlimit(resource.RLIMIT_DATA, ({before}, -1))
limit_memory()
limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
print(limit)
try:
    torch.empty(2 * max(limit, available_bytes()), dtype=torch.uint8)
except RuntimeError as error:
    print("allocate memory" in str(error))
"""


def _run(before: int) -> list[str]:
    command = [sys.executable, "-c", _SCRIPT.format(before=before)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_more_than_there_is_is_refused():
    limit, refused = _run(-1)
    assert 0 < int(limit) < 2**50
    assert refused == "True"


def test_a_lower_limit_stays():
    assert _run(1_500_000_000) == ["1500000000", "True"]


_REUSED = """
import resource
import torch
from topiq_metrics.cli import allocator

allocator.available_bytes = lambda: {available}

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.ones(20_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

# It takes some arrays until one fits into what those before it have left.
least = lambda: min(faults() for _ in range(6))
print(least(), allocator.keep_freed_memory(), least())
"""


@pytest.mark.parametrize(
    ("tuned", "available", "keeps"),
    [
        ({}, 8 << 30, True),
        ({"LOCAL_WORLD_SIZE": "2"}, 8 << 30, True),
        ({}, 300 << 20, False),
        ({"LOCAL_WORLD_SIZE": "64"}, 8 << 30, False),
        ({"MALLOC_ARENA_MAX": "2"}, 8 << 30, False),
        ({"GLIBC_TUNABLES": "glibc.malloc.check=0"}, 8 << 30, False),
    ],
)
def test_freed_memory_is_used_again(tuned, available, keeps):
    name, version = platform.libc_ver()
    if name != "glibc" or tuple(map(int, version.split("."))) < (2, 35):
        pytest.skip("needs glibc 2.35 for large arrays")
    others = ("MALLOC_", "GLIBC_", "LD_PRELOAD", "LOCAL_WORLD_SIZE")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    command = [sys.executable, "-c", _REUSED.format(available=available)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env={**clean, **tuned})
    before, kept, after = run.stdout.split()
    assert kept == str(keeps)
    assert (int(after) < int(before) / 4) == keeps
