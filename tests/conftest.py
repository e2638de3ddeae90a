"""What several rooms' tests share: weights files of untrained networks, and pictures."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result


def draw(width: int, height: int, seed: int) -> np.ndarray:
    """A picture with flat areas, edges and texture, uint8 ``(H, W, 3)``."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / random.uniform(2, 30) + y / random.uniform(2, 30) + random.uniform(0, 6)) for _ in range(3)]
    image = 0.5 + 0.2 * np.stack(waves, axis=-1)
    left, top = int(random.integers(width // 2 + 1)), int(random.integers(height // 2 + 1))
    image[top : top + height // 3, left : left + width // 3] = random.uniform(0, 1, 3)
    image += 0.05 * random.standard_normal(image.shape)
    return (image.clip(0, 1) * 255).round().astype(np.uint8)


@pytest.fixture(scope="session")
def save_picture() -> Callable[..., Path]:
    """A function that draws a picture and saves it under a path, whose folders it makes."""

    def save(path: Path, width: int = 64, height: int = 64, seed: int = 0, **options: object) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(width, height, seed)).save(path, **options)
        return path

    return save


def _untrained(name: str, path: Path) -> Path:
    from topiq_metrics.weights import load_network, save_network

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = load_network(name, None)
    pictures = [torch.from_numpy(draw(64, 64, seed)).permute(2, 0, 1).float().div(255) for seed in range(4)]
    images = torch.stack(pictures)
    inputs = (images, images.flip(0)) if name == "topiq_fr" else (images,)
    # Without statistics of their own, the layers pass on little but rounding errors.
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(_take_statistics) for norm in norms]
    with torch.no_grad():
        net(*inputs)
        for hook in hooks:
            hook.remove()
        scores = net(*inputs)
        net.head[-1].weight.mul_(0.02 / (scores.max() - scores.min()))
        net.head[-1].bias.add_(0.5 - net(*inputs).mean())
    save_network(net, path, card={"about": "untrained, for tests"})
    return path


def _take_statistics(norm: torch.nn.BatchNorm2d, inputs: tuple[torch.Tensor]) -> None:
    norm.running_mean.copy_(inputs[0].mean(dim=(0, 2, 3)))
    norm.running_var.copy_(inputs[0].var(dim=(0, 2, 3)).clamp_min(0.1))


@pytest.fixture(scope="session")
def lite_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _untrained("topiq_nr-lite", tmp_path_factory.mktemp("weights") / "lite.safetensors")


@pytest.fixture(scope="session")
def fr_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _untrained("topiq_fr", tmp_path_factory.mktemp("weights") / "fr.safetensors")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, driven by playwright."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("there is no Chromium here")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def topiq() -> Callable[..., Result]:
    """Runs a command in this process; stdout is no terminal."""
    from topiq_metrics.cli.app import app

    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """A function that imports a script of ``benchmarks/``, which is forgotten afterwards with its neighbours."""
    folder = Path(__file__).parents[1] / "benchmarks"
    names = {path.stem for path in folder.glob("*.py")}
    monkeypatch.syspath_prepend(folder)
    # Another file of tests may have one of them under the same name.
    before = {name: sys.modules.pop(name) for name in names & set(sys.modules)}
    yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)
    sys.modules.update(before)
