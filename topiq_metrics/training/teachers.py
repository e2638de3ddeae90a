"""Networks that score images without opinion scores, for another to learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from topiq_metrics.catalog import CARDS, ModelCard, get_card
from topiq_metrics.errors import WeightsError, suggest
from topiq_metrics.images import SizePolicy
from topiq_metrics.models.folding import fold
from topiq_metrics.models.network import QualityNetwork
from topiq_metrics.training.recipe import Recipe, RecipeError
from topiq_metrics.weights import load_network, read_metadata
from topiq_metrics.weights.hashes import sha256_of
from topiq_metrics.weights.load import locate


class TeacherError(RecipeError):
    """A teacher that cannot be had, or whose scores are not those that are to be learned."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"'teachers' in unlabelled: {reason}")


def load_teacher(teacher: str, recipe: Recipe) -> QualityNetwork:
    """The network of a weights file, or of the metric of this name; as a user's it is frozen, and fast.

    Raises:
        TeacherError: it cannot be had, or its scores are of another kind than those of the recipe's metric.
    """
    try:
        card, weights = _identify(teacher, recipe)
        _check_fits(teacher, card, recipe)
        return fold(load_network(card.name, weights))
    except WeightsError as error:
        raise TeacherError(str(error)) from error


def describe_teacher(teacher: str, recipe: Recipe) -> dict[str, Any]:
    """What a weights file that was trained with it says of it."""
    card, weights = _identify(teacher, recipe)
    path = locate(card.name, weights)
    about = read_metadata(path)
    stated = card.weights.license if card.weights is not None and weights == "default" else "not stated"
    return {
        "name": card.name,
        "file": path.name,
        "sha256": sha256_of(path),
        "license": about.get("license") or stated,
        "trained_on": about.get("trained_on", card.trained_on),
    }


def _identify(teacher: str, recipe: Recipe) -> tuple[ModelCard, str | Path]:
    """The metric that it is of, and its weights. A file that does not say is taken for one of the recipe's metric."""
    if teacher in CARDS:
        return CARDS[teacher], "default"
    path = Path(teacher).expanduser()
    if not path.suffix and not path.exists():
        raise TeacherError(f"there is neither a metric nor a file {teacher!r}. {suggest(teacher, CARDS)}")
    name = read_metadata(path).get("name", recipe.name)
    try:
        return get_card(name), path
    except ValueError as error:
        raise TeacherError(f"{teacher} is of {name!r}. {error}") from error


def _check_fits(teacher: str, card: ModelCard, recipe: Recipe) -> None:
    if not card.is_topiq or card.mode != "NR" or card.score_range != get_card(recipe.name).score_range:
        raise TeacherError(f"{teacher} is of {card.name}, whose scores are not those of {recipe.name}.")
    size, data = SizePolicy.parse(card.size), recipe.data
    if size.kind == "square" and {data.crop, data.final_crop} != {size.side}:
        raise TeacherError(
            f"{teacher} is of {card.name}, which takes squares of {size.side} px: set 'crop' and 'final_crop' in data "
            "to that."
        )
