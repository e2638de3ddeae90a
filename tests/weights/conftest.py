from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
import torch

from topiq_metrics import catalog
from topiq_metrics.catalog import ModelCard, WeightsFile
from topiq_metrics.models.cfanet import CFANet, CFANetConfig

TINY = CFANetConfig("efficientnet_lite0", dim=16, heads=2, gate_width=4)


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Every place that is searched, empty, in a folder of the test's own."""
    from huggingface_hub import constants

    folders = {name: tmp_path / name for name in ("bundled", "own", "cache", "torch", "hf")}
    monkeypatch.setattr("topiq_metrics.weights.places.BUNDLED", folders["bundled"])
    monkeypatch.setenv("TOPIQ_METRICS_WEIGHTS", str(folders["own"]))
    monkeypatch.setenv("TOPIQ_METRICS_CACHE", str(folders["cache"]))
    monkeypatch.setenv("TORCH_HOME", str(folders["torch"]))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folders["hf"]))
    folders["pyiqa"] = folders["torch"] / "hub" / "pyiqa"
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    return folders


@pytest.fixture
def add_card(monkeypatch):
    """Adds a card to the catalogue for the length of a test."""

    def add(name: str = "tiny", content: bytes | None = None, **changes) -> ModelCard:
        sha256 = hashlib.sha256(content).hexdigest()[:8] if content is not None else ""
        weights = WeightsFile(f"{name}.pth", changes.pop("sha256", sha256), "for tests only", "owner/weights")
        card = dataclasses.replace(
            catalog.CARDS["topiq_nr-lite"], name=name, weights=weights, readout=None, **{"network": TINY, **changes}
        )
        monkeypatch.setitem(catalog.CARDS, name, card)
        return card

    return add


@pytest.fixture
def tiny_net() -> CFANet:
    """The network of the card ``tiny``, with weights that no initialisation gives."""
    net = CFANet(TINY, name="tiny")
    generator = torch.Generator().manual_seed(1)
    state = net.state_dict()
    for value in state.values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) * 0.1 + 0.01)
        else:
            value.fill_(7)
    return net.eval()


def assert_same_state(first: torch.nn.Module, second: torch.nn.Module, **tolerances: float) -> None:
    first, second = first.state_dict(), second.state_dict()
    assert list(first) == list(second)
    for key, value in first.items():
        torch.testing.assert_close(second[key], value, **{"rtol": 0, "atol": 0, **tolerances}, msg=key)


@pytest.fixture
def same_state():
    return assert_same_state


@pytest.fixture
def a_file(tmp_path) -> Path:
    return tmp_path / "file.pth"
