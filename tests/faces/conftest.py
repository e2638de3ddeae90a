from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

# The workers import the helpers by name, too.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "metrics"))

from metric_tester import START_TIMEOUT, Pool, collect


@pytest.fixture(scope="session")
def face_pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    from face_tester import warm_up

    pool = Pool(tmp_path_factory.mktemp("group"))
    for connection in pool.connections:
        connection.send_bytes(pickle.dumps((warm_up, ())))
    collect(pool.connections, timeout=START_TIMEOUT)
    yield pool
    pool.close()


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """No weights but those of the folder that is returned, and no download."""
    from topiq_metrics.errors import WeightsNotFoundError

    def refuse(file, **_):
        raise WeightsNotFoundError(f"the test asked for a download of {file.filename}")

    # The package has a function of the module's name.
    monkeypatch.setattr(importlib.import_module("topiq_metrics.weights.resolve"), "fetch", refuse)
    monkeypatch.setenv("TOPIQ_METRICS_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TOPIQ_METRICS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"
