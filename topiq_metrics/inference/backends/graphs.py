"""Networks as graphs for runtimes other than PyTorch: made once, kept in the cache, run in bounded memory."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias, cast
from weakref import ref

import filelock
import torch
from torch import Tensor

from topiq_metrics._files import whole_file
from topiq_metrics._version import __version__
from topiq_metrics.inference.backends.base import Run
from topiq_metrics.inference.memory import floats_of
from topiq_metrics.inference.strips import has_strips, score_within
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.models.network import QualityNetwork, fingerprint
from topiq_metrics.weights.places import cache_dir

Graph: TypeAlias = "dict[str, bytes]"
"""The files of a graph, by name."""

FORMAT = 5
"""To be raised when what is made of a network changes."""

KEPT = 12
"""The most graphs that the cache holds; a network in training makes a new one each time it is scored."""

_LOGGER = logging.getLogger("topiq_metrics")


def cached_graph(net: QualityNetwork, kind: str, make: Callable[[], Graph]) -> Graph:
    """The graph of a network in a format, from the cache; made and put there if it is not there or not whole.

    Several processes that ask at the same time make it once. A cache that cannot be written is done without.

    Args:
        net: the network.
        kind: the format and the version of what reads it, such as ``"openvino-2026.4"``.
        make: makes the graph.
    """
    path = cache_dir() / "graphs" / f"{kind}-{_digest(net)}.zip"
    if (graph := _read(path)) is not None:
        return graph
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, NotImplementedError):
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(filelock.FileLock(path.with_suffix(".lock")))
            if (graph := _read(path)) is not None:
                return graph
        _LOGGER.info("Making the %s graph of %s, which takes some seconds.", kind, net.name or "a network")
        graph = make()
        with contextlib.suppress(OSError):
            _write(path, graph)
            _remove_oldest(path.parent)
    return graph


def run_within(net: QualityNetwork, run: Run, max_memory: int | None) -> Run:
    """What runs a graph of a folded network in about ``max_memory`` bytes beside the images and the weights.

    A batch goes in groups. An image that is too large by itself is scored in strips, by PyTorch in float32.
    """
    if max_memory is None or not has_strips(net):
        return run
    # What runs a network is kept for as long as the network lives, so it must not keep it alive.
    own = ref(net)

    def bounded(image: Tensor, reference: Tensor | None = None) -> Tensor:
        living = cast(CFANet, own())
        rows, columns = living.grid(image.shape[-2], image.shape[-1])
        maps = living.config.heads * (rows * columns) ** 2
        # Runtimes keep what they have once taken, and may build whole attention maps.
        count = max_memory // (8 * (floats_of(living, image.shape[-2], image.shape[-1]) + 2 * maps))
        if count == 0:
            return score_within(living, image, reference, max_memory=max_memory)
        images = [image] if reference is None else [image, reference]
        return torch.cat([run(*group) for group in zip(*(torch.split(x, count) for x in images), strict=True)])

    return bounded


def _digest(net: QualityNetwork) -> str:
    versions = f"{FORMAT} {__version__} {torch.__version__} {fingerprint(net)}"
    return hashlib.sha256(versions.encode()).hexdigest()[:24]


def _read(path: Path) -> Graph | None:
    # A zip file checks what is read by itself.
    with contextlib.suppress(OSError, EOFError, zipfile.BadZipFile), zipfile.ZipFile(path) as file:
        graph = {name: file.read(name) for name in file.namelist()}
        with contextlib.suppress(OSError):
            os.utime(path)
        return graph
    return None


def _write(path: Path, graph: Graph) -> None:
    with whole_file(path) as draft, zipfile.ZipFile(draft, "w") as file:
        for name, content in graph.items():
            file.writestr(name, content)


def _remove_oldest(folder: Path) -> None:
    """Remove the graphs that have not been used for longest."""
    graphs = sorted(folder.glob("*.zip"), key=lambda path: path.stat().st_mtime)
    for path in graphs[:-KEPT]:
        path.unlink(missing_ok=True)
        path.with_suffix(".lock").unlink(missing_ok=True)
