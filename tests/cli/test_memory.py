"""The limit that makes a lack of memory an error instead of the end of the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is Linux's")

_SCRIPT = """
import resource
import torch
from topiq_metrics.cli.memory_limit import _available_bytes, limit_memory

resource.setrlimit(resource.RLIMIT_DATA, ({before}, -1))
limit_memory()
limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
print(limit)
try:
    torch.empty(2 * max(limit, _available_bytes()), dtype=torch.uint8)
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
