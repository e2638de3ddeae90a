"""Values in memory to RGB: what a decoder gives, numpy arrays and tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from topiq_metrics.errors import ImageError
from topiq_metrics.images.color import Pixels
from topiq_metrics.images.resampling import BLOCK, Rows
from topiq_metrics.images.unit_range import UnitRows, check_unit_range

_FULL_SCALE = {torch.uint8: 255, torch.uint16: 65535}
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_CHANNELS = (1, 3, 4)
_KINDS = "uint8, uint16 or float in [0, 1]"


def pixels_to_rgb(pixels: Pixels, name: str) -> Tensor:
    """Take what a decoder gives to a float32 ``(3, H, W)`` tensor in [0, 1], on white where it is transparent.

    Raises:
        ImageError: if floats are out of range.
    """
    rows = UnitRows(pixels, name)
    return rows_to_rgb(rows, *rows.size)


def rows_to_rgb(rows: Rows, height: int, width: int) -> Tensor:
    """All rows ``(n, W, C)``, C being 1 or 3, as a float32 ``(3, H, W)`` tensor."""
    rgb = torch.empty(3, height, width, dtype=torch.float32)
    for start in range(0, height, BLOCK):
        end = min(start + BLOCK, height)
        rgb[:, start:end] = torch.from_numpy(rows(start, end)).permute(2, 0, 1)
    return rgb


def array_to_rgb(array: npt.NDArray[Any]) -> Tensor:
    """Take ``(H, W)`` or ``(H, W, C)`` values, C being 1, 3 or 4, to a float32 ``(3, H, W)`` tensor in [0, 1].

    Raises:
        ImageError: if the shape, the dtype or the range is another.
    """
    planes = array[..., None] if array.ndim == 2 else array
    if planes.ndim != 3 or planes.shape[2] not in _CHANNELS or not planes.size:
        raise ImageError(
            f"Argument `source` must be an array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), but got shape "
            f"{array.shape}, dtype {array.dtype}.{_array_hint(array.shape)}"
        )
    if not (array.dtype.kind == "u" and array.itemsize <= 2) and not (array.dtype.kind == "f" and array.itemsize <= 8):
        raise ImageError(f"Argument `source` must be an array of {_KINDS}, but got dtype {array.dtype}.")
    native = np.require(planes, dtype=planes.dtype.newbyteorder("="), requirements=["C", "W"])
    return tensor_to_rgb(torch.from_numpy(native).permute(2, 0, 1))


def tensor_to_rgb(tensor: Tensor) -> Tensor:
    """Take ``(C, H, W)`` values, C being 1, 3 or 4, to a float32 ``(3, H, W)`` tensor in [0, 1].

    Raises:
        ImageError: if the shape, the dtype or the range is another.
    """
    shape = tuple(tensor.shape)
    if tensor.ndim != 3 or shape[0] not in _CHANNELS or not tensor.numel():
        raise ImageError(
            f"Argument `source` must be a tensor of shape (1, H, W), (3, H, W) or (4, H, W), but got shape "
            f"{shape}, dtype {tensor.dtype}.{_tensor_hint(shape)}"
        )
    if tensor.dtype in _FULL_SCALE:
        values = tensor.to(torch.float32, memory_format=torch.contiguous_format).div_(_FULL_SCALE[tensor.dtype])
    elif tensor.dtype in _FLOATS:
        values = _check_unit_range(tensor.to(torch.float32), "Argument `source`")
    else:
        raise ImageError(f"Argument `source` must be a tensor of {_KINDS}, but got dtype {tensor.dtype}.")
    if shape[0] == 4:
        values = _on_white(values[:3], values[3])
    return values.expand(3, -1, -1).contiguous()


def _array_hint(shape: tuple[int, ...]) -> str:
    if len(shape) == 4 and shape[-1] in _CHANNELS:
        return _batch_hint("array", shape[0], "")
    if len(shape) == 4 and shape[1] in _CHANNELS:
        return _batch_hint("array", shape[0], ".transpose(1, 2, 0)")
    if len(shape) == 3 and shape[0] in _CHANNELS:
        return " It looks like (C, H, W): use `array.transpose(1, 2, 0)`."
    return ""


def _tensor_hint(shape: tuple[int, ...]) -> str:
    if len(shape) == 4 and shape[1] in _CHANNELS:
        return _batch_hint("tensor", shape[0], "")
    if len(shape) == 4 and shape[-1] in _CHANNELS:
        return _batch_hint("tensor", shape[0], ".permute(2, 0, 1)")
    if len(shape) == 3 and shape[-1] in _CHANNELS:
        return " It looks like (H, W, C): use `tensor.permute(2, 0, 1)`."
    return " It looks like (H, W): use `tensor[None]`." if len(shape) == 2 else ""


def _batch_hint(name: str, count: int, turn: str) -> str:
    if count == 1:
        return f" It looks like a batch of one: use `{name}[0]{turn}`."
    return f" It looks like a batch: load one image after the other, as `load_image({name}[0]{turn})`."


def _on_white(rgb: Tensor, alpha: Tensor) -> Tensor:
    """Compose ``rgb``, ``(C, H, W)``, on white with the weights ``alpha``, ``(H, W)``; all values are in [0, 1]."""
    return rgb * alpha + (1 - alpha)


def _check_unit_range(values: Tensor, name: str) -> Tensor:
    """Clip floats that are in [0, 1] but for rounding.

    Raises:
        ImageError: if there are others, NaN included.
    """
    low, high = (float(v) for v in torch.aminmax(values.detach()))
    check_unit_range(low, high, name)
    return values.clamp(0, 1) if low < 0 or high > 1 else values
