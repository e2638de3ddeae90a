"""A training run as a file: everything that decides the result, and nothing else."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from topiq_metrics.catalog import get_card

# Lowest and highest value of every number in a recipe.
_RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),
    "validation_share": (0, 1),
    "test_share": (0, 1),
    "batch_size": (1, math.inf),
    "crop": (32, math.inf),
    "final_crop": (32, math.inf),
    "final_crop_epochs": (0, math.inf),
    "rescale_probability": (0, 1),
    "rescale_smallest": (0.1, 1),
    "damaged_per_batch": (0, math.inf),
    "workers": (0, math.inf),
    "epochs": (1, math.inf),
    "patience": (0, math.inf),
    "average_epochs": (1, math.inf),
    "lr": (0, math.inf),
    "backbone_lr": (0, math.inf),
    "weight_decay": (0, math.inf),
    "warmup_steps": (0, math.inf),
    "gradient_clip": (0, math.inf),
    "mse": (0, math.inf),
    "nin": (0, math.inf),
    "rank": (0, math.inf),
    "rank_margin": (0, math.inf),
}


class RecipeError(ValueError):
    """A recipe that cannot be read; the message names the key."""


@dataclass(frozen=True)
class DataSettings:
    dataset: str
    split: str
    validation_share: float
    test_share: float
    batch_size: int
    crop: int
    final_crop: int
    final_crop_epochs: int
    rescale_probability: float
    rescale_smallest: float
    damaged_per_batch: int
    workers: int


@dataclass(frozen=True)
class OptimizerSettings:
    epochs: int
    patience: int
    average_epochs: int
    lr: float
    backbone_lr: float
    weight_decay: float
    warmup_steps: int
    gradient_clip: float


@dataclass(frozen=True)
class ModelSettings:
    pretrained_backbone: bool
    frozen: tuple[str, ...]


@dataclass(frozen=True)
class LossWeights:
    mse: float
    nin: float
    rank: float
    rank_margin: float


@dataclass(frozen=True)
class Recipe:
    """One training run; ``name`` is the metric in the catalogue whose network is trained."""

    name: str
    seed: int
    data: DataSettings
    optimizer: OptimizerSettings
    model: ModelSettings
    loss: LossWeights

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        sections = {
            "data": DataSettings,
            "optimizer": OptimizerSettings,
            "model": ModelSettings,
            "loss": LossWeights,
        }
        parsed = {
            key: _section(sections[key], value, key) if key in sections else value for key, value in values.items()
        }
        recipe: Recipe = _section(cls, parsed, "the recipe")
        _check_trainable(recipe.name)
        return recipe


def load_recipe(source: str | os.PathLike[str]) -> Recipe:
    """Read a recipe that ships with the package, by name, or a TOML file, by path.

    Raises:
        RecipeError: there is no such recipe, a key is missing, unknown, of the wrong type or out of range, or the
            metric is not one that is trained here.
    """
    shipped = {name.removesuffix(".toml"): path for name, path in _shipped().items()}
    path = Path(source)
    if path.suffix == ".toml":
        if not path.is_file():
            raise RecipeError(f"There is no recipe file {path}.")
        text = _read(path)
    elif str(source) in shipped:
        text = shipped[str(source)]
    else:
        raise RecipeError(f"There is no recipe {str(source)!r}: give a .toml file or one of {sorted(shipped)}.")
    try:
        return Recipe.from_dict(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{source} is not valid TOML: {error}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"The recipe file {path} cannot be read: {error}") from error


def _check_trainable(name: str) -> None:
    try:
        card = get_card(name)
    except ValueError as error:
        raise RecipeError(f"'name' in the recipe: {error}") from error
    if card.architecture != "cfanet" or card.mode != "NR" or card.network.get("bins", 1) != 1:
        raise RecipeError(f"'name' in the recipe: {name} is not a no-reference metric that predicts a single score.")


def _shipped() -> dict[str, str]:
    folder = resources.files("topiq_metrics.training") / "recipes"
    return {item.name: item.read_text(encoding="utf-8") for item in folder.iterdir() if item.name.endswith(".toml")}


def _section(kind: Any, values: Any, where: str) -> Any:
    if not isinstance(values, Mapping):
        raise RecipeError(f"{where} must be a table, but got {values!r}.")
    known = {field.name: field.type for field in fields(kind)}
    for key in values:
        if key not in known:
            raise RecipeError(f"Unknown key {key!r} in {where}; known are {tuple(known)}.")
    missing = [key for key in known if key not in values]
    if missing:
        raise RecipeError(f"{where} lacks the key {missing[0]!r}.")
    typed = {key: _typed(value, str(known[key]), f"{key!r} in {where}") for key, value in values.items()}
    for key, value in typed.items():
        low, high = _RANGES.get(key, (-math.inf, math.inf))
        if key in _RANGES and not (low <= value <= high and math.isfinite(value)):
            raise RecipeError(f"{key!r} in {where} must be from {low:g} to {high:g}, but got {value!r}.")
    return kind(**typed)


def _typed(value: Any, kind: str, where: str) -> Any:
    if kind == "float" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if kind == "tuple[str, ...]" and isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value):
        return tuple(value)
    if kind not in {"float", "int", "bool", "str", "tuple[str, ...]"} or type(value).__name__ == kind:
        return value
    raise RecipeError(f"{where} must be {kind}, but got {value!r}.")
