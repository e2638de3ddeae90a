"""The SHA-256 of a weights file, against the digits in the catalogue."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from topiq_metrics.catalog import CARDS, ModelCard, WeightsFile, all_cards
from topiq_metrics.errors import WeightsError, WeightsHashError

_CHUNK = 1 << 20


def check_sha256(path: Path, file: WeightsFile) -> Path:
    """Return ``path`` if its SHA-256 starts with the digits that the catalogue has."""
    if not has_expected_sha256(path, file):
        again = "reinstall topiq-metrics" if file.bundled else f"run `topiq weights fetch {metric_of(file)}`"
        raise WeightsHashError(
            f"{path} is not the published file: its SHA-256 must start with {file.sha256}, but is "
            f"{sha256_of(path)}. Delete it and {again}."
        )
    return path


def metric_of(file: WeightsFile) -> str:
    """The name of a metric that needs the file, to tell a user of; its file name where the catalogue has none."""
    # Other distributions are asked only for what is not ours.
    return _first_with(file, CARDS) or _first_with(file, all_cards()) or file.filename


def _first_with(file: WeightsFile, cards: Mapping[str, ModelCard]) -> str | None:
    return next((card.name for card in cards.values() if file in card.files_to_verify), None)


def has_expected_sha256(path: Path, file: WeightsFile) -> bool:
    return not file.sha256 or sha256_of(path).startswith(file.sha256.lower())


def sha256_of(path: Path) -> str:
    """Compute the file's SHA-256 in hexadecimal; once, as long as the file does not change.

    Raises:
        WeightsError: if the file cannot be read.
    """
    try:
        status = path.stat()
        return _sha256(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}.") from error


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime: int) -> str:  # noqa: ARG001 - both are part of the key
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
