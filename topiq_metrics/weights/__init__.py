"""Weights: resolve, fetch, verify, load.

``load_network("topiq_nr")`` finds the file (bundled, in your folder, cached or on the hub), checks its SHA-256 and
loads it into the network. Torch files are read with ``weights_only=True``, and every key must match.
"""

from topiq_metrics.weights.checkpoints import read_metadata, save_network
from topiq_metrics.weights.fetch import fetch
from topiq_metrics.weights.load import load_network
from topiq_metrics.weights.places import CACHE_VARIABLE, WEIGHTS_VARIABLE, Place, cache_dir, find
from topiq_metrics.weights.resolve import resolve
from topiq_metrics.weights.sharing import shared_network
from topiq_metrics.weights.verify import WeightsReport, verify

__all__ = [
    "CACHE_VARIABLE",
    "WEIGHTS_VARIABLE",
    "Place",
    "WeightsReport",
    "cache_dir",
    "fetch",
    "find",
    "load_network",
    "read_metadata",
    "resolve",
    "save_network",
    "shared_network",
    "verify",
]
