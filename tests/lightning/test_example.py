"""The example of the docs, as a user runs it: one process or two, float32 or mixed."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pl = pytest.importorskip("pytorch_lightning", reason="needs pip install 'topiq-metrics[train]'")

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "lightning_restoration.py"


@pytest.fixture(scope="session")
def run():
    def run(folder, **options):
        folder.mkdir(parents=True, exist_ok=True)
        arguments = {"output": folder, **options}
        command = [sys.executable, str(EXAMPLE), *(f"--{name}={value}" for name, value in arguments.items())]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert result.returncode == 0, result.stderr[-3000:]
        checkpoint = torch.load(folder / "denoiser.ckpt", weights_only=True)
        return json.loads((folder / "scores.json").read_text()), checkpoint

    return run


@pytest.fixture(scope="session")
def alone(run, tmp_path_factory):
    """Scores of the untrained denoiser, which changes nothing, in one process in float32."""
    scores, _ = run(tmp_path_factory.mktemp("alone"), epochs=0)
    assert sorted(scores) == ["val/psnr", "val/topiq_fr", "val/topiq_nr"]
    return scores


@pytest.fixture(scope="session")
def trained(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return folder, *run(folder, epochs=1, devices=2)


@pytest.fixture(scope="session")
def example():
    spec = importlib.util.spec_from_file_location("lightning_restoration", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_scores_are_those_of_the_functions(alone, example):
    from topiq_metrics import topiq_full_reference, topiq_no_reference

    data = example.NoisyCrops()
    data.setup("validate")
    noisy, clean = data.validation.tensors
    assert len(noisy) == 5
    assert alone["val/topiq_nr"] == pytest.approx(topiq_no_reference(noisy).item(), abs=1e-6)
    expected = topiq_full_reference(noisy, clean).item()
    assert alone["val/topiq_fr"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("precision", ["32-true", pytest.param("bf16-mixed", marks=pytest.mark.slow)])
def test_two_uneven_processes(alone, run, tmp_path, precision):
    scores, _ = run(tmp_path, epochs=0, devices=2, precision=precision)
    assert scores == pytest.approx(alone, abs=1e-6)


@pytest.mark.slow
def test_mixed_precision_in_one_process(alone, run, tmp_path):
    scores, _ = run(tmp_path, epochs=0, precision="bf16-mixed")
    assert scores == pytest.approx(alone, abs=1e-6)


def test_training_changes_the_scores(alone, trained):
    _, scores, _ = trained
    assert all(abs(scores[name] - alone[name]) > 1e-6 for name in alone)


def test_checkpoint_holds_nothing_of_ours(trained, example, tmp_path):
    folder, _, checkpoint = trained
    assert set(checkpoint["state_dict"]) == {f"noise.{layer}.{kind}" for layer in (0, 2) for kind in ("weight", "bias")}
    assert (folder / "denoiser.ckpt").stat().st_size < 50_000


def test_checkpoint_is_as_small_as_without_our_metrics(example, tmp_path):
    sizes = []
    for names in ((), ("topiq_nr", "topiq_fr")):
        model = example.Denoiser()
        for name in {"topiq_nr", "topiq_fr"} - set(names):
            del model.scores[name]
        trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
        trainer.strategy.connect(model)
        path = tmp_path / f"{len(names)}.ckpt"
        trainer.save_checkpoint(path)
        sizes.append(path.stat().st_size)
    # The names of modules are in a state dict's metadata.
    assert sizes[1] - sizes[0] < 1000


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_networks_move_with_the_module(example):
    model = example.Denoiser().cuda()
    networks = [model.scores[name].net.network for name in ("topiq_nr", "topiq_fr")]
    assert {parameter.device.type for network in networks for parameter in network.parameters()} == {"cuda"}


def test_resuming_is_strict_and_works(trained, run, tmp_path):
    folder, _, before = trained
    _, after = run(tmp_path, epochs=2, resume=folder / "denoiser.ckpt")
    assert after["epoch"] > before["epoch"]
    key = "noise.2.weight"
    assert not torch.equal(after["state_dict"][key], before["state_dict"][key])


def test_the_networks_never_train(example):
    model = example.Denoiser().train()
    networks = [model.scores[name].net.network for name in ("topiq_nr", "topiq_fr")]
    assert not any(network.training for network in networks)
    known = {id(parameter) for parameter in model.parameters()}
    assert not any(id(parameter) in known for network in networks for parameter in network.parameters())
    assert not any(parameter.requires_grad for network in networks for parameter in network.parameters())
