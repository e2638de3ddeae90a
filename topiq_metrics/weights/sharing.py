"""One network in memory for all that use the same weights."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from weakref import WeakValueDictionary

import torch

from topiq_metrics.models.folding import fold
from topiq_metrics.models.network import QualityNetwork
from topiq_metrics.weights.load import load_network, locate

_Key = tuple[str, str, int, int, torch.device]
_networks: WeakValueDictionary[_Key, QualityNetwork] = WeakValueDictionary()
_lock = threading.Lock()


def shared_network(
    name: str, weights: str | os.PathLike[str] | None = "default", *, device: torch.device | str | None = None
) -> QualityNetwork:
    """As `load_network`, but holders of the same weights on the same device get the same network.

    The network lives as long as somebody holds it. What one holder does to it, all holders see: instead of moving it,
    ask for each device by name (the metrics do). A network that was moved or cast is not handed out any more for the
    device it has left; the next call loads another. ``weights=None`` is never shared.

    It is for inference: it is folded, which changes scores by float rounding only. For the keys of a checkpoint, or to
    train, take `load_network`.
    """
    if weights is None:
        return fold(load_network(name, None)).to(device)
    path = locate(name, weights)
    where = canonical_device(device)
    with _lock:
        key = _key(name, path, where)
        net = _networks.get(key) if key is not None else None
        if net is None or not _is_pristine(net, where):
            net = fold(load_network(name, path)).to(where)
            if key is not None:
                _networks[key] = net
        return net


def _key(name: str, path: Path, device: torch.device) -> _Key | None:
    """None where there is no such file, which loading then reports."""
    try:
        status = path.stat()
    except OSError:
        return None
    return name, str(path.resolve()), status.st_size, status.st_mtime_ns, device


def canonical_device(device: torch.device | str | None) -> torch.device:
    """With an index where the device has one, as tensors report it: ``cuda`` is ``cuda:0``."""
    return torch.empty(0, device=device).device


def _is_pristine(net: QualityNetwork, device: torch.device) -> bool:
    parameter = next(net.parameters())
    return parameter.device == device and parameter.dtype == torch.float32 and not parameter.requires_grad
