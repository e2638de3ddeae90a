"""pyiqa's networks with random weights, for ours to be compared with."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "parity.py"

# Nothing is downloaded: no backbone, no detector, no weights.
OFFLINE = {"pretrained": False, "backbone_pretrain": False, "align_crop_face": False}


def _load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("topiq_benchmarks_parity_for_plugins", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def parity() -> ModuleType:
    return _load_script()


@pytest.fixture(scope="session")
def pyiqa() -> ModuleType:
    """pyiqa with our networks."""
    if importlib.util.find_spec("pyiqa") is None:
        pytest.skip("pyiqa is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyiqa
        import pyiqa.archs.topiq_arch
        import pyiqa.losses
        import pyiqa.models
    from topiq_metrics.plugins.pyiqa import register

    register()
    return pyiqa


@pytest.fixture(scope="session")
def reference(pyiqa: ModuleType, parity: ModuleType) -> Callable[[str], torch.nn.Module]:
    """A function that gives pyiqa's own network of a metric, with random weights; built once."""
    built: dict[str, torch.nn.Module] = {}

    def build(name: str) -> torch.nn.Module:
        if name not in built:
            net = parity.random_reference(name, seed=0)
            with torch.no_grad():
                for key, tensor in net.state_dict().items():
                    if ".self_attn." in key and key.startswith("attn_blks."):
                        tensor.normal_()
            built[name] = net
        return built[name]

    return build


@pytest.fixture(scope="session")
def checkpoint(reference: Callable[[str], torch.nn.Module], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A function that gives a weights file in pyiqa's format, with the weights of `reference`."""
    folder = tmp_path_factory.mktemp("pyiqa")

    def save(name: str) -> Path:
        path = folder / f"{name}.pth"
        if not path.exists():
            torch.save({"params": reference(name).state_dict()}, path)
        return path

    yield save
    for path in folder.iterdir():
        path.unlink()


@pytest.fixture
def options(pyiqa: ModuleType) -> Callable[..., dict[str, Any]]:
    """A function that gives pyiqa's options for the network of a metric, without downloads, and changes to them."""

    def options(name: str, **changes: Any) -> dict[str, Any]:
        return {**pyiqa.default_model_configs.DEFAULT_CONFIGS[name]["metric_opts"], **OFFLINE, **changes}

    return options


@pytest.fixture
def fresh_process() -> Callable[..., dict[str, Any]]:
    """A function that runs code in a new interpreter; it gives what ``report`` held, the warnings and the output."""
    if importlib.util.find_spec("pyiqa") is None:
        pytest.skip("pyiqa is not installed")

    def run(code: str, **environment: str) -> dict[str, Any]:
        script = _FRAME.format(code=code)
        env = {name: value for name, value in os.environ.items() if not name.startswith("TOPIQ")}
        command = [sys.executable, "-c", script]
        process = subprocess.run(command, env=env | environment, capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stderr
        *printed, last = process.stdout.splitlines()
        return {**json.loads(last), "printed": printed, "stderr": process.stderr}

    return run


_FRAME = """
import json, socket, sys, warnings

def refuse(self, address, *rest):
    if self.family != getattr(socket, "AF_UNIX", None):
        raise OSError("the network is off")

socket.socket.connect = socket.socket.connect_ex = refuse
report = {{}}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    warnings.simplefilter("ignore", ResourceWarning)  # it comes when the garbage is collected
    import pyiqa
    from pyiqa.default_model_configs import DEFAULT_CONFIGS
    offline = dict(pretrained=False, backbone_pretrain=False, align_crop_face=False, device="cpu")
{code}
report["warnings"] = [str(w.message) for w in caught]
print(json.dumps(report))
"""
