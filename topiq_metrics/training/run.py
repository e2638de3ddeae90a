"""Run a recipe from images to a weights file, a report and its pictures."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import platform
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path, PureWindowsPath
from typing import Any

import pytorch_lightning as pl
import torch
import torchvision
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger
from torch import Tensor

from topiq_metrics._version import versions
from topiq_metrics.catalog import get_card
from topiq_metrics.datasets import DatasetError
from topiq_metrics.models.network import float32_by_default
from topiq_metrics.training.backbones import PRETRAINED_SOURCE
from topiq_metrics.training.claim import check_data, check_owner, claim, describe_data, describe_parts
from topiq_metrics.training.crops import draw_seed
from topiq_metrics.training.damage import JUDGE
from topiq_metrics.training.data import QualityData
from topiq_metrics.training.gathering import tell
from topiq_metrics.training.module import QualityModule
from topiq_metrics.training.recipe import Recipe, RecipeError
from topiq_metrics.training.teachers import describe_teacher
from topiq_metrics.weights import read_metadata, save_network
from topiq_metrics.weights.hashes import sha256_of
from topiq_metrics.weights.load import locate

_HISTORY = ("trained_on", "fine_tuned_from", "taught_by", "damage_judged_by")
"""What a weights file says of the weights that it started from."""


@float32_by_default()
def train(
    recipe: Recipe,
    root: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    devices: int = 1,
    accelerator: str = "auto",
    progress: bool = True,
) -> Path:
    """Train, or resume the interrupted run in ``output``; returns the weights file, at once if that is there already.

    The folder holds the resolved recipe, what identifies the data (``data.json``), ``checkpoints/`` (the last epochs
    that are needed, and the best by validation SRCC), the curves of each start as ``curves/N/metrics.csv`` and, if
    ``tensorboard`` is installed, ``tensorboard/``, and at the end ``report.md`` with its pictures and
    ``<name>.safetensors``.

    What is drawn at random is decided by the recipe's seed, the epoch and the image: a run that was killed and resumed
    ends where it would have ended, and several processes share the batches of one.

    Args:
        recipe: what to train, and how.
        root: the dataset's folder, in its official layout; for the dataset ``"csv"``, the CSV file.
        output: folder of the run.
        devices: GPUs or, on the CPU, processes, which share each batch. Those beside the first run the calling script
            again, and end here.
        accelerator: ``"cpu"``, ``"gpu"``, or ``"auto"`` for a GPU where there is one.
        progress: show a bar on a terminal, and a line for each epoch on stderr.

    Raises:
        RecipeError: ``output`` holds a run of another recipe or on other data, or is no folder; or the recipe does not
            suit the data or the machine.
        DatasetError: ``root`` is not the recipe's dataset.
        WeightsError: the weights to start from cannot be found or loaded.
        DivergedError: the network's scores are no longer finite.
        KeyboardInterrupt: it was interrupted; the last whole epoch is kept.
    """
    folder = Path(output)
    check_owner(folder, recipe)
    weights = folder / f"{recipe.name}.safetensors"
    checkpoints = folder / "checkpoints"
    last = _by_epoch(checkpoints)[-1:]
    is_done = weights.exists()
    try:
        data = QualityData(recipe, Path(root))
    except DatasetError:
        # What is done does not need its images any more.
        if not is_done:
            raise
    else:
        about = describe_data(recipe, data)
        # Else nothing is lost.
        if is_done or last:
            check_data(folder, about)
    if is_done:
        if progress:
            tell(f"The run in {folder} is done: nothing is trained.")
        return weights
    _check_shared(recipe, data, devices)
    pl.seed_everything(recipe.seed, workers=True, verbose=False)
    module = QualityModule(recipe)
    start = {f"net.{key}": value.clone() for key, value in module.net.state_dict().items()}
    trainer = _trainer(recipe, folder, devices, accelerator, progress=progress)
    if trainer.is_global_zero:
        claim(folder, recipe, about)
    if not (last and _has_stopped(last[0], recipe.optimizer.patience)):
        _fit(trainer, module, data, last[0] if last else None)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if not trainer.is_global_zero:
        sys.exit()
    # Lightning keeps the one that it resumed from.
    for path in _by_epoch(checkpoints)[: -recipe.optimizer.average_epochs]:
        path.unlink()
    learned = _final_state(checkpoints, recipe.optimizer.average_epochs)
    module.load_state_dict(_between(start, learned, recipe.optimizer.start_share))
    return _finish(folder, recipe, data, module.to(trainer.strategy.root_device))


def _check_shared(recipe: Recipe, data: QualityData, devices: int) -> None:
    """Refuse what the processes cannot share."""
    shared = {f"{key!r} in data": getattr(recipe.data, key) for key in ("batch_size", "damaged_per_batch")}
    if recipe.unlabelled.teachers:
        shared["'images_per_batch' in unlabelled"] = recipe.unlabelled.images_per_batch
    for key, count in shared.items():
        if count % devices:
            raise RecipeError(f"{key} is shared by all processes: it must be a multiple of {devices}.")
    for part in ("training", "validation"):
        if (count := len(getattr(data.splits, part))) < devices:
            raise RecipeError(f"The {part} part is shared by all {devices} processes, but has {count} images only.")


def _trainer(recipe: Recipe, folder: Path, devices: int, accelerator: str, *, progress: bool) -> pl.Trainer:
    settings = recipe.optimizer
    checkpoints = folder / "checkpoints"
    callbacks: list[Callback] = [
        _Draws(recipe.seed),
        EarlyStopping("val/srcc", mode="max", patience=settings.patience),
        _Checkpoint(checkpoints, filename="best", monitor="val/srcc", mode="max", enable_version_counter=False),
        # After it, so as to hold its state. Not `save_last`, which skips the epochs that are not the best.
        _Checkpoint(
            checkpoints,
            filename="{epoch}",
            monitor="epoch",
            mode="max",
            save_top_k=settings.average_epochs,
            enable_version_counter=False,
        ),
    ]
    if progress:
        callbacks.append(_EpochLines())
    try:
        with _quiet_lightning():
            trainer = pl.Trainer(
                default_root_dir=folder,
                max_epochs=settings.epochs,
                accelerator=accelerator,
                devices=devices,
                strategy="ddp" if devices > 1 else "auto",
                precision=settings.precision,
                # The data module deals the images to the processes itself.
                use_distributed_sampler=False,
                # The size of the crops may change, and what is drawn does.
                reload_dataloaders_every_n_epochs=1,
                gradient_clip_val=settings.gradient_clip or None,
                callbacks=callbacks,
                logger=_loggers(folder, progress=progress),
                enable_progress_bar=progress and sys.stdout.isatty(),
                enable_model_summary=False,
                num_sanity_val_steps=0,
                log_every_n_steps=10,
            )
    except (MisconfigurationException, ValueError) as error:
        raise RecipeError(f"This machine cannot train with these settings: {error}") from error
    # Lightning would quietly take another precision.
    if settings.precision == "16-mixed" and trainer.strategy.root_device.type == "cpu":
        raise RecipeError(
            "This machine cannot train in float16 ('16-mixed'), which needs a GPU: take bfloat16 ('bf16-mixed')."
        )
    return trainer


def _loggers(folder: Path, *, progress: bool) -> list[Logger]:
    # Written at each step: what a killed run has not written is missing from its report.
    curves: list[Logger] = [CSVLogger(folder, name="", version=_next_version(folder), flush_logs_every_n_steps=1)]
    if find_spec("tensorboard") is not None:
        curves.append(TensorBoardLogger(folder, name="tensorboard", version=""))
    elif progress:
        tell("The curves are not written for TensorBoard, which is not installed: pip install tensorboard")
    return curves


def _fit(trainer: pl.Trainer, module: QualityModule, data: QualityData, checkpoint: Path | None) -> None:
    interrupt = signal.getsignal(signal.SIGINT)
    with _quiet_lightning():
        try:
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=False)
        except SystemExit:
            # What Lightning makes of Ctrl-C, which it also turns off for good.
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, interrupt)
            raise KeyboardInterrupt from None


class _Checkpoint(ModelCheckpoint):
    """Knows its files again in a folder that was moved; Lightning would take the next epoch for the best one."""

    @property
    def state_key(self) -> str:
        # Checkpoints have it under the name of Lightning's own class.
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        def moved(path: str) -> str:
            return str(Path(self.dirpath or "") / PureWindowsPath(path).name) if path else path

        paths = {key: moved(state_dict[key]) for key in ("best_model_path", "kth_best_model_path", "last_model_path")}
        models = {moved(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(state_dict | paths | {"best_k_models": models, "dirpath": self.dirpath})


class _Draws(Callback):
    """Dropout is a function of seed, epoch and process, too."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        torch.manual_seed(draw_seed("dropout", self.seed, trainer.current_epoch, trainer.global_rank))


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
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Advice on worker counts and on batch sizes, which are the recipe's.
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", message=".*pin_memory.*")
            warnings.filterwarnings("ignore", message="Grad strides do not match")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _has_stopped(checkpoint: Path, patience: int) -> bool:
    """Whether the run was killed after its early stopping."""
    states = torch.load(checkpoint, map_location="cpu", weights_only=False, mmap=True)["callbacks"].values()
    return any(state.get("wait_count", 0) >= max(patience, 1) for state in states)


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


def _between(start: dict[str, Tensor], learned: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """The weighted mean of the weights before and after training (Wortsman et al., CVPR 2022)."""
    if not share:
        return learned
    moved = {key: value for key, value in start.items() if value.is_floating_point()}
    return learned | {
        key: (share * value.double() + (1 - share) * learned[key].double()).to(value.dtype)
        for key, value in moved.items()
    }


def _by_epoch(checkpoints: Path) -> list[Path]:
    return sorted(checkpoints.glob("epoch=*.ckpt"), key=lambda path: int(path.stem.partition("=")[2]))


def _state(checkpoint: Path) -> dict[str, Tensor]:
    # The checkpoint is this run's own.
    state: dict[str, Tensor] = torch.load(checkpoint, map_location="cpu", weights_only=False)["state_dict"]
    return state


def _finish(folder: Path, recipe: Recipe, data: QualityData, module: QualityModule) -> Path:
    from topiq_metrics.training.report import write_report

    # The file holds float16, so that is what is tested.
    net = module.net.eval().half().float()
    results = write_report(folder, recipe, net, data)
    metric, facts, scale = get_card(recipe.name), data.whole.facts, data.scale
    card: dict[str, Any] = {
        **_origin(recipe),
        "paper": metric.paper,
        "size": metric.size,
        "score_range": scale.target,
        "higher_is_better": metric.higher_is_better,
        "trained_on": {
            "dataset": facts.name,
            "citation": facts.citation or recipe.data.about,
            "license": facts.license,
            **describe_parts(data),
            "scores": {"low": scale.low, "high": scale.high, "higher_is_better": not scale.lower_is_better},
        },
        "recipe": _without_folders(recipe),
        # JSON has no NaN, which is the correlation of a constant.
        "results": {key: value if math.isfinite(value) else None for key, value in results.items()},
        "versions": {
            **versions("torch", "torchvision", "pytorch-lightning"),
            # Their own tell the build, too.
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "python": platform.python_version(),
        },
    }
    if recipe.loss.damage:
        card["damage_judged_by"] = describe_teacher(JUDGE, recipe)
    if recipe.unlabelled.teachers:
        card |= _taught_by(recipe, data, str(card["license"]))
    path = folder / f"{recipe.name}.safetensors"
    save_network(net, path, card=card)
    return path


def _without_folders(recipe: Recipe) -> dict[str, Any]:
    """A recipe's values with the names of files alone: weights are given to others, whom folders do not concern."""
    values = recipe.to_dict()
    for section, key in (("model", "weights"), ("model", "pretrained_backbone"), ("unlabelled", "images")):
        if isinstance(path := values[section][key], str):
            values[section][key] = _file_name(path)
    values["unlabelled"]["teachers"] = tuple(map(_file_name, values["unlabelled"]["teachers"]))
    return values


def _file_name(path: str) -> str:
    return Path(path).name or path


def _origin(recipe: Recipe) -> dict[str, Any]:
    """Where the weights started, and the terms that follow from it."""
    metric, settings = get_card(recipe.name), recipe.model
    published = metric.weights.license if metric.weights is not None else ""
    if settings.weights:
        path = locate(recipe.name, settings.weights)
        about = read_metadata(path)
        origin: dict[str, Any] = {"name": about.get("name", recipe.name), "file": path.name, "sha256": sha256_of(path)}
        origin |= {key: about[key] for key in _HISTORY if key in about}
        default = published if settings.weights == "default" else f"that of {path.name}, which it started from"
        return {"license": about.get("license") or default, "fine_tuned_from": origin}
    source = settings.pretrained_backbone
    # That of the bundled weights is ours to give; of others trained here, it is their trainer's.
    bundled = metric.weights is not None and metric.weights.bundled
    return {
        "license": published if bundled else "not stated; the terms of the data and of the backbone's weights apply",
        "backbone_initialised_from": PRETRAINED_SOURCE if source is True else _file_name(source or "random"),
    }


def _taught_by(recipe: Recipe, data: QualityData, license_: str) -> dict[str, Any]:
    """Who scored which images without opinion scores, and the terms that follow from it."""
    teachers = [describe_teacher(teacher, recipe) for teacher in recipe.unlabelled.teachers]
    terms = sorted({teacher["license"] for teacher in teachers} - {license_})
    return {
        "license": "; ".join([license_, *(f"of a teacher: {term}" for term in terms)]),
        "taught_by": teachers,
        "unlabelled_images": len(data.unlabelled),
    }


def _next_version(folder: Path) -> str:
    """A folder of its own for the curves of each start, so that a resumed run keeps the earlier ones."""
    return f"curves/{len(list(folder.glob('curves/*')))}"
