"""Importing the package costs nothing, and what it offers is what it says."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import topiq_metrics

_LIST_MODULES = """
import json, sys
before = set(sys.modules)
{code}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded_by(code):
    """Modules that a fresh interpreter loads for ``code``."""
    script = _LIST_MODULES.format(code=code)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300)
    return set(json.loads(run.stdout))


def foreign(modules):
    """Top-level names that are neither ours nor the standard library's."""
    return {name.partition(".")[0] for name in modules} - sys.stdlib_module_names - {"topiq_metrics"}


@pytest.mark.parametrize(
    "code",
    [
        "import topiq_metrics",
        "import topiq_metrics; topiq_metrics.get_card('topiq_nr'), topiq_metrics.ModelCard, topiq_metrics.__version__",
        "import topiq_metrics; topiq_metrics.list_metrics(), dir(topiq_metrics)",
        "import topiq_metrics.scoring.children",
    ],
)
def test_importing_loads_the_standard_library_only(code):
    modules = loaded_by(code)
    assert "topiq_metrics" in modules
    assert foreign(modules) == set()


def test_the_guard_can_fail():
    assert "numpy" in foreign(loaded_by("import topiq_metrics, numpy"))


def test_scoring_needs_no_torchmetrics():
    heavy = {"torchmetrics", "matplotlib", "scipy", "transformers", "lightning", "pytorch_lightning", "pyiqa", "ray"}
    assert not heavy & foreign(loaded_by("import topiq_metrics.scoring"))


def test_serving_is_loaded_when_asked_for():
    servers = {"starlette", "uvicorn", "python_multipart"}
    commands = foreign(loaded_by("import topiq_metrics.cli.app, topiq_metrics.scoring.engine, topiq_metrics.comparing"))
    assert not servers & commands
    assert servers <= foreign(loaded_by("import topiq_metrics.serving.run"))


def test_functions_need_no_torchmetrics():
    modules = foreign(loaded_by("from topiq_metrics import topiq_no_reference"))
    assert "torch" in modules
    assert not {"torchmetrics", "matplotlib", "scipy", "transformers", "pyiqa", "timm"} & modules


@pytest.mark.slow
def test_a_metric_needs_little_beyond_torchmetrics():
    metric = loaded_by("import torch, torchmetrics\nfrom topiq_metrics import TOPIQNoReference\nTOPIQNoReference()")
    theirs = loaded_by("import torch, torchmetrics")
    assert "torchmetrics" in theirs
    assert foreign(metric) - foreign(theirs) <= {"filelock", "huggingface_hub", "safetensors"}


def test_public_names_are_those_that_show():
    assert sorted(topiq_metrics.__all__) == dir(topiq_metrics)
    assert len(set(topiq_metrics.__all__)) == len(topiq_metrics.__all__)


@pytest.mark.parametrize("name", topiq_metrics.__all__)
def test_every_public_name_resolves(name):
    value = getattr(topiq_metrics, name)
    if name != "__version__":
        assert value.__name__ == name
        assert value.__doc__


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="module 'topiq_metrics' has no attribute 'nothing'"):
        _ = topiq_metrics.nothing


def test_star_import():
    names = {}
    exec("from topiq_metrics import *", names)
    assert set(topiq_metrics.__all__) <= set(names)
