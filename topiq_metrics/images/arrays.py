"""Pixels that are in memory already: numpy arrays and tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from topiq_metrics.errors import ImageError
from topiq_metrics.images.color import check_unit_range, on_white

_FULL_SCALE = {torch.uint8: 255, torch.uint16: 65535}
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_KINDS = "uint8, uint16 or float in [0, 1]"


def array_to_rgb(array: npt.NDArray[Any]) -> Tensor:
    """Take ``(H, W)`` or ``(H, W, C)`` values, C being 1, 3 or 4, to a float32 ``(3, H, W)`` tensor in [0, 1].

    Raises:
        ImageError: if the shape, the dtype or the range is another.
    """
    planes = array[..., None] if array.ndim == 2 else array
    if planes.ndim != 3 or planes.shape[2] not in (1, 3, 4) or not planes.size:
        hint = " It looks like (C, H, W): use `array.transpose(1, 2, 0)`." if array.shape[:1] in ((1,), (3,)) else ""
        raise ImageError(
            f"Argument `source` must be an array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), but got shape "
            f"{array.shape}, dtype {array.dtype}.{hint}"
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
    if tensor.ndim != 3 or shape[0] not in (1, 3, 4) or not tensor.numel():
        hint = " It looks like (H, W, C): use `tensor.permute(2, 0, 1)`." if shape[2:] in ((1,), (3,), (4,)) else ""
        raise ImageError(
            f"Argument `source` must be a tensor of shape (1, H, W), (3, H, W) or (4, H, W), but got shape "
            f"{shape}, dtype {tensor.dtype}.{hint}"
        )
    if tensor.dtype in _FULL_SCALE:
        values = tensor.to(torch.float32, memory_format=torch.contiguous_format).div_(_FULL_SCALE[tensor.dtype])
    elif tensor.dtype in _FLOATS:
        values = check_unit_range(tensor.to(torch.float32), "Argument `source`")
    else:
        raise ImageError(f"Argument `source` must be a tensor of {_KINDS}, but got dtype {tensor.dtype}.")
    if shape[0] == 4:
        values = on_white(values[:3], values[3])
    return values.expand(3, -1, -1).contiguous()
