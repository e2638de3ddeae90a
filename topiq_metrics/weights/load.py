"""Networks with loaded weights."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from topiq_metrics.catalog import ModelCard, get_card
from topiq_metrics.errors import WeightsMismatchError
from topiq_metrics.models.cfanet import CFANet, CFANetConfig
from topiq_metrics.models.lpips import LPIPSPlusConfig, LPIPSPlusNetwork
from topiq_metrics.models.network import QualityNetwork, float32_by_default
from topiq_metrics.weights.checkpoints import FORMAT, read_metadata, read_state
from topiq_metrics.weights.keymaps import from_pyiqa, is_pyiqa
from topiq_metrics.weights.lpips import from_torchvision, published_linear
from topiq_metrics.weights.resolve import resolve

_COUNTER = ".num_batches_tracked"


def check_not_both(net: QualityNetwork | None, weights: str | os.PathLike[str] | None) -> None:
    """Raise ValueError if there is a network and weights are named, too, which it would not get."""
    if net is not None and weights != "default":
        raise ValueError(f"Arguments `net` and `weights` were both given, {str(weights)!r}: give one of them.")


def load_network(
    name: str, weights: str | os.PathLike[str] | None = "default", *, device: torch.device | str | None = None
) -> QualityNetwork:
    """Build the network of the metric ``name`` and load its weights: eval mode, frozen float32 parameters.

    Args:
        name: name of a metric.
        weights: ``"default"`` for the published weights (see `resolve`), which may be downloaded; the path of a file,
            whose hash is not checked: ``.safetensors`` from `save_network`, a ``.pth`` file of pyiqa (for LPIPS+, of
            the torchvision backbone), or a plain state dict with the keys of either; None for a network that is not
            trained.
        device: device of the network; by default torch's default device.

    Returns:
        A `topiq_metrics.models.cfanet.CFANet` or, for LPIPS+, a `topiq_metrics.models.lpips.LPIPSPlusNetwork`.

    Raises:
        ValueError: if there is no such metric, or it belongs to another distribution.
        WeightsNotFoundError: if the weights are not found and cannot be downloaded.
        WeightsHashError: if the SHA-256 of the default weights is not that of the published file.
        WeightsCorruptError: if the file is truncated or not a checkpoint.
        WeightsUnsafeError: if the file is a pickle that would run code.
        WeightsMismatchError: if the file does not hold a state dict of this architecture.
    """
    card = get_card(name)
    if weights is None:
        with float32_by_default():
            net = build(card)
    else:
        path = locate(name, weights)
        # An initialisation that is thrown away must not advance the user's random numbers.
        with float32_by_default(), torch.random.fork_rng(devices=[]), _NotInitialised():
            net = build(card)
        fill(net, path)
    return net.requires_grad_(False).eval().to(device)


class _NotInitialised(TorchFunctionMode):
    """Leaves most new parameters as they lie in memory, since they are about to be filled."""

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", "") == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def locate(name: str, weights: str | os.PathLike[str]) -> Path:
    """Find the file that ``weights`` stands for: the checked default, or the path that it is."""
    return resolve(name) if weights == "default" else Path(weights).expanduser()


def fill(net: QualityNetwork, path: Path) -> None:
    """Load a checkpoint into a network; every key and shape must match.

    Raises:
        WeightsMismatchError: if they don't; the other errors are those of `load_network`.
    """
    _check_config(net, path)
    state = read_state(path)
    if isinstance(net, LPIPSPlusNetwork):
        state = from_torchvision(state, net.linear.state_dict())
    elif is_pyiqa(state):
        state = from_pyiqa(state, net.config.mode)
    own = net.state_dict()
    # How many batches BatchNorm saw in training changes no score, and torch itself does without.
    counters = {key: value for key, value in own.items() if key.endswith(_COUNTER) and key not in state}
    state = {**state, **counters}
    _check_keys(net, path, own, state)
    net.load_state_dict({key: value.float() if value.is_floating_point() else value for key, value in state.items()})


def build(card: ModelCard) -> QualityNetwork:
    """Build the network that a card describes, not trained."""
    if isinstance(card.network, CFANetConfig):
        return CFANet(card.network, name=card.name)
    if isinstance(card.network, LPIPSPlusConfig):
        net = LPIPSPlusNetwork(card.network, name=card.name)
        net.linear.load_state_dict(published_linear(net.config.backbone))
        return net
    raise ValueError(f"{card.name!r} is the metric of another distribution, which has its network.")


def _check_config(net: QualityNetwork, path: Path) -> None:
    metadata = read_metadata(path)
    if not metadata:
        return
    if metadata.get("format") != FORMAT:
        raise WeightsMismatchError(
            f"{path} has format {metadata.get('format')!r}; this version of topiq-metrics reads format {FORMAT}. "
            "Upgrade topiq-metrics, or save the file again with this version."
        )
    wanted, found = (_architecture(net, config) for config in (asdict(net.config), metadata.get("config", {})))  # type: ignore[call-overload]
    if wanted != found:
        raise WeightsMismatchError(
            f"{path} holds the network of {metadata.get('name')!r} with {found}, but {net.name!r} needs {wanted}. "
            "Give the file to the metric that it was trained for."
        )


def _architecture(net: QualityNetwork, config: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in the defaults of a configuration and leave out what the weights do not depend on."""
    full = {**{field.name: field.default for field in fields(net.config)}, **config}  # type: ignore[arg-type]
    return {key: value for key, value in full.items() if key not in {"dropout", "semantic_layer"}}


def _check_keys(net: QualityNetwork, path: Path, own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    reshaped = [
        f"{key} is {tuple(state[key].shape)} instead of {tuple(value.shape)}"
        for key, value in own.items()
        if key in state and state[key].shape != value.shape
    ]
    problems = [
        f"{len(keys)} {what}: {', '.join(keys[:3])}{', …' if len(keys) > 3 else ''}"
        for what, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", reshaped))
        if keys
    ]
    if problems:
        raise WeightsMismatchError(
            f"{path} does not hold the network of {net.name!r} ({net.config}). Of its {len(own)} keys, "
            f"{'; '.join(problems)}. Give the file to the metric that it was trained for."
        )
