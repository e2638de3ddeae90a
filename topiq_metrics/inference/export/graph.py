"""Networks as ONNX graphs and exported programs, with the size rule inside and every dimension dynamic."""

from __future__ import annotations

import copy
import io
import math
import warnings
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from topiq_metrics.images import MIN_SIDE, SizePolicy
from topiq_metrics.images.unit_range import RANGE_TOLERANCE
from topiq_metrics.models.cfanet import CFANet, Grid
from topiq_metrics.models.folding import fold
from topiq_metrics.models.network import QualityNetwork, is_traced
from topiq_metrics.models.pooling import GatedPool
from topiq_metrics.models.rewrites.exact_head import keep_head_exact

if TYPE_CHECKING:
    import onnx
    from torch.export import ExportedProgram

NATIVE = SizePolicy()

OPSET = 18
"""Version of ONNX's operators."""

DTYPES = {"float32": torch.float32, "float16": torch.float16}
"""What a network can be exported in."""


def onnx_model(
    net: QualityNetwork, size: SizePolicy = NATIVE, precision: str = "float32", *, checked: bool = True
) -> onnx.ModelProto:
    """Make an ONNX graph of a network.

    Its inputs are ``image`` and, in full-reference mode, ``reference``: float32 ``(batch, 3, height, width)``, RGB in
    [0, 1], with sides of at least 32 pixels. Its output is ``score``: float32 ``(batch,)``.

    A graph cannot raise an error: images that `validate_images` would refuse score NaN.

    Args:
        net: the network, folded or not; it is not changed.
        size: the size rule, which the graph applies first.
        precision: of weights and computation, ``"float32"`` or ``"float16"``; the size rule and the head are always
            computed in float32.
        checked: whether the graph checks the images; False for images that are validated already, or may exceed [0, 1].

    Raises:
        ModuleNotFoundError: if ``onnx`` is not installed.
    """
    import onnx

    module, inputs = _prepared(net, size, precision, batch=1, checked=checked)
    names = input_names(net)
    axes = {name: {0: "batch", 2: "height", 3: "width"} for name in names}
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        # The exporter that succeeds this one reasons about every dimension in symbols: minutes instead of seconds. Both
        # warn of sizes that become constants, which the models have only where they are.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
        warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.onnx")
        torch.onnx.export(
            module,
            inputs,
            buffer,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=OPSET,
            input_names=names,
            output_names=["score"],
            dynamic_axes={**axes, "score": {0: "batch"}},
        )
    return onnx.load_from_string(buffer.getvalue())


def exported_program(net: QualityNetwork, size: SizePolicy = NATIVE, precision: str = "float32") -> ExportedProgram:
    """Make a program for `torch.export.save`; arguments, inputs and output are those of `onnx_model`."""
    # A batch of one would be taken for a constant.
    module, inputs = _prepared(net, size, precision, batch=2, checked=True)
    module.hide_grid()
    # A file holds whole storages, and takes tensors of another layout for parts of one.
    module.to(memory_format=torch.contiguous_format)
    dynamic = torch.export.Dim.DYNAMIC
    axes = tuple({0: dynamic, 2: dynamic, 3: dynamic} for _ in inputs)
    with torch.no_grad():
        return torch.export.export(module, inputs, dynamic_shapes={"images": axes}, strict=False)


def input_names(net: QualityNetwork) -> list[str]:
    return ["image", "reference"][: 2 if net.config.mode == "FR" else 1]


def _prepared(
    net: QualityNetwork, size: SizePolicy, precision: str, batch: int, *, checked: bool
) -> tuple[_Exported, tuple[Tensor, ...]]:
    return _Exported(net, size, DTYPES[precision], checked=checked).eval(), example_images(net, batch)


def fixed_side(net: QualityNetwork) -> int | None:
    """Of the square images that the network itself takes and no others, as those on Swin do; None for any."""
    return net.backbone.fixed_side if isinstance(net, CFANet) else None


def example_images(net: QualityNetwork, batch: int) -> tuple[Tensor, ...]:
    """Images to trace the network with, one for each of its inputs."""
    side = fixed_side(net)
    sides = (224, 256) if side is None else (side, side)
    return tuple(torch.rand(batch, 3, *sides) for _ in input_names(net))


class _Exported(nn.Module):
    """The size rule, then the network; in operations that all formats have for dynamic sizes."""

    def __init__(self, net: QualityNetwork, size: SizePolicy, dtype: torch.dtype, *, checked: bool) -> None:
        super().__init__()
        self.net = keep_head_exact(fold(copy.deepcopy(net).cpu()).to(dtype))
        self.size = size
        self.dtype = dtype
        self.checked = checked
        pools = [module for module in self.net.modules() if isinstance(module, GatedPool)]
        for pool in pools:
            # The deepest level is on its own grid.
            pool.pool = _Unpooled() if pool is pools[-1] else _PoolByProducts()

    def hide_grid(self) -> None:
        """Make the deepest grid's size one of its own for `torch.export`, and all that is pooled to it."""
        net = self.net
        if not isinstance(net, CFANet) or fixed_side(net):
            return
        net.grid = _HiddenGrid(net.grid.stride)
        for pool in net.gated_pools:
            pool.pool = _PoolByProducts()

    def forward(self, *images: Tensor) -> Tensor:
        scores: Tensor = self.net(*(resize(image, self.size).to(self.dtype) for image in images)).float()
        return scores.masked_fill(~_are_valid(images, self.size), math.nan) if self.checked else scores


class _HiddenGrid(Grid):
    def forward(self, height: int, width: int) -> tuple[int, int]:
        rows, columns = super().forward(height, width)
        return _opaque(rows, 1), _opaque(columns, 1)


class _Unpooled(nn.Module):
    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:  # noqa: ARG002
        return x


class _PoolByProducts(nn.Module):
    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        return pool_by_products(x, grid)


def pool_by_products(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Adaptive average pooling ``(N, C, H, W) -> (N, C, h, w)`` as two matrix products."""
    rows, columns = (_windows(side, cells, x) for side, cells in zip(x.shape[-2:], grid, strict=True))
    return rows @ (x @ columns.t())


def _windows(side: int, cells: int, like: Tensor) -> Tensor:
    """The weight of each of ``side`` positions in the mean of each cell, ``(cells, side)``."""
    cell = torch.arange(cells, device=like.device)[:, None]
    position = torch.arange(side, device=like.device)
    start, end = cell * side // cells, ((cell + 1) * side + cells - 1) // cells
    inside = ((position >= start) & (position < end)).to(like.dtype)
    return inside / (end - start).to(like.dtype)


def resize(image: Tensor, size: SizePolicy) -> Tensor:
    """As `SizePolicy.apply`, without a branch: the size is what the graph computes from the image's."""
    if size.kind == "native":
        if is_traced():
            return image
        # Else `torch.export` would have the program refuse a side of which one place is left in the deepest map.
        return image[:, :, : _opaque(image.shape[2], MIN_SIDE), : _opaque(image.shape[3], MIN_SIDE)]
    sides = output_size(size, image.shape[-2], image.shape[-1])
    if is_traced():
        return resize_by_products(image, sides)
    if size.kind != "square":
        sides = _opaque(sides[0], MIN_SIDE), _opaque(sides[1], MIN_SIDE)
    return F.interpolate(image, size=sides, mode="bilinear", align_corners=False, antialias=True)


def resize_by_products(image: Tensor, sides: tuple[int, int]) -> Tensor:
    """Bilinear with antialiasing, ``(N, C, H, W) -> (N, C, h, w)``, as two matrix products.

    The runtimes of ONNX differ in what their own resizing does: OpenVINO's passes over the antialiasing.
    """
    rows, columns = (_triangles(*pair, image) for pair in zip(image.shape[-2:], sides, strict=True))
    return rows @ (image @ columns.t())


def _triangles(side: int, target: int, like: Tensor) -> Tensor:
    """The weight of each of ``side`` pixels in each of ``target`` pixels, ``(target, side)``.

    It falls linearly with the distance of their centres, to nothing at one pixel of the coarser grid.
    """
    # In units of half a pixel of a grid that both sides divide, so that distances are exact.
    center = (2 * torch.arange(target, device=like.device) + 1)[:, None] * side
    position = (2 * torch.arange(side, device=like.device) + 1) * target
    reach = side + target + _distance(side, target)
    weights = (1 - (position - center).to(like.dtype).abs() / reach).clamp(min=0)
    return weights / weights.sum(dim=1, keepdim=True)


def _opaque(side: int, least: int) -> int:
    """A side whose formula `torch.export` cannot see: it would carry it through every layer, at a great cost."""
    value = cast(int, torch.scalar_tensor(side, dtype=torch.int64).item())
    torch._check(value >= least)  # noqa: SLF001
    return value


def output_size(size: SizePolicy, height: int, width: int) -> tuple[int, int]:
    """As `SizePolicy.output_size`, in arithmetic that holds for sizes that are not known yet."""
    if size.side is None:
        return height, width
    if size.kind == "square":
        return size.side, size.side
    difference = _distance(height, width)
    side = size.side
    long, short = (height + width + difference) // 2, (height + width - difference) // 2
    if size.kind != "max_side":
        target = side if size.kind == "short_side" else _lesser(short, side)
        return target * height // short, target * width // short
    least = _lesser(short, side // 2)
    target = _lesser(long, _greater(side, least * long // short))
    return _greater(target * height // long, least), _greater(target * width // long, least)


def _distance(a: int, b: int) -> int:
    if any(isinstance(cast(object, side), torch.SymInt) for side in (a, b)):
        # A program's file has no `abs` of sizes.
        return cast(int, torch.sym_max(a, b) - torch.sym_min(a, b))
    return abs(a - b)


def _lesser(a: int, b: int) -> int:
    return (a + b - _distance(a, b)) // 2


def _greater(a: int, b: int) -> int:
    return (a + b + _distance(a, b)) // 2


def _are_valid(images: tuple[Tensor, ...], size: SizePolicy) -> Tensor:
    """Whether each of a batch of images, and its reference, is what `validate_images` lets through, ``(N,)``.

    Where sizes can be refused, wrong ones are.
    """
    height, width = images[0].shape[-2:]
    sides = (height, width, *(output_size(size, height, width) if is_traced() else ()))
    shapes = [side >= MIN_SIDE for side in sides]
    shapes += [other.shape[axis] == images[0].shape[axis] for other in images[1:] for axis in (0, 2, 3)]
    valid = torch.ones(1, dtype=torch.bool, device=images[0].device)
    for holds in shapes:
        if isinstance(cast(object, holds), Tensor):
            valid = valid & holds
        else:
            torch._check(holds)  # noqa: SLF001
    for image in images:
        low, high, mean = (reduce(image, dim=(1, 2, 3)) for reduce in (torch.amin, torch.amax, torch.mean))
        # Runtimes may pass over NaN when they look for extremes, but not when they add up.
        valid = valid & (low >= -RANGE_TOLERANCE) & (high <= 1 + RANGE_TOLERANCE) & (mean <= 2)
    return valid
