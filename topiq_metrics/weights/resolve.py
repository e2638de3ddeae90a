"""The file that a metric's weights are in."""

from __future__ import annotations

from pathlib import Path

from topiq_metrics.catalog import WeightsFile
from topiq_metrics.weights.fetch import fetch
from topiq_metrics.weights.places import file_of, find_checked, not_found


def resolve(file: str | WeightsFile, *, download: bool = True) -> Path:
    """Find a weights file, download it if necessary, and check its SHA-256.

    It is looked for in this order: bundled with the package; the folder in ``TOPIQ_METRICS_WEIGHTS``; the cache (see
    `cache_dir`); the cache of another package that uses it, such as pyiqa; the Hugging Face cache; the Hugging Face hub
    or wherever else it is published, from where it is downloaded into the cache.

    Args:
        file: name of a metric, for the weights of its network; or one of the files in its card.
        download: whether it may be downloaded.

    Returns:
        Path of the file.

    Raises:
        WeightsNotFoundError: if the file is in none of these places.
        WeightsHashError: if the SHA-256 of the file found is not that of the published one.
        ValueError: if there is no such metric, or it needs no weights.
    """
    wanted = file_of(file)
    found = find_checked(wanted)
    if found is not None:
        return found
    if not (wanted.published and download):
        raise not_found(wanted, "not asked")
    return fetch(wanted)
