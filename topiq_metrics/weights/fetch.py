"""Download a weights file from the Hugging Face hub into our cache."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from topiq_metrics.catalog import ModelCard, get_card
from topiq_metrics.errors import WeightsError, WeightsHashError
from topiq_metrics.weights.hashes import check_sha256, has_expected_sha256, sha256_of
from topiq_metrics.weights.places import CACHE_VARIABLE, cache_dir, find_checked, not_found

_LOGGER = logging.getLogger("topiq_metrics")
_PARTIAL = ".fetch-"
_STALE_SECONDS = 3600


def fetch(name: str, *, notify: Callable[[str], None] | None = None) -> Path:
    """Download the weights of the metric ``name`` into our cache, unless a good copy is there already.

    A copy whose hash is wrong is replaced. The file appears in the cache only when it is whole and checked, so that
    other processes may fetch it at the same time, and an interrupted download leaves nothing that would be used.
    ``HF_ENDPOINT``, ``HF_HUB_OFFLINE`` and Hugging Face tokens are respected.

    Args:
        name: name of a metric.
        notify: is told, in words, what is downloaded and under which licence. The ``topiq_metrics`` logger is told
            the same.

    Raises:
        WeightsNotFoundError: if the hub is out of reach or does not have the file.
        WeightsHashError: if what the hub sent is not the published file.
        WeightsError: if the cache cannot be written.
    """
    card = get_card(name)
    if card.weights.bundled:
        if (found := find_checked(card)) is None:
            raise not_found(card, "not asked")
        return found
    target = cache_dir() / card.weights.filename
    if target.is_file() and has_expected_sha256(target, card):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(target.parent)
        folder = tempfile.TemporaryDirectory(prefix=_PARTIAL, dir=target.parent, ignore_cleanup_errors=True)
    except OSError as error:
        raise WeightsError(
            f"The cache folder {target.parent} cannot be written ({error}). Set {CACHE_VARIABLE} to one that can."
        ) from error
    message = (
        f"Downloading {card.weights.filename} (weights of {name}) from {card.weights.hub_repo}. "
        f"Licence of the weights: {card.weights.license}."
    )
    with folder as partial:
        _LOGGER.info(message)
        if notify is not None:
            notify(message)
        return _move_checked(_download(card, Path(partial)), target, card)


def _download(card: ModelCard, folder: Path) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    repo, filename = str(card.weights.hub_repo), card.weights.filename
    try:
        # Without a network this fails at once, where `hf_hub_download` goes on trying for half a minute.
        get_hf_file_metadata(hf_hub_url(repo, filename))
        return Path(hf_hub_download(repo, filename, local_dir=folder))
    except Exception as error:
        # The hub client's errors share no base class across its versions and HTTP libraries.
        raise not_found(card, f"{type(error).__name__}: {error}") from error


def _move_checked(file: Path, target: Path, card: ModelCard) -> Path:
    if not has_expected_sha256(file, card):
        raise WeightsHashError(
            f"What the hub sent as {file.name} is not the published file and was removed: its SHA-256 must start with "
            f"{card.weights.sha256}, but is {sha256_of(file)}. Try again; if HF_ENDPOINT names a mirror, try another."
        )
    try:
        file.replace(target)
    except PermissionError:
        # On Windows a file that another process has open cannot be replaced; that one may be good as it is.
        if not target.is_file():
            raise
        check_sha256(target, card)
    return target


def _remove_stale(folder: Path) -> None:
    """Remove what a killed process left behind; a running download touches its files all the time."""
    for partial in folder.glob(f"{_PARTIAL}*"):
        # Another process may be removing the same folder.
        with contextlib.suppress(FileNotFoundError):
            newest = max(path.stat().st_mtime for path in (partial, *partial.rglob("*")))
            if time.time() - newest > _STALE_SECONDS:
                shutil.rmtree(partial, ignore_errors=True)
