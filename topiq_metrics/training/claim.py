"""Whose a run's folder is: of which recipe, and on which data."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topiq_metrics._files import write_whole
from topiq_metrics.datasets import split_hash
from topiq_metrics.training.recipe import Recipe, RecipeError
from topiq_metrics.training.splitting import PARTS
from topiq_metrics.weights.hashes import sha256_of

if TYPE_CHECKING:
    from topiq_metrics.training.data import QualityData

_RECIPE, _DATA = "recipe.json", "data.json"


def check_owner(folder: Path, recipe: Recipe) -> None:
    """Refuse a folder that holds a run of another recipe, or is none.

    Raises:
        RecipeError: it does, or is not.
    """
    if folder.exists() and not folder.is_dir():
        raise RecipeError(f"{folder} is to be the folder of the run, but is a file.")
    path = folder / _RECIPE
    if path.exists() and path.read_text(encoding="utf-8") != _as_json(recipe.to_dict()):
        raise RecipeError(f"{folder} holds a run of another recipe: give another folder, or that run's own recipe.")


def check_data(folder: Path, now: dict[str, Any]) -> None:
    """Refuse a folder that holds a run on other images or scores, or from other weights, than `describe_data` says.

    Raises:
        RecipeError: it does.
    """
    path = folder / _DATA
    # Runs of earlier versions do not say.
    if not path.exists():
        return
    then = json.loads(path.read_text(encoding="utf-8"))
    # Files that are gone are told of where they are needed.
    then["weights"] = {name: then["weights"].get(name) for name in now["weights"]}
    if differ := [what for what, value in now.items() if then.get(what) != value]:
        raise RecipeError(
            f"{folder} holds a run of this recipe on other data (what differs: {', '.join(differ)}): give another "
            "folder, or that run's own data."
        )


def claim(folder: Path, recipe: Recipe, data: dict[str, Any]) -> None:
    """Say in the folder whose it is: of a recipe, and on what `describe_data` says."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / _DATA, _as_json(data).encode())
    write_whole(folder / _RECIPE, _as_json(recipe.to_dict()).encode())


def describe_parts(data: QualityData) -> dict[str, Any]:
    """How many images are in each part, and which."""
    parts = {part: getattr(data.splits, part) for part in PARTS}
    return {
        "images": {part: len(indices) for part, indices in parts.items()},
        "split_hashes": {part: split_hash(data.whole.records[i] for i in indices) for part, indices in parts.items()},
    }


def describe_data(recipe: Recipe, data: QualityData) -> dict[str, Any]:
    """What tells the images, scores and initial weights of a run from others."""
    # In their order, which decides what is drawn for each.
    lines = [
        repr((record.id, record.reference and record.reference.name, record.score, record.extras.get("ratings")))
        for record in data.whole.records
    ]
    named = (recipe.model.weights, recipe.model.pretrained_backbone, *recipe.unlabelled.teachers)
    paths = [Path(name).expanduser() for name in named if isinstance(name, str) and name]
    weights: dict[str, str] = {}
    times: Counter[str] = Counter()
    for path in filter(Path.is_file, paths):
        # Teachers of several folders often have one name.
        times[path.name] += 1
        nth = times[path.name]
        weights[path.name if nth == 1 else f"{path.name} ({nth})"] = sha256_of(path)
    described = {
        **describe_parts(data),
        "rows": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        "weights": weights,
    }
    if data.unlabelled:
        # Elsewhere they may lie in another folder, so only what is below the one that all are in.
        folder = os.path.commonpath([Path(path).parent for path in data.unlabelled])
        names = "\n".join(os.path.relpath(path, folder) for path in data.unlabelled)
        described["unlabelled"] = {"images": len(data.unlabelled), "names": hashlib.sha256(names.encode()).hexdigest()}
    return described


def _as_json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"
