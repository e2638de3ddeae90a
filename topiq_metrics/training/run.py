"""Run a recipe from images to a weights file, a report and its pictures."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import platform
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torchvision
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor

import topiq_metrics
from topiq_metrics.catalog import get_card
from topiq_metrics.training.backbones import PRETRAINED_SOURCE
from topiq_metrics.training.data import QualityData
from topiq_metrics.training.module import QualityModule
from topiq_metrics.training.recipe import Recipe, RecipeError

_CLAIM = "recipe.json"


def train(
    recipe: Recipe, root: str | os.PathLike[str], output: str | os.PathLike[str], *, progress: bool = True
) -> Path:
    """Train, or go on where a run in ``output`` stopped; returns the weights file, at once if that is there already.

    The folder holds the resolved recipe, ``checkpoints/`` (one for each epoch, and the best by validation SRCC), the
    curves of each start as ``curves/N/metrics.csv``, and at the end ``report.md`` with its pictures and
    ``<name>.safetensors``.

    Args:
        recipe: what to train, and how.
        root: the dataset's folder, in its official layout.
        output: folder of the run.
        progress: show a bar on a terminal, and a line for each epoch on stderr.

    Raises:
        RecipeError: ``output`` holds a run of another recipe, or is no folder.
        DatasetError: ``root`` is not the recipe's dataset.
        KeyboardInterrupt: it was interrupted; the last whole epoch is kept.
    """
    folder = Path(output)
    _check_owner(folder, recipe)
    weights = folder / f"{recipe.name}.safetensors"
    if weights.exists():
        return weights
    data = QualityData(recipe, Path(root))
    _claim(folder, recipe)
    pl.seed_everything(recipe.seed, workers=True, verbose=False)
    module = QualityModule(recipe)
    checkpoints = folder / "checkpoints"
    callbacks: list[Callback] = [
        EarlyStopping("val/srcc", mode="max", patience=recipe.optimizer.patience),
        ModelCheckpoint(checkpoints, filename="best", monitor="val/srcc", mode="max", enable_version_counter=False),
        # After it, so as to hold its state. Not `save_last`, which skips the epochs that are not the best.
        ModelCheckpoint(checkpoints, filename="{epoch}", save_top_k=-1, enable_version_counter=False),
    ]
    if progress:
        callbacks.append(_EpochLines())
    last = _by_epoch(checkpoints)[-1:]
    with _quiet_lightning():
        trainer = pl.Trainer(
            default_root_dir=folder,
            max_epochs=recipe.optimizer.epochs,
            # The validation correlations are over one process's images.
            devices=1,
            # The size of the crops may change.
            reload_dataloaders_every_n_epochs=1,
            gradient_clip_val=recipe.optimizer.gradient_clip,
            callbacks=callbacks,
            # Written at each step: what a killed run has not written is missing from its report.
            logger=CSVLogger(folder, name="", version=_next_version(folder), flush_logs_every_n_steps=1),
            enable_progress_bar=progress and sys.stdout.isatty(),
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=10,
        )
        interrupt = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(module, datamodule=data, ckpt_path=str(last[0]) if last else None, weights_only=False)
        except SystemExit:
            # What Lightning makes of Ctrl-C, which it also turns off for good.
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, interrupt)
            raise KeyboardInterrupt from None
    module.load_state_dict(_final_state(checkpoints, recipe.optimizer.average_epochs))
    return _finish(folder, recipe, data, module)


class _EpochLines(Callback):
    """One line on stderr for each epoch, which a bar leaves nothing of."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        if trainer.is_global_zero:
            values = trainer.callback_metrics
            sys.stderr.write(
                f"epoch {trainer.current_epoch + 1} of at most {trainer.max_epochs}: loss "
                f"{values['train/loss_epoch']:.4f}, validation SRCC {values['val/srcc']:.4f}, "
                f"PLCC {values['val/plcc']:.4f}\n"
            )


@contextlib.contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep from the user what he can do nothing about, and advertisements."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Advice on worker counts and on batch sizes, which are the recipe's.
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", message=".*pin_memory.*")
            yield
    finally:
        logger.setLevel(level)


def _final_state(checkpoints: Path, count: int) -> dict[str, Tensor]:
    """The mean of the weights after each of the last ``count`` epochs; the best epoch's where there are fewer."""
    epochs = _by_epoch(checkpoints)[-count:]
    if count < 2 or len(epochs) < count:
        return _state(checkpoints / "best.ckpt")
    states = [_state(path) for path in epochs]
    return {
        key: torch.stack([state[key].double() for state in states]).mean(dim=0).to(value.dtype)
        for key, value in states[0].items()
    }


def _by_epoch(checkpoints: Path) -> list[Path]:
    return sorted(checkpoints.glob("epoch=*.ckpt"), key=lambda path: int(path.stem.partition("=")[2]))


def _state(checkpoint: Path) -> dict[str, Tensor]:
    # The checkpoint is this run's own.
    state: dict[str, Tensor] = torch.load(checkpoint, map_location="cpu", weights_only=False)["state_dict"]
    return state


def _finish(folder: Path, recipe: Recipe, data: QualityData, module: QualityModule) -> Path:
    from topiq_metrics.training.report import write_report
    from topiq_metrics.weights import save_network

    # The file holds float16, so that is what is tested.
    net = module.net.eval().half().float()
    results = write_report(folder, recipe, net, data)
    metric, facts = get_card(recipe.name), data.whole.facts
    card: dict[str, Any] = {
        "license": metric.weights.license if metric.weights is not None else "",
        "paper": metric.paper,
        "size": metric.size,
        "score_range": metric.score_range,
        "trained_on": {
            "dataset": facts.name,
            "citation": facts.citation,
            "license": facts.license,
            "images": {part: len(getattr(data.parts, part)) for part in ("training", "validation", "test")},
        },
        "backbone_initialised_from": PRETRAINED_SOURCE if recipe.model.pretrained_backbone else "random",
        "recipe": recipe.to_dict(),
        # JSON has no NaN, which is the correlation of a constant.
        "results": {key: value if math.isfinite(value) else None for key, value in results.items()},
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
        "pytorch-lightning": version("pytorch-lightning"),
        "python": platform.python_version(),
    }


def _check_owner(folder: Path, recipe: Recipe) -> None:
    if folder.exists() and not folder.is_dir():
        raise RecipeError(f"{folder} is to be the folder of the run, but is a file.")
    path = folder / _CLAIM
    if path.exists() and path.read_text(encoding="utf-8") != _as_json(recipe):
        raise RecipeError(f"{folder} holds a run of another recipe: give another folder, or that run's own recipe.")


def _claim(folder: Path, recipe: Recipe) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"{_CLAIM}.part"
    aside.write_text(_as_json(recipe), encoding="utf-8")
    aside.replace(folder / _CLAIM)


def _as_json(recipe: Recipe) -> str:
    return json.dumps(recipe.to_dict(), indent=2) + "\n"


def _next_version(folder: Path) -> str:
    """A folder of its own for the curves of each start, so that a resumed run keeps the earlier ones."""
    return f"curves/{len(list(folder.glob('curves/*')))}"
