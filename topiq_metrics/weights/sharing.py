"""What this process holds of networks, and what frees it: one of each, for all who need it.

- A network by its weights and device, and the face detector in the same way: as long as somebody holds it.
- The copies of a network on other devices and in other types: each as long as somebody holds it.
- What is made of a network, such as its fingerprint and what runs it on a backend: as long as the network lives.
- The networks and face detectors that functions used last, which nobody holds between two calls: until others have been
  used.

What one holder does to a network, all holders see.
"""

from __future__ import annotations

import copy
import os
import threading
from collections import deque
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

import torch
from torch import nn

from topiq_metrics.models.folding import fold
from topiq_metrics.models.network import QualityNetwork, for_all_modes
from topiq_metrics.weights.load import load_network, locate

Kept = TypeVar("Kept")
Network = TypeVar("Network", bound=nn.Module)
Place: TypeAlias = "tuple[torch.device, torch.dtype]"

RECENT = 5
"""How many networks and detectors of functions are kept: those of an evaluation by several tasks."""


class Holdings:
    """What is in memory for a whole process, as this module says."""

    def __init__(self) -> None:
        self.shared: WeakValueDictionary[Hashable, Any] = WeakValueDictionary()
        self.copies: WeakKeyDictionary[nn.Module, WeakValueDictionary[Place, Any]] = WeakKeyDictionary()
        self.made: WeakKeyDictionary[nn.Module, dict[Hashable, tuple[Hashable, Any]]] = WeakKeyDictionary()
        self.recent: deque[tuple[Any, ...]] = deque(maxlen=RECENT)
        self._lock = threading.Lock()
        # What is made of a network may take long, and others need not wait for it.
        self._making = threading.RLock()

    def share(self, key: Hashable, make: Callable[[], Kept], is_good: Callable[[Kept], bool] = lambda _: True) -> Kept:
        """The one thing of this key that somebody holds, if it is still good; else a new one."""
        with self._lock:
            found: Kept | None = self.shared.get(key)
            if found is None or not is_good(found):
                found = make()
                self.shared[key] = found
            return found

    def copy(self, network: Network, there: Place) -> Network:
        """The one copy of a network, or of what it is itself a copy of, on a device in a type."""
        with self._lock, for_all_modes():
            copies = self.copies.setdefault(network, WeakValueDictionary())
            copies[place_of(network)] = network
            found: Network | None = copies.get(there)
            if found is None or place_of(found) != there:
                found = copy.deepcopy(network).to(*there)
                copies[there] = found
                self.copies[found] = copies
            return found

    def make_once(self, network: nn.Module, key: Hashable, make: Callable[[], Kept], *, state: Hashable = None) -> Kept:
        """What is made of a network, the same for all who ask; it must not hold the network.

        Where it was made in another ``state``, it is made anew.
        """
        known = self.made.get(network, {}).get(key)
        if known is None or known[0] != state:
            with self._making:
                of_network = self.made.setdefault(network, {})
                known = of_network.get(key)
                if known is None or known[0] != state:
                    known = of_network[key] = state, make()
        kept: Kept = known[1]
        return kept

    def keep(self, *held: Any) -> None:
        """Hold what a function used, such as a network and the one that it is a copy of, until `RECENT` others were."""
        with self._lock:
            if held in self.recent:
                self.recent.remove(held)
            self.recent.append(held)


HOLDINGS = Holdings()


def shared_network(
    name: str, weights: str | os.PathLike[str] | None = "default", *, device: torch.device | str | None = None
) -> QualityNetwork:
    """As `load_network`, but all callers with the same weights and device get the same network.

    The network stays in memory as long as it is referenced. A change to it affects all its users: do not move it, but
    request it for each device (as the metrics do). A network that was moved or cast is no longer returned for its
    former device; the next call loads a new one. With ``weights=None`` networks are never shared.

    It is for inference: it is folded, which changes scores by float rounding only. To train it, or to get the keys of a
    checkpoint, use `load_network`.
    """
    if weights is None:
        return fold(load_network(name, None)).to(device)
    path = locate(name, weights)
    where = canonical_device(device)

    def load() -> QualityNetwork:
        return fold(load_network(name, path)).to(where)

    identity = file_identity(path)
    if identity is None:
        return load()
    return HOLDINGS.share((name, *identity, where), load, lambda net: _is_pristine(net, where))


def recent_network(name: str, weights: str | os.PathLike[str] | None, device: torch.device | str) -> QualityNetwork:
    """As `shared_network`, for somebody who does not hold it: the last few stay in memory."""
    shared = neutral_network(name, weights)
    network = placed(shared, device)
    if weights is not None:
        HOLDINGS.keep(shared, network)
    return network


def neutral_network(name: str, weights: str | os.PathLike[str] | None) -> QualityNetwork:
    """As `shared_network` on the CPU, whatever the default device and the mode of whoever asks first."""
    with for_all_modes(), torch.device("cpu"):
        return shared_network(name, weights, device="cpu")


def placed(network: Network, device: torch.device | str, dtype: torch.dtype | None = None) -> Network:
    """Give ``network`` itself if it is on ``device`` in ``dtype``, else its copy there, the same for all who ask."""
    here = place_of(network)
    there = (canonical_device(device), dtype or here[1])
    return network if there == here else HOLDINGS.copy(network, there)


def place_of(network: nn.Module) -> Place:
    """The device and the type of a network."""
    parameter = next(network.parameters())
    return parameter.device, parameter.dtype


def file_identity(path: Path) -> tuple[str, int, int] | None:
    """What tells a file from others and from what it was before; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return str(path.resolve()), status.st_size, status.st_mtime_ns


def canonical_device(device: torch.device | str | None) -> torch.device:
    """With an index where the device has one, as tensors report it: ``cuda`` is ``cuda:0``."""
    return torch.empty(0, device=device).device


def _is_pristine(net: QualityNetwork, device: torch.device) -> bool:
    parameter = next(net.parameters())
    return parameter.device == device and parameter.dtype == torch.float32 and not parameter.requires_grad
