"""pyiqa's networks beside ours; the comparison itself is that of ``benchmarks/parity.py``."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "parity.py"


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("topiq_benchmarks_parity", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_parity = load_script()


@pytest.fixture(scope="session")
def parity() -> ModuleType:
    return _parity


_LONG = {"topiq_iaa", "topiq_iaa_res50", "topiq_nr_swin-face"}
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in _LONG else name for name in _parity.NAMES]
"""Networks on Swin take minutes, and that of ``topiq_iaa_res50`` is all but the same as that of ``topiq_nr``."""


@pytest.fixture(scope="session", params=NAMES)
def pair(request, tmp_path_factory):
    if not _parity.has_pyiqa():
        pytest.skip(_parity.MISSING)
    folder = tmp_path_factory.mktemp("parity")
    pair = _parity.Pair(request.param, folder)
    for checkpoint in folder.iterdir():
        checkpoint.unlink()
    return pair
