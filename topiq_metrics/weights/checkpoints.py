"""Weights files: reading them safely, and writing ours.

Ours are safetensors files with our own keys, float16 by default. Their metadata has one entry, ``topiq_metrics``, a
JSON object with ``format``, ``name``, ``config`` (the fields of the network's configuration) and whatever the card of
the training run says.
"""

from __future__ import annotations

import json
import os
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from topiq_metrics._files import whole_file
from topiq_metrics.errors import (
    WeightsCorruptError,
    WeightsMismatchError,
    WeightsNotFoundError,
    WeightsUnsafeError,
    one_line,
)
from topiq_metrics.models.network import QualityNetwork
from topiq_metrics.weights.pickles import foreign_names

FORMAT = 1
_METADATA_KEY = "topiq_metrics"
_SUFFIX = ".safetensors"


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint, a ``.safetensors`` or a torch file, onto the CPU.

    A torch file holds a state dict, or a dict with one under ``params``; a ``module.`` prefix is taken off the keys.

    Raises:
        WeightsNotFoundError: if the file does not exist.
        WeightsUnsafeError: if it is a pickle that would run code.
        WeightsCorruptError: if it is truncated or not a checkpoint.
        WeightsMismatchError: if it holds something other than a state dict.
    """
    _check_is_file(path)
    if path.suffix.lower() == _SUFFIX:
        try:
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not iterable itself
        except (SafetensorError, OSError) as error:
            raise _corrupt(path, error) from error
    content = _read_torch(path)
    if isinstance(content, Mapping) and isinstance(content.get("params"), Mapping):
        content = content["params"]
    if not isinstance(content, Mapping):
        raise WeightsMismatchError(f"{path} holds a {type(content).__name__}, not the state dict of a network.")
    other = [str(key) for key, value in content.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if other:
        raise WeightsMismatchError(
            f"{path} is not the state dict of a network: {_some(other)} is not a tensor. Save the state dict itself, "
            "or a dict that has it under 'params'."
        )
    prefix = "module."
    if content and all(key.startswith(prefix) for key in content):
        return {key.removeprefix(prefix): value for key, value in content.items()}
    return dict(content)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the metadata that `save_network` wrote to a ``.safetensors`` file; empty for other files.

    Raises:
        WeightsNotFoundError: if the file does not exist.
        WeightsCorruptError: if the file or its metadata cannot be read.
    """
    path = Path(path)
    _check_is_file(path)
    if path.suffix.lower() != _SUFFIX:
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_METADATA_KEY)
        metadata = json.loads(text) if text is not None else {}
    except (SafetensorError, OSError, ValueError) as error:
        raise _corrupt(path, error) from error
    if not isinstance(metadata, dict):
        raise _corrupt(path, TypeError(f"its metadata {_METADATA_KEY!r} is not a JSON object"))
    return metadata


def save_network(
    net: QualityNetwork,
    path: str | os.PathLike[str],
    *,
    card: Mapping[str, Any],
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write a network to a ``.safetensors`` file that `load_network` reads.

    Args:
        net: the network.
        path: the file; an existing one is replaced atomically.
        card: further metadata, as JSON values. ``format``, ``name`` and ``config`` are added.
        dtype: type of the floating-point tensors; a tensor with values outside the range of this type keeps its own.

    Raises:
        ValueError: if ``path`` does not end in ``.safetensors``, or ``card`` contains NaN or an infinity.
        OSError: if the file cannot be written.
    """
    path = Path(path)
    if path.suffix != _SUFFIX:
        raise ValueError(f"Argument `path` must end in {_SUFFIX!r}, but got {path.name!r}.")
    tensors = {key: _cast(value.detach().cpu(), dtype).contiguous() for key, value in net.state_dict().items()}
    about = {**card, "format": FORMAT, "name": net.name, "config": asdict(net.config)}  # type: ignore[call-overload]
    metadata = {_METADATA_KEY: json.dumps(about, allow_nan=False, sort_keys=True)}
    with whole_file(path) as draft:
        save_file(tensors, draft, metadata=metadata)


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    cast = tensor.to(dtype)
    return cast if torch.equal(cast.isfinite(), tensor.isfinite()) else tensor


def _check_is_file(path: Path) -> None:
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "does not exist"
        raise WeightsNotFoundError(
            f"The weights file {path} {problem}. Give the path of a .safetensors or .pth file, or 'default' for the "
            "published weights."
        )


def _read_torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        # Torch's own message advises to load the file with `weights_only=False`: it stays out of the traceback.
        if names := foreign_names(path):
            raise WeightsUnsafeError(
                f"{path} was not loaded: it is a pickle that would run code ({_some(names)}). If you trust where it "
                "comes from, load it there and save only its tensors: torch.save(network.state_dict(), ...)."
            ) from None
        raise _corrupt(path, ValueError("no pickle of tensors")) from None
    except Exception as error:
        # What torch raises for a damaged file has no common class: RuntimeError, EOFError, KeyError, struct.error …
        raise _corrupt(path, error) from error


def _corrupt(path: Path, error: Exception) -> WeightsCorruptError:
    reason = one_line(error, with_type=False)
    return WeightsCorruptError(
        f"{path} is truncated or not a checkpoint ({path.stat().st_size} bytes; {reason}). Get the file again."
    )


def _some(names: list[str], limit: int = 3) -> str:
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest
