"""Where a metric's weights are looked for: bundled, your folder, the caches, then the hub."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from topiq_metrics.catalog import WeightsFile, get_card
from topiq_metrics.errors import WeightsNotFoundError
from topiq_metrics.weights.hashes import check_sha256, metric_of

WEIGHTS_VARIABLE = "TOPIQ_METRICS_WEIGHTS"
CACHE_VARIABLE = "TOPIQ_METRICS_CACHE"
BUNDLED = Path(__file__).with_name("files")


@dataclass(frozen=True)
class Place:
    """A place where a weights file may be.

    Attributes:
        name: description of the place.
        path: path of the file there, whether it exists or not.
    """

    name: str
    path: Path


def find(file: str | WeightsFile) -> Place | None:
    """The first place on this machine that has a weights file, or that of a metric's network; None if there is none.

    The SHA-256 of the file is not checked.

    Raises:
        ValueError: if there is no such metric, or it needs no weights.
    """
    wanted = file_of(file)
    # A folder that may not be looked into is as one without the file.
    return next((place for place in places(wanted) if os.path.isfile(place.path)), None)  # noqa: PTH113


def find_checked(file: WeightsFile) -> Path | None:
    """Find a weights file on this machine and check its SHA-256."""
    place = find(file)
    return None if place is None else check_sha256(place.path, file)


def file_of(file: str | WeightsFile) -> WeightsFile:
    """The weights file of a metric's network, for its name; a weights file itself.

    Raises:
        ValueError: if there is no such metric, or it needs no weights.
    """
    if isinstance(file, WeightsFile):
        return file
    weights = get_card(file).weights
    if weights is None:
        raise ValueError(f"The metric {file!r} has no weights file.")
    return weights


def files_of(file: str | WeightsFile) -> tuple[WeightsFile, ...]:
    """Every weights file that a metric needs, that of its network first; of a weights file, that one."""
    main = file_of(file)
    return (main,) if isinstance(file, WeightsFile) else get_card(file).files


def places(file: WeightsFile) -> Iterator[Place]:
    """List the places on this machine where a weights file is looked for, in order."""
    yield Place("bundled with the package", BUNDLED / file.filename)
    if folder := os.environ.get(WEIGHTS_VARIABLE):
        yield Place(WEIGHTS_VARIABLE, _expanded(folder) / file.filename)
    yield Place("cache", cache_dir() / file.filename)
    if (folder_of_other := _other_cache(file.cached_by)) is not None:
        yield Place(f"{file.cached_by}'s cache", folder_of_other / file.filename)
    if file.hub_repo is not None:
        yield Place("Hugging Face cache", _hugging_face_path(file.hub_repo, file.filename))


def cache_dir() -> Path:
    """The folder for downloaded weights: ``TOPIQ_METRICS_CACHE`` or, if it is not set, in the user's cache folder."""
    if folder := os.environ.get(CACHE_VARIABLE):
        return _expanded(folder)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        base = Path(local) if local else _expanded("~") / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = _expanded("~") / "Library" / "Caches"
    else:
        xdg = os.environ.get("XDG_CACHE_HOME")
        base = Path(xdg) if xdg else _expanded("~") / ".cache"
    return base / "topiq_metrics"


def _expanded(folder: str) -> Path:
    # Unlike Path's own, it leaves the ~ of a user without a home folder as it is.
    return Path(os.path.expanduser(folder))  # noqa: PTH111


def not_found(file: WeightsFile, download: str) -> WeightsNotFoundError:
    """Make the error for weights that are nowhere; ``download`` tells how asking for them went."""
    metric = metric_of(file)
    lines = [f"The weights of {metric} ({file.filename}) were not found. Searched:"]
    lines += [f"  - {place.name}: {place.path}" for place in places(file)]
    if not os.environ.get(WEIGHTS_VARIABLE):
        lines.append(f"  - {WEIGHTS_VARIABLE}: not set")
    if file.bundled:
        lines.append("The file is part of the package: reinstall topiq-metrics.")
    elif file.recipe is not None:
        lines.append(
            f"Nobody publishes them. Train them with `topiq train {file.recipe} --data FOLDER`, and give the file as "
            f"`weights`, or copy it into a folder that {WEIGHTS_VARIABLE} names."
        )
    else:
        source = file.url or f"Hugging Face hub, {file.hub_repo}"
        mirror = "" if file.hub_repo is None else "; or set HF_ENDPOINT to a mirror of the hub"
        lines.append(f"  - {source}: {download}")
        lines.append(
            f"Run `topiq weights fetch {metric}` on a machine with network access, and copy the file into a folder "
            f"that {WEIGHTS_VARIABLE} names{mirror}."
        )
    return WeightsNotFoundError("\n".join(lines))


def _other_cache(package: str) -> Path | None:
    if package == "facexlib":
        # It keeps its files inside itself.
        folder = package_folder("facexlib")
        return None if folder is None else folder / "weights"
    import torch

    return Path(torch.hub.get_dir()) / ("pyiqa" if package == "pyiqa" else "checkpoints")


def package_folder(name: str) -> Path | None:
    """The folder of an installed package, which is not imported; None if it is not installed."""
    spec = importlib.util.find_spec(name)
    roots = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(roots))) if roots else None


def _hugging_face_path(repo: str, filename: str) -> Path:
    from huggingface_hub import constants, try_to_load_from_cache

    found = try_to_load_from_cache(repo, filename)
    if isinstance(found, str):
        return Path(found)
    return Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}" / filename
