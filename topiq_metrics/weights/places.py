"""Where a metric's weights are looked for: bundled, your folder, the caches, then the hub."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from topiq_metrics.catalog import ModelCard, WeightsFile, get_card
from topiq_metrics.errors import WeightsNotFoundError
from topiq_metrics.weights.hashes import check_sha256

WEIGHTS_VARIABLE = "TOPIQ_METRICS_WEIGHTS"
CACHE_VARIABLE = "TOPIQ_METRICS_CACHE"
BUNDLED = Path(__file__).with_name("files")


@dataclass(frozen=True)
class Place:
    """One place that may have a weights file.

    Attributes:
        name: what the place is, in words.
        path: the file there, whether it exists or not.
    """

    name: str
    path: Path


def find(name: str) -> Place | None:
    """Find the first place on this machine that has the weights of the metric ``name``; they are not checked."""
    return _first(get_card(name).weights)


def find_checked(card: ModelCard) -> Path | None:
    """Find the weights on this machine and check their SHA-256."""
    place = _first(card.weights)
    return None if place is None else check_sha256(place.path, card)


def places(weights: WeightsFile) -> Iterator[Place]:
    """List the places on this machine where a weights file is looked for, in order."""
    yield Place("bundled with the package", BUNDLED / weights.filename)
    if folder := os.environ.get(WEIGHTS_VARIABLE):
        yield Place(WEIGHTS_VARIABLE, Path(folder).expanduser() / weights.filename)
    yield Place("cache", cache_dir() / weights.filename)
    yield Place("pyiqa's cache", _torch_hub_dir() / "pyiqa" / weights.filename)
    if weights.hub_repo is not None:
        yield Place("Hugging Face cache", _hugging_face_path(weights.hub_repo, weights.filename))


def cache_dir() -> Path:
    """Name the folder for fetched weights: ``TOPIQ_METRICS_CACHE``, else this user's cache folder."""
    if folder := os.environ.get(CACHE_VARIABLE):
        return Path(folder).expanduser()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        base = Path(local) if local else Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        xdg = os.environ.get("XDG_CACHE_HOME")
        base = Path(xdg) if xdg else Path.home() / ".cache"
    return base / "topiq_metrics"


def not_found(card: ModelCard, hub: str) -> WeightsNotFoundError:
    """Make the error for weights that are nowhere; ``hub`` tells how asking the hub went."""
    weights = card.weights
    lines = [f"The weights of {card.name} ({weights.filename}) were not found. Searched:"]
    lines += [f"  - {place.name}: {place.path}" for place in places(weights)]
    if not os.environ.get(WEIGHTS_VARIABLE):
        lines.append(f"  - {WEIGHTS_VARIABLE}: not set")
    if weights.bundled:
        lines.append("The file is part of the package: reinstall topiq-metrics.")
    else:
        lines.append(f"  - Hugging Face hub, {weights.hub_repo}: {hub}")
        lines.append(
            f"Run `topiq weights fetch {card.name}` on a machine with network access, and copy the file into a folder "
            f"that {WEIGHTS_VARIABLE} names; or set HF_ENDPOINT to a mirror of the hub."
        )
    return WeightsNotFoundError("\n".join(lines))


def _first(weights: WeightsFile) -> Place | None:
    return next((place for place in places(weights) if place.path.is_file()), None)


def _torch_hub_dir() -> Path:
    import torch

    return Path(torch.hub.get_dir())


def _hugging_face_path(repo: str, filename: str) -> Path:
    from huggingface_hub import constants, try_to_load_from_cache

    found = try_to_load_from_cache(repo, filename)
    if isinstance(found, str):
        return Path(found)
    return Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}" / filename
