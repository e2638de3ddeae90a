"""Two processes that share the batches do what one does."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

STEP = """
import json, sys
import torch
from topiq_metrics.models.attention import MultiHeadAttention
from topiq_metrics.training.module import QualityModule
from topiq_metrics.training.recipe import Recipe
from topiq_metrics.training.run import train

values, root, folder, devices = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
made = QualityModule.__init__

def without_dropout(self, recipe):
    made(self, recipe)
    for module in self.net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, MultiHeadAttention):
            module.dropout = 0.0

def keep_gradients(self, optimizer):
    if self.global_step == 0 and self.trainer.is_global_zero:
        gradients = {name: p.grad for name, p in self.net.named_parameters() if p.grad is not None}
        torch.save(gradients, folder + ".pt")

QualityModule.__init__ = without_dropout
QualityModule.on_before_optimizer_step = keep_gradients
train(Recipe.from_dict(values), root, folder, devices=devices, accelerator="cpu", progress=False)
print("done")
"""


@pytest.fixture(scope="module")
def runs(dataset, recipe_values, tmp_path_factory):
    """For one process and for two: the gradients of the first step, the curves, what was printed, the folder."""
    root = tmp_path_factory.mktemp("runs")
    script = root / "step.py"
    script.write_text(STEP)
    changes = {
        "loss__plcc": 1.0,
        "loss__pairwise_rank": 1.0,
        "optimizer__epochs": 1,
        "optimizer__gradient_clip": 0.0,
        "model__pretrained_backbone": True,
        "loss__sensitivity": 1.0,
        "loss__damage": 1.0,
        "matching__max_score_difference": 0.5,
        "unlabelled__teachers": ["topiq_nr-lite"],
        "unlabelled__images": str(dataset / "Images"),
        "unlabelled__confidence_scale": 1.0,
    }
    values = json.dumps(recipe_values(**changes, data__damaged_per_batch=2))
    found = []
    for devices in (1, 2):
        folder = root / str(devices)
        # It is not told that it runs in a test, or it would not be started again for the second process.
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "PL_"))}
        arguments = [sys.executable, str(script), values, str(dataset), str(folder), str(devices)]
        result = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=180, env=environment)
        assert result.returncode == 0, result.stderr
        with (folder / "curves" / "0" / "metrics.csv").open(newline="") as stream:
            curves = {key: float(value) for row in csv.DictReader(stream) for key, value in row.items() if value}
        found.append((torch.load(f"{folder}.pt"), curves, result.stdout, folder))
    return found


def test_the_gradients_are_the_same(runs):
    alone, together = (run[0] for run in runs)
    assert list(alone) == list(together)
    largest = max(gradient.abs().max().item() for gradient in alone.values())
    for name, expected in alone.items():
        assert torch.allclose(together[name], expected, rtol=1e-4, atol=1e-5 * largest), name
    assert max(gradient.abs().max() for gradient in alone.values()) > 1e-2


def test_the_losses_and_the_validation_are_of_all_images(runs):
    alone, together = (run[1] for run in runs)
    assert alone.keys() == together.keys()
    for key, value in alone.items():
        assert together[key] == pytest.approx(value, abs=2e-3), key


def test_one_of_them_finishes(runs):
    for _, _, printed, folder in runs:
        assert printed == "done\n"
        assert Path(folder / "topiq_nr-lite.safetensors").is_file()
        assert not list(folder.glob("curves/1"))
