"""A training run as a file: everything that decides the result, and nothing else."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from topiq_metrics.catalog import CARDS, ModelCard, get_card

# Lowest and highest value of every number in a recipe.
_RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),
    "split_seed": (0, 2**32 - 1),
    "validation_share": (0, 1),
    "test_share": (0, 1),
    "batch_size": (1, math.inf),
    "images_per_epoch": (0, math.inf),
    "crop": (32, math.inf),
    "final_crop": (32, math.inf),
    "final_crop_epochs": (0, math.inf),
    "rescale_probability": (0, 1),
    "rescale_smallest": (0.1, 1),
    "enlarge_probability": (0, 1),
    "enlarge_largest": (1, 8),
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
    "plcc": (0, math.inf),
    "pairwise_rank": (0, math.inf),
    "rank": (0, math.inf),
    "rank_margin": (0, math.inf),
    "emd": (0, math.inf),
    "sensitivity": (0, math.inf),
    "distillation": (0, math.inf),
    "queue": (1, math.inf),
    "max_score_difference": (0, math.inf),
    "min_distance_quantile": (0, 0.999),
    "bound": (1e-6, math.inf),
    "strengths": (1, math.inf),
    "images_per_batch": (1, math.inf),
    "confidence_scale": (1e-6, math.inf),
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "split": ("official", "random", "hash"),
    "precision": ("32-true", "bf16-mixed", "16-mixed"),
}
CSV = "csv"
"""The dataset of a recipe that is trained on a CSV file of images and scores."""
_FINE_TUNING = "fine-tuning"
# Of an aligned face.
_FACE_SIDE = 512
_KINDS = {"float", "int", "bool", "str", "bool | str", "tuple[str, ...]", "tuple[float, ...]"}


class RecipeError(ValueError):
    """A recipe that cannot be read; the message names the key."""


@dataclass(frozen=True)
class DataSettings:
    """What the network is shown; the comments in ``recipes/published.toml`` explain the keys."""

    dataset: str
    about: str
    partial: bool
    split: str
    split_seed: int
    subset: str
    validation_share: float
    test_share: float
    score_range: tuple[float, ...]
    lower_is_better: bool
    image_column: str
    score_column: str
    reference_column: str
    size: str
    batch_size: int
    images_per_epoch: int
    crop: int
    final_crop: int
    final_crop_epochs: int
    rescale_probability: float
    rescale_smallest: float
    enlarge_probability: float
    enlarge_largest: float
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
    precision: str


@dataclass(frozen=True)
class ModelSettings:
    weights: str
    pretrained_backbone: bool | str
    frozen: tuple[str, ...]


@dataclass(frozen=True)
class LossWeights:
    mse: float
    nin: float
    plcc: float
    pairwise_rank: float
    rank: float
    rank_margin: float
    emd: float
    sensitivity: float
    distillation: float


@dataclass(frozen=True)
class MatchingSettings:
    """Which images the sensitivity loss matches, and the noise that it adds (`topiq_metrics.training.qfm`)."""

    queue: int
    max_score_difference: float
    min_distance_quantile: float
    bound: float
    strengths: int


@dataclass(frozen=True)
class UnlabelledSettings:
    """Who scores which images that have no opinion scores."""

    teachers: tuple[str, ...]
    images: str
    images_per_batch: int
    confidence_scale: float


@dataclass(frozen=True)
class Recipe:
    """One training run; ``name`` is the metric in the catalogue whose network is trained."""

    name: str
    seed: int
    data: DataSettings
    optimizer: OptimizerSettings
    model: ModelSettings
    loss: LossWeights
    matching: MatchingSettings
    unlabelled: UnlabelledSettings

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        sections = {
            "data": DataSettings,
            "optimizer": OptimizerSettings,
            "model": ModelSettings,
            "loss": LossWeights,
            "matching": MatchingSettings,
            "unlabelled": UnlabelledSettings,
        }
        parsed = {
            key: _section(sections[key], value, key) if key in sections else value for key, value in values.items()
        }
        recipe: Recipe = _section(cls, parsed, "the recipe")
        _check_trainable(recipe)
        return recipe


Setting = str | Mapping[str, Mapping[str, Any]]
"""A change of a recipe: as ``"section.key=value"`` with TOML's values, what is none is taken as text; or as a table."""


def load_recipe(source: str | os.PathLike[str], settings: Sequence[Setting] = ()) -> Recipe:
    """Read a recipe that ships with the package, by name, or a TOML file, by path.

    With ``extends = "..."``, a shipped recipe or a path from the file's folder, it states only what differs.

    Args:
        source: which recipe.
        settings: changes, of which the later count.

    Raises:
        RecipeError: there is no such recipe, a key is missing, unknown, of the wrong type or out of range, or the
            metric is not one that is trained here.
    """
    return Recipe.from_dict(_changed(_resolved(source), settings))


def fine_tuning_recipe(
    name: str, weights: str | os.PathLike[str] = "default", settings: Sequence[Setting] = ()
) -> Recipe:
    """The recipe that goes on from the weights of the metric ``name`` on a CSV file of images and scores.

    Args:
        name: a metric of the catalogue.
        weights: ``"default"`` for its own weights, or the path of a file.
        settings: as for `load_recipe`.

    Raises:
        RecipeError: the metric is not one that is trained here, or a setting is wrong.
    """
    values = _merged(_resolved(_FINE_TUNING), {"name": name, "model": {"weights": os.fspath(weights)}})
    if name in CARDS and (side := _whole_side(CARDS[name])):
        values = _merged(values, {"data": {"crop": side}})
    return Recipe.from_dict(_changed(values, settings))


def _whole_side(card: ModelCard) -> int:
    """The side of the images that a network takes whole; 0 for one that takes crops."""
    kind, _, side = card.size.partition("=")
    if kind == "square":
        return int(side)
    return _FACE_SIDE if card.scores_faces else 0


def _resolved(source: str | os.PathLike[str], seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """A recipe's values over those of the one that it extends."""
    path = Path(source)
    shipped = _shipped()
    if path.suffix == ".toml":
        if not path.is_file():
            raise RecipeError(f"There is no recipe file {path}.")
        values = _parsed(_read(path), path)
    elif str(source) in shipped:
        values = _parsed(shipped[str(source)], source)
    else:
        whole = sorted(name for name, text in shipped.items() if "name" in tomllib.loads(text))
        raise RecipeError(f"There is no recipe {str(source)!r}: give a .toml file or one of {whole}.")
    base = values.pop("extends", None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise RecipeError(f"'extends' in {source} must be str, but got {base!r}.")
    above = str(path.parent / base) if base.endswith(".toml") else base
    if above in (*seen, str(source)):
        raise RecipeError(f"{source} extends {base}, which in the end extends itself.")
    return _merged(_resolved(above, (*seen, str(source))), values)


def _merged(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = {**old, **value} if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _changed(values: dict[str, Any], settings: Sequence[Setting]) -> dict[str, Any]:
    for setting in settings:
        if not isinstance(setting, str):
            values = _merged(values, setting)
            continue
        name, is_pair, text = setting.partition("=")
        section, _, key = name.strip().rpartition(".")
        if not (is_pair and key):
            raise RecipeError(f"A setting must be like 'optimizer.lr=1e-4', but got {setting!r}.")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text.strip()
        values = _merged(values, {section: {key: value}} if section else {key: value})
    return values


def _parsed(text: str, source: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{source} is not valid TOML: {error}") from error
    return values


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"The recipe file {path} cannot be read: {error}") from error


def _check_trainable(recipe: Recipe) -> None:
    try:
        card = get_card(recipe.name)
    except ValueError as error:
        raise RecipeError(f"'name' in the recipe: {error}") from error
    if not card.is_topiq:
        raise RecipeError(f"'name' in the recipe: {recipe.name} is not the metric of a network that is trained here.")
    loss = recipe.loss
    unlabelled = recipe.unlabelled
    taught = loss.distillation if unlabelled.teachers else 0.0
    if not any((loss.mse, loss.nin, loss.plcc, loss.pairwise_rank, loss.rank, loss.emd, taught)):
        raise RecipeError("Every weight in loss of what tells good from bad is 0: there is nothing to learn from.")
    if card.mode == "FR" and (loss.sensitivity or unlabelled.teachers):
        raise RecipeError(
            f"'sensitivity' in loss and 'teachers' in unlabelled are for no-reference metrics, but {recipe.name} "
            "compares with references."
        )
    if bool(unlabelled.teachers) != bool(unlabelled.images):
        raise RecipeError("'teachers' and 'images' in unlabelled go together: the ones score the others.")
    if unlabelled.teachers and not loss.distillation:
        raise RecipeError("There are 'teachers' in unlabelled, but 'distillation' in loss is 0.")
    if unlabelled.teachers and unlabelled.images_per_batch > recipe.data.batch_size:
        raise RecipeError("'images_per_batch' in unlabelled must not be more than 'batch_size' in data.")
    if loss.rank and not recipe.data.damaged_per_batch:
        raise RecipeError("'rank' in loss needs pairs of rising damage: set 'damaged_per_batch' in data.")
    if loss.emd and card.bins == 1:
        raise RecipeError(f"'emd' in loss needs a network that predicts ratings, but {recipe.name} predicts a score.")
    if len(recipe.data.score_range) not in {0, 2}:
        raise RecipeError(
            f"'score_range' in data must be two numbers or none, but got {list(recipe.data.score_range)}."
        )


def _shipped() -> dict[str, str]:
    folder = resources.files("topiq_metrics.training") / "recipes"
    files = [item for item in folder.iterdir() if item.name.endswith(".toml")]
    return {file.name.removesuffix(".toml"): file.read_text(encoding="utf-8") for file in files}


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
        if key in _CHOICES and value not in _CHOICES[key]:
            raise RecipeError(f"{key!r} in {where} must be one of {_CHOICES[key]}, but got {value!r}.")
    return kind(**typed)


def _typed(value: Any, kind: str, where: str) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "float" and is_number:
        return float(value)
    for element, types in (("str", str), ("float", (int, float))):
        is_list = kind == f"tuple[{element}, ...]" and isinstance(value, (list, tuple))
        if is_list and all(isinstance(v, types) for v in value):
            return tuple(value) if element == "str" else tuple(map(float, value))
    if kind not in _KINDS or type(value).__name__ in kind.split(" | "):
        return value
    raise RecipeError(f"{where} must be {kind}, but got {value!r}.")
