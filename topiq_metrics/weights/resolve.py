"""The file that a metric's weights are in."""

from __future__ import annotations

from pathlib import Path

from topiq_metrics.catalog import WeightsFile
from topiq_metrics.weights.fetch import fetch_file
from topiq_metrics.weights.places import find_checked, main_file, not_found


def resolve(name: str, *, download: bool = True) -> Path:
    """Find the weights file of the metric ``name``, fetch it if need be, and check its SHA-256.

    Looked for, in this order: bundled with the package; the folder in ``TOPIQ_METRICS_WEIGHTS``; our cache (see
    `cache_dir`); the cache of the package that has it, too, such as pyiqa's; the Hugging Face cache; the Hugging Face
    hub, or where else it is published, from where it is fetched into our cache.

    Args:
        name: name of a metric.
        download: whether it may be downloaded.

    Raises:
        WeightsNotFoundError: if the file is in none of these places.
        WeightsHashError: if the file that was found is not the published one.
        ValueError: if there is no such metric, or it needs no weights.
    """
    return resolve_file(main_file(name), name, download=download)


def resolve_file(file: WeightsFile, metric: str, *, download: bool = True) -> Path:
    """Find one of the files that ``metric`` needs, as `resolve` does."""
    found = find_checked(file, metric)
    if found is not None:
        return found
    if not (file.published and download):
        raise not_found(file, metric, "not asked")
    return fetch_file(file, metric)
