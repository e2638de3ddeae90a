"""Validation of image tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from topiq_metrics.errors import ImageTooSmallError
from topiq_metrics.images.size import MIN_SIDE
from topiq_metrics.images.unit_range import RANGE_TOLERANCE

_EXPECTED = "a tensor of shape (N, 3, H, W) or a non-empty list of tensors of shape (3, H, W)"
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def validate_images(
    images: Tensor | Sequence[Tensor], name: str = "preds", *, check_range: bool = True, min_side: int = MIN_SIDE
) -> Tensor | list[Tensor]:
    """Check images and convert them to floating point.

    Costs one pass over the values and one synchronisation with their device; neither for uint8.

    Args:
        images: ``(N, 3, H, W)``, or a list or tuple of ``(3, H, W)`` of any sizes on one device; RGB in [0, 1]
            (1e-3 beyond is accepted, for rounding), or uint8 in 0…255.
        name: the name of the argument in error messages.
        check_range: whether to refuse values outside [0, 1]; NaN and infinity are always refused.
        min_side: shortest side to accept, in pixels.

    Returns:
        The tensor, or a list of the tensors: uint8 divided by 255 and half precision converted to float32; others are
        returned as they are, without a copy.

    Raises:
        ValueError: if type, shape, dtype or range is not as above, or a value is not finite.
        ImageTooSmallError: if a side is shorter than ``min_side``; a subclass of ValueError.
    """
    items = _check_structure(images, name, min_side)
    _check_values(items, check_range=check_range)
    return _to_float(images)


def validate_pair(
    preds: Tensor | Sequence[Tensor],
    target: Tensor | Sequence[Tensor],
    names: tuple[str, str] = ("preds", "target"),
    *,
    check_range: bool = True,
    min_side: int = MIN_SIDE,
) -> tuple[Tensor, Tensor] | tuple[list[Tensor], list[Tensor]]:
    """Check distorted images and their references as `validate_images` does, and that the two match.

    Args:
        preds: the distorted images.
        target: their references, of the same kind (tensor or list), shapes and device.
        names: the names of the two in error messages.
        check_range: whether to refuse values outside [0, 1].
        min_side: shortest side to accept, in pixels.

    Returns:
        Both, as `validate_images` returns them.

    Raises:
        ValueError: as `validate_images`, or if the two differ in kind, shape, length or device.
        ImageTooSmallError: if a side is shorter than ``min_side``.
    """
    items = _check_structure(preds, names[0], min_side)
    references = _check_structure(target, names[1], min_side)
    _check_match(preds, target, names)
    _check_values([*items, *references], check_range=check_range)
    first, second = _to_float(preds), _to_float(target)
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return first, second
    return list(first), list(second)


def _check_structure(images: object, name: str, min_side: int) -> list[tuple[str, Tensor]]:
    if isinstance(images, Tensor):
        _check_tensor(images, f"Argument `{name}`", min_side, single=False)
        return [(f"Argument `{name}`", images)]
    if not isinstance(images, (list, tuple)):
        raise ValueError(
            f"Argument `{name}` must be {_EXPECTED}, but got {type(images).__name__}. "
            "Files, arrays and PIL images are read by topiq_metrics.images.load_image."
        )
    if not images:
        raise ValueError(f"Argument `{name}` must be {_EXPECTED}, but got an empty {type(images).__name__}.")
    items = []
    for index, image in enumerate(images):
        label = f"Argument `{name}[{index}]`"
        if not isinstance(image, Tensor):
            raise ValueError(f"{label} must be a tensor of shape (3, H, W), but got {type(image).__name__}.")
        _check_tensor(image, label, min_side, single=True)
        if image.device != images[0].device:
            raise ValueError(f"{label} must be on {images[0].device}, as `{name}[0]`, but got {image.device}.")
        items.append((label, image))
    return items


def _check_tensor(images: Tensor, label: str, min_side: int, *, single: bool) -> None:
    shape = tuple(images.shape)
    expected = "a tensor of shape (3, H, W)" if single else _EXPECTED
    if len(shape) != (3 if single else 4) or shape[-3] != 3 or not shape[0]:
        raise ValueError(f"{label} must be {expected}, but got {_describe(images)}.{_shape_hint(shape, single)}")
    if images.dtype not in _FLOATS and images.dtype != torch.uint8:
        raise ValueError(f"{label} must be floating point in [0, 1] or uint8 in 0...255, but got {_describe(images)}.")
    if min(shape[-2:]) < max(min_side, 1):
        raise ImageTooSmallError(
            f"{label} must have sides of at least {max(min_side, 1)} pixels, but got shape {shape}, "
            f"dtype {images.dtype}."
        )


def _shape_hint(shape: tuple[int, ...], single: bool) -> str:
    if single:
        if len(shape) == 4 and shape[0] == 1:
            return " It looks like a batch of one: use `image[0]`."
        return " It looks like (H, W, 3): use `image.permute(2, 0, 1)`." if shape[2:] == (3,) else ""
    if len(shape) == 3 and shape[0] == 3:
        return " For one image, use `image.unsqueeze(0)`."
    if len(shape) == 3 and shape[2] == 3:
        return " It looks like (H, W, 3): use `image.permute(2, 0, 1).unsqueeze(0)`."
    if len(shape) == 4 and shape[3] == 3:
        return " It looks like (N, H, W, 3): use `images.permute(0, 3, 1, 2)`."
    if len(shape) == 4 and shape[1] == 1:
        return " For grey images, use `images.expand(-1, 3, -1, -1)`."
    if len(shape) == 4 and shape[1] == 4:
        return " An alpha channel must be composed on a background first."
    return ""


def _check_values(items: list[tuple[str, Tensor]], *, check_range: bool) -> None:
    items = [(label, image) for label, image in items if image.dtype != torch.uint8]
    if not items:
        return
    extremes = torch.stack([torch.stack(torch.aminmax(image.detach())).float() for _, image in items])
    for (label, image), (low, high) in zip(items, extremes.tolist(), strict=True):
        # A float64 beyond float32's range overflows to infinity here, and is no image either way.
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(
                f"{label} must be finite, but got shape {tuple(image.shape)}, dtype {image.dtype}, "
                "with NaN or infinite values."
            )
        if check_range and not (low >= -RANGE_TOLERANCE and high <= 1 + RANGE_TOLERANCE):
            hint = " Values in 0...255 must be uint8, or be divided by 255." if high > 2 else ""
            raise ValueError(f"{label} must be in [0, 1], but got {_describe(image)}.{hint}")


def _check_match(preds: object, target: object, names: tuple[str, str]) -> None:
    start = f"Arguments `{names[0]}` and `{names[1]}` must"
    if isinstance(preds, Tensor) != isinstance(target, Tensor):
        raise ValueError(
            f"{start} be both tensors or both lists, but got {type(preds).__name__} and {type(target).__name__}."
        )
    if isinstance(preds, Tensor) and isinstance(target, Tensor):
        if preds.shape != target.shape:
            raise ValueError(f"{start} have the same shape, but got {tuple(preds.shape)} and {tuple(target.shape)}.")
        if preds.device != target.device:
            raise ValueError(f"{start} be on the same device, but got {preds.device} and {target.device}.")
    elif isinstance(preds, (list, tuple)) and isinstance(target, (list, tuple)):
        if len(preds) != len(target):
            raise ValueError(f"{start} have the same length, but got {len(preds)} and {len(target)}.")
        for index, pair in enumerate(zip(preds, target, strict=True)):
            _check_match(*pair, (f"{names[0]}[{index}]", f"{names[1]}[{index}]"))


def _describe(images: Tensor) -> str:
    text = f"shape {tuple(images.shape)}, dtype {images.dtype}"
    if images.numel() and not images.dtype.is_complex:
        low, high = (v.item() for v in torch.aminmax(images.detach().float()))
        text += f", values from {low:.6g} to {high:.6g}"
    return text


def _to_float(images: Tensor | Sequence[Tensor]) -> Tensor | list[Tensor]:
    if not isinstance(images, Tensor):
        return [_float_tensor(image) for image in images]
    return _float_tensor(images)


def _float_tensor(images: Tensor) -> Tensor:
    if images.dtype == torch.uint8:
        return images.to(torch.float32).div_(255)
    return images if images.dtype == torch.float64 else images.to(torch.float32)
