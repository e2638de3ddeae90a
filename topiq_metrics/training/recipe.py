"""A training run as a file: everything that decides the result, and nothing else."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from pydantic import (
    AfterValidator,
    ConfigDict,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from topiq_metrics.catalog import CARDS, ModelCard, get_card
from topiq_metrics.catalog.cards import FACE_SIDE

CSV = "csv"
"""The dataset of a recipe that is trained on a CSV file of images and scores."""
_FINE_TUNING = "fine-tuning"


class RecipeError(ValueError):
    """A recipe that cannot be read; the message names the key."""


def _within(low: float, high: float = math.inf, *, or_0: bool = False) -> AfterValidator:
    """Refuse numbers outside of a range, and all that are not finite."""

    def check(value: float) -> float:
        if not (low <= value <= high and math.isfinite(value)) and not (or_0 and value == 0):
            raise ValueError(f"must be {'0 or ' if or_0 else ''}from {low:g} to {high:g}")
        return value

    return AfterValidator(check)


Seed = Annotated[StrictInt, _within(0, 2**32 - 1)]
Count = Annotated[StrictInt, _within(0)]
Positive = Annotated[StrictInt, _within(1)]
Side = Annotated[StrictInt, _within(32, or_0=True)]
Share = Annotated[StrictFloat, _within(0, 1)]
Amount = Annotated[StrictFloat, _within(0)]
Above0 = Annotated[StrictFloat, _within(1e-6)]


class _Settings:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class DataSettings(_Settings):
    """What the network is shown; the comments in ``recipes/published.toml`` explain the keys."""

    dataset: StrictStr
    about: StrictStr
    partial: StrictBool
    split: Literal["official", "random", "hash"]
    split_seed: Seed
    subset: StrictStr
    validation_share: Share
    test_share: Share
    score_range: tuple[StrictFloat, ...]
    lower_is_better: StrictBool
    image_column: StrictStr
    score_column: StrictStr
    reference_column: StrictStr
    size: StrictStr
    batch_size: Positive
    images_per_epoch: Count
    crop: Side
    final_crop: Side
    final_crop_epochs: Count
    rescale_probability: Share
    rescale_smallest: Annotated[StrictFloat, _within(0.1, 1)]
    enlarge_probability: Share
    enlarge_largest: Annotated[StrictFloat, _within(1, 8)]
    damaged_per_batch: Count
    workers: Count

    @property
    def sides(self) -> set[int]:
        """Those of the crops of all epochs; 0 is whole images."""
        return {self.crop, self.final_crop} if self.final_crop_epochs else {self.crop}


@dataclass(frozen=True)
class OptimizerSettings(_Settings):
    epochs: Positive
    patience: Count
    average_epochs: Positive
    start_share: Share
    lr: Amount
    backbone_lr: Amount
    weight_decay: Amount
    warmup_steps: Count
    gradient_clip: Amount
    precision: Literal["32-true", "bf16-mixed", "16-mixed"]


@dataclass(frozen=True)
class ModelSettings(_Settings):
    weights: StrictStr
    pretrained_backbone: StrictBool | StrictStr
    frozen: tuple[StrictStr, ...]


@dataclass(frozen=True)
class LossWeights(_Settings):
    mse: Amount
    nin: Amount
    plcc: Amount
    pairwise_rank: Amount
    rank: Amount
    rank_margin: Amount
    damage: Amount
    emd: Amount
    sensitivity: Amount
    distillation: Amount


@dataclass(frozen=True)
class MatchingSettings(_Settings):
    """Which images the sensitivity loss matches, and the noise that it adds (`topiq_metrics.training.qfm`)."""

    queue: Positive
    max_score_difference: Amount
    min_distance_quantile: Annotated[StrictFloat, _within(0, 0.999)]
    bound: Above0
    strengths: Positive


@dataclass(frozen=True)
class UnlabelledSettings(_Settings):
    """Who scores which images that have no opinion scores."""

    teachers: tuple[StrictStr, ...]
    images: StrictStr
    images_per_batch: Positive
    confidence_scale: Above0


@dataclass(frozen=True)
class Recipe(_Settings):
    """One training run; ``name`` is the metric in the catalogue whose network is trained."""

    name: StrictStr
    seed: Seed
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
        """Check values as a recipe's.

        Raises:
            RecipeError: a key is missing, unknown, of the wrong type or out of range, or the metric is not one that is
                trained here.
        """
        try:
            recipe = TypeAdapter(cls).validate_python(dict(values))
        except ValidationError as error:
            raise RecipeError(_in_words(error, values)) from None
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
    """The recipe that starts from the weights of the metric ``name`` on a CSV file of images and scores.

    Args:
        name: a metric of the catalogue.
        weights: ``"default"`` for its own weights, or the path of a file.
        settings: as for `load_recipe`.

    Raises:
        RecipeError: the metric is not one that is trained here, a setting is wrong, or there is nothing to start from.
    """
    values = _merged(_resolved(_FINE_TUNING), {"name": name, "model": {"weights": os.fspath(weights)}})
    if name in CARDS and (side := _whole_side(CARDS[name])):
        values = _merged(values, {"data": {"crop": side}})
    recipe = Recipe.from_dict(_changed(values, settings))
    if not recipe.model.weights and recipe.model.pretrained_backbone is False:
        raise RecipeError(
            "Without 'weights' in model, fine-tuning would start from random numbers: set 'pretrained_backbone' in "
            "model, to start from ImageNet weights."
        )
    return recipe


def _whole_side(card: ModelCard) -> int:
    """The side of the images that a network takes whole; 0 for one that takes crops."""
    kind, _, side = card.size.partition("=")
    if kind == "square":
        return int(side)
    return FACE_SIDE if card.scores_faces else 0


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
    if not any((loss.mse, loss.nin, loss.plcc, loss.pairwise_rank, loss.rank, loss.damage, loss.emd, taught)):
        raise RecipeError("Every weight in loss of what tells good from bad is 0: there is nothing to learn from.")
    if card.mode == "FR" and (loss.sensitivity or loss.damage or unlabelled.teachers):
        raise RecipeError(
            "'sensitivity' and 'damage' in loss and 'teachers' in unlabelled are for no-reference metrics, but "
            f"{recipe.name} compares with references."
        )
    if bool(unlabelled.teachers) != bool(unlabelled.images):
        raise RecipeError("'teachers' and 'images' in unlabelled go together: the ones score the others.")
    if unlabelled.teachers and not loss.distillation:
        raise RecipeError("There are 'teachers' in unlabelled, but 'distillation' in loss is 0.")
    if unlabelled.teachers and unlabelled.images_per_batch > recipe.data.batch_size:
        raise RecipeError("'images_per_batch' in unlabelled must not be more than 'batch_size' in data.")
    if recipe.optimizer.start_share and not recipe.model.weights:
        raise RecipeError(
            "'start_share' in optimizer is of the weights to start from, but 'weights' in model is empty: set it to 0."
        )
    for key in ("rank", "damage"):
        if getattr(loss, key) and not recipe.data.damaged_per_batch:
            raise RecipeError(f"{key!r} in loss needs pairs of rising damage: set 'damaged_per_batch' in data.")
    if loss.emd and card.bins == 1:
        raise RecipeError(f"'emd' in loss needs a network that predicts ratings, but {recipe.name} predicts a score.")
    _check_whole_images(recipe)
    if len(recipe.data.score_range) not in {0, 2}:
        raise RecipeError(
            f"'score_range' in data must be two numbers or none, but got {list(recipe.data.score_range)}."
        )


def _check_whole_images(recipe: Recipe) -> None:
    sides = recipe.data.sides
    for key in ("rescale_probability", "enlarge_probability"):
        if sides == {0} and getattr(recipe.data, key):
            raise RecipeError(f"{key!r} in data is of crops, but with a 'crop' of 0 there are whole images only.")
    if 0 in sides and recipe.unlabelled.teachers:
        raise RecipeError(
            "'teachers' in unlabelled score crops of one size, but a 'crop' or 'final_crop' of 0 in data is whole "
            "images."
        )


def _shipped() -> dict[str, str]:
    folder = resources.files("topiq_metrics.training") / "recipes"
    files = [item for item in folder.iterdir() if item.name.endswith(".toml")]
    return {file.name.removesuffix(".toml"): file.read_text(encoding="utf-8") for file in files}


def _in_words(error: ValidationError, values: Mapping[str, Any]) -> str:
    """The first thing that is wrong: in a section before the recipe as a whole, a name before a value."""
    kinds = {"unexpected_keyword_argument": 0, "missing": 1}
    found = min(error.errors(), key=lambda each: (-len(each["loc"][:2]), kinds.get(each["type"], 2)))
    *section, key = map(str, found["loc"][:2])
    where = section[0] if section else "the recipe"
    known = _keys(_keys(Recipe)[where] if section else Recipe)
    if found["type"] == "unexpected_keyword_argument":
        return f"Unknown key {key!r} in {where}; known are {tuple(known)}."
    if found["type"] == "missing":
        return f"{where} lacks the key {key!r}."
    value = (values[where] if section else values)[key]
    if found["type"] == "dataclass_type":
        return f"{key} must be a table, but got {value!r}."
    if found["type"] == "value_error":
        return f"{key!r} in {where} {found['ctx']['error']}, but got {value!r}."
    if found["type"] == "literal_error":
        return f"{key!r} in {where} must be one of {get_args(known[key])}, but got {value!r}."
    return f"{key!r} in {where} must be {_kind(known[key])}, but got {value!r}."


def _keys(settings: type) -> dict[str, Any]:
    """The types of a dataclass's fields."""
    hints = get_type_hints(settings, include_extras=True)
    return {field.name: hints[field.name] for field in fields(settings)}


def _kind(annotation: Any) -> str:
    """What a type is called, without what is asked of its values."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin is tuple:
        return f"tuple[{_kind(arguments[0])}, ...]"
    return " | ".join(map(_kind, arguments)) if arguments else str(annotation.__name__)
