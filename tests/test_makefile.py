"""``make`` installs the CPU build of torch where no GPU is found and the package index has it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[1] / "Makefile"
pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("make") is None or Path("/dev/kfd").exists(),
    reason="torch comes with CUDA on Linux",
)

# Writes down what it is asked for, and answers as pip does.
PYTHON = """#!/bin/sh
echo "$@" >> "$LOG"
case "$*" in
  *"index versions torchvision"*) echo "$VISION" ;;
  *"index versions"*) echo "$INDEX" ;;
  *urlopen*) exit "$OUT_OF_REACH" ;;
  "-c import torchvision") exit "$BROKEN" ;;
esac
"""


@pytest.fixture
def install(tmp_path):
    """Runs the recipe with a Python that installs nothing; gives what it was asked for."""

    def run(
        index: str, vision: str = "0.28.0+cpu", *, gpu: bool = False, out_of_reach: bool = False, broken: bool = False
    ) -> list[str]:
        programs = tmp_path / "venv" / "bin"
        programs.mkdir(parents=True)
        for name, text in {"python": PYTHON, "nvidia-smi": f"#!/bin/sh\nexit {int(not gpu)}\n"}.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        log = tmp_path / "log"
        env = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "LOG": str(log),
            "INDEX": index,
            "VISION": vision,
            "OUT_OF_REACH": str(int(out_of_reach)),
            "BROKEN": str(int(broken)),
        }
        target = tmp_path / "venv" / ".torch"
        command = ["make", "-f", str(MAKEFILE), f"VENV={tmp_path / 'venv'}", str(target)]
        subprocess.run(command, env=env, capture_output=True, text=True, check=True, cwd=tmp_path)
        assert target.exists()
        return log.read_text().splitlines() if log.exists() else []

    return run


BOTH = "Available versions: 2.15.0, 2.14.1, 2.13.0+cpu, 2.13.0, 2.12.0+cpu"


def test_the_newest_cpu_build(install):
    (line,) = [line for line in install(BOTH) if " install " in line]
    assert "torch==2.13.0+cpu torchvision" in line
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in line


def test_an_index_of_ones_own(install):
    (line,) = [line for line in install(BOTH, out_of_reach=True) if " install " in line]
    assert line.endswith("torch==2.13.0+cpu torchvision")
    assert "extra-index" not in line


@pytest.mark.parametrize(("torch", "vision"), [("2.15.0, 2.14.1", "0.28.0+cpu"), (BOTH, "0.29.0, 0.28.0")])
def test_no_cpu_build(torch, vision, install):
    assert not [line for line in install(torch, vision) if " install " in line]


def test_a_gpu(install):
    assert install(BOTH, gpu=True) == []


def test_a_build_that_does_not_run_is_removed(install):
    *_, last = install(BOTH, broken=True)
    assert last.endswith("uninstall --quiet --yes torch torchvision")
