from __future__ import annotations

import subprocess
import sys

LATE = {"huggingface_hub", "httpx", "httpx2", "requests", "torchvision", "pyiqa", "torchmetrics"}


def imported(code: str) -> set[str]:
    code += "\nimport sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    return set(done.stdout.split())


def test_network_modules_are_imported_when_needed():
    assert not imported("import topiq_metrics.weights") & LATE


def test_the_guard_can_fail():
    assert imported("import topiq_metrics.weights, huggingface_hub; huggingface_hub.hf_hub_download") & LATE
