"""Run a recipe from images to a weights file, a report and its pictures."""

from __future__ import annotations

import json
import os
import platform
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torchvision
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger

import topiq_metrics
from topiq_metrics.training.data import QualityData
from topiq_metrics.training.module import QualityModule
from topiq_metrics.training.recipe import Recipe, RecipeError


def train(
    recipe: Recipe, root: str | os.PathLike[str], output: str | os.PathLike[str], *, progress: bool = True
) -> Path:
    """Train, or go on where a run in ``output`` stopped; returns the weights file.

    The folder holds the resolved recipe, ``checkpoints/`` (one an epoch, and the best by validation SRCC), the curves
    as ``metrics.csv``, and at the end ``report.md`` with its pictures and ``<name>.safetensors``.

    Raises:
        RecipeError: ``output`` holds a run of another recipe.
        DatasetError: ``root`` is not the recipe's dataset.
    """
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, recipe)
    pl.seed_everything(recipe.seed, workers=True, verbose=False)
    data = QualityData(recipe, Path(root))
    module = QualityModule(recipe)
    checkpoints = folder / "checkpoints"
    best = ModelCheckpoint(
        checkpoints, filename="best", monitor="val/srcc", mode="max", save_last=True, enable_version_counter=False
    )
    callbacks: list[Callback] = [
        best,
        EarlyStopping("val/srcc", mode="max", patience=recipe.optimizer.patience),
    ]
    trainer = pl.Trainer(
        default_root_dir=folder,
        max_epochs=recipe.optimizer.epochs,
        gradient_clip_val=recipe.optimizer.gradient_clip,
        callbacks=callbacks,
        logger=CSVLogger(folder, name="", version=_next_version(folder)),
        enable_progress_bar=progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
    )
    last = checkpoints / "last.ckpt"
    with warnings.catch_warnings():
        # Advice on worker counts and on batch sizes, which are the recipe's.
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", message=".*pin_memory.*")
        trainer.fit(module, datamodule=data, ckpt_path=str(last) if last.exists() else None, weights_only=False)
    return _finish(folder, recipe, data, module, Path(best.best_model_path))


def _finish(folder: Path, recipe: Recipe, data: QualityData, module: QualityModule, checkpoint: Path) -> Path:
    from topiq_metrics.training.report import write_report
    from topiq_metrics.weights import save_network

    # The checkpoint is this run's own.
    state = torch.load(checkpoint, map_location="cpu", weights_only=False)["state_dict"]
    module.load_state_dict(state)
    net = module.net.eval()
    results = write_report(folder, recipe, net, data)
    card: dict[str, Any] = {
        "trained_on": recipe.data.dataset,
        "images": {part: len(getattr(data.parts, part)) for part in ("training", "validation", "test")},
        "recipe": recipe.to_dict(),
        "results": results,
        "versions": versions(),
    }
    path = folder / f"{recipe.name}.safetensors"
    save_network(net, path, card=card)
    return path


def versions() -> dict[str, str]:
    return {
        "topiq-metrics": topiq_metrics.__version__,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "pytorch-lightning": pl.__version__,
        "python": platform.python_version(),
    }


def _claim(folder: Path, recipe: Recipe) -> None:
    path = folder / "recipe.json"
    text = json.dumps(recipe.to_dict(), indent=2) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise RecipeError(f"{folder} holds a run of another recipe: give another folder, or that run's own recipe.")
    path.write_text(text, encoding="utf-8")


def _next_version(folder: Path) -> str:
    """A folder of its own for the curves of each start, so that a resumed run keeps the earlier ones."""
    return f"curves/{len(list(folder.glob('curves/*')))}"
