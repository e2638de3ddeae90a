from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from topiq_metrics.catalog import get_card
from topiq_metrics.images import SizePolicy

FAKE = """
import os, signal, time
import topiq_metrics.inference as inference
from topiq_metrics.catalog import get_card
from topiq_metrics.images import SizePolicy

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background may have inherited another

class FakePredictor:
    max_batch = 8

    def __init__(self, name, weights, size, device, backend):
        self.card, self.size = get_card(name), SizePolicy.parse(size or "native")

    def __call__(self, images, references=None, *, spare_memory=False):
        time.sleep(float(os.environ.get("PAUSE", "0")))
        return images.mean(dim=(1, 2, 3))

inference.NetworkPredictor = FakePredictor
"""
MAIN = "from topiq_metrics.cli import main\nmain()\n"


@pytest.fixture(autouse=True)
def no_weights_of_this_machine(tmp_path_factory, monkeypatch):
    from huggingface_hub import constants

    folder = tmp_path_factory.mktemp("places")
    monkeypatch.delenv("TOPIQ_METRICS_WEIGHTS", raising=False)
    monkeypatch.setenv("TOPIQ_METRICS_CACHE", str(folder / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    monkeypatch.setenv("HF_HOME", str(folder / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hf" / "hub"))


@pytest.fixture(autouse=True)
def no_limit_on_the_memory_of_the_tests(monkeypatch):
    for command in ("score", "serve"):
        monkeypatch.setattr(f"topiq_metrics.cli.{command}.limit_memory", lambda: None)
    monkeypatch.setattr("topiq_metrics.cli.score.keep_freed_memory", lambda: None)


@pytest.fixture
def fake_network(monkeypatch):
    """Scores are the mean of the pixels; no weights are needed."""

    class FakePredictor:
        max_batch = 8

        def __init__(self, name, weights="default", *, size=None, device=None, backend=None) -> None:
            self.card = get_card(name)
            self.size = SizePolicy.parse(self.card.size if size is None else size)

        def __call__(self, images: Tensor, references: Tensor | None = None, *, spare_memory=False) -> Tensor:
            return (images if references is None else (images - references).abs()).mean(dim=(1, 2, 3))

    monkeypatch.setattr("topiq_metrics.inference.NetworkPredictor", FakePredictor)


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[str]]:
    """Starts a command in a process of its own."""
    started = []

    def run(*arguments: object, fake: bool = False, env: dict[str, str] | None = None, **options: object):
        command = [sys.executable, "-c", FAKE + MAIN if fake else MAIN, *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        process = subprocess.Popen(command, env={**os.environ, **(env or {})}, **pipes)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def read_terminal() -> Callable[[int], bytes]:
    """Reads a terminal until its other end closes, and closes it."""

    def read_all(terminal: int) -> bytes:
        text = b""
        while True:
            try:
                read = os.read(terminal, 4096)
            except OSError:  # what Linux says at the end
                break
            if not read:
                break
            text += read
        os.close(terminal)
        return text

    return read_all


@pytest.fixture
def folder(tmp_path, save_picture) -> Path:
    """Three pictures and what is none."""
    root = tmp_path / "photos"
    for i in range(3):
        save_picture(root / f"{i}.png", 64, 48, seed=i)
    return root
