"""OpenVINO, on the CPU."""

from __future__ import annotations

import copy
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from topiq_metrics.inference.backends.base import Run
from topiq_metrics.inference.backends.graphs import Graph, cached_graph, run_within
from topiq_metrics.inference.openvino_core import openvino_core
from topiq_metrics.models.backbones.efficientnet_lite import SameConv2d
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.models.network import QualityNetwork
from topiq_metrics.models.rewrites.exact_head import keep_head_exact
from topiq_metrics.models.rewrites.first_step import AfterFirstStep, FirstStep

Network = TypeVar("Network", bound=QualityNetwork)
Array: TypeAlias = "npt.NDArray[np.float32]"

_STRUCTURE, _WEIGHTS = "graph.xml", "graph.bin"
_WIDE = 64
_FEW_TOKENS = 64
"""Side of an image whose deepest map has more than one place."""
_HINTS = {"float32": "f32", "bfloat16": "bf16"}


def open_network(net: QualityNetwork, precision: str, max_memory: int | None) -> Run:
    """See `topiq_metrics.inference.backends.Backend.open`.

    In bfloat16, a backbone's first step stays in float32 if its maps are few: rounding them hides an image's finest
    noise. Of wider ones, that takes a third more time.
    """
    from topiq_metrics.inference.export.graph import fixed_side

    run = _open(net, precision)
    # After a first image with one token, OpenVINO would compute the attention of all others wrongly.
    side = fixed_side(net) or _FEW_TOKENS
    run(*(image[:1, :, :side, :side] for image in _examples(net)))
    return run_within(net, run, max_memory)


def _open(net: QualityNetwork, precision: str) -> Run:
    if precision == "float32" or not isinstance(net, CFANet) or net.backbone.channels[0] >= _WIDE:
        whole = _compiled(net, "", precision, lambda: _make_whole(net))
        return lambda *images: _scores(whole(*map(_array, images)))
    first = _compiled(net, "-first", "float32", lambda: _make_first(net))
    rest = _compiled(net, "-rest", precision, lambda: _make_rest(net))

    def run_in_two(*images: Tensor) -> Tensor:
        arrays = [_array(image) for image in images]
        # The maps are large: they are read where they were made, which their requests hold.
        made = [first(array) for array in arrays]
        return _scores(rest(*arrays, *(request.get_output_tensor().data for request in made)))

    return run_in_two


def _array(image: Tensor) -> Array:
    found: Array = image.detach().float().contiguous().numpy()
    return found


def _scores(request: Any) -> Tensor:
    return torch.from_numpy(request.get_output_tensor().data.copy())


def _compiled(net: QualityNetwork, part: str, precision: str, make: Callable[[], Graph]) -> Callable[..., Any]:
    """Runs a graph on arrays; gives the request that holds what it made of them."""
    import openvino

    graph = cached_graph(net, f"openvino-{openvino.__version__.partition('-')[0]}{part}", make)
    core = openvino_core()
    weights = openvino.Tensor(np.frombuffer(graph[_WEIGHTS], np.uint8))
    settings = {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "NUM_STREAMS": 1,
    }
    compiled = core.compile_model(core.read_model(graph[_STRUCTURE], weights), "CPU", settings)

    def run(*arrays: Array) -> Any:
        # Of its own, so that several threads may call.
        request = compiled.create_infer_request()
        request.infer(list(arrays), share_inputs=True)
        return request

    return run


def _copy(net: Network) -> Network:
    return copy.deepcopy(net).eval()


def _make_whole(net: QualityNetwork) -> Graph:
    return _make(net, keep_head_exact(_copy(net)), _examples(net))


def _make_first(net: CFANet) -> Graph:
    return _make(net, FirstStep(_copy(net)), _examples(net)[:1])


def _make_rest(net: CFANet) -> Graph:
    whole, images = keep_head_exact(_copy(net)), _examples(net)
    with torch.no_grad():
        maps = map(FirstStep(whole), images)
        return _make(net, AfterFirstStep(whole), (*images, *maps))


def _examples(net: QualityNetwork) -> tuple[Tensor, ...]:
    from topiq_metrics.inference.export.graph import example_images

    return example_images(net, batch=2)


def _make(net: QualityNetwork, part: nn.Module, inputs: tuple[Tensor, ...]) -> Graph:
    """Trace a part of a network, with every dimension of its inputs dynamic but the channels, and fixed sides."""
    import openvino

    from topiq_metrics.inference.export.graph import fixed_side

    model = _convert(part, inputs)
    _fuse_same_padding(model, part)
    _interpolate_like_torch(model)
    shapes: dict[int, list[int]] = {}
    for index, x in enumerate(inputs):
        sides = x.shape[2:] if fixed_side(net) else (-1, -1)
        shapes[index] = [-1, x.shape[1], *sides]
    model.reshape(shapes)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _STRUCTURE
        openvino.save_model(model, path, compress_to_fp16=False)
        return {name: (path.parent / name).read_bytes() for name in (_STRUCTURE, _WEIGHTS)}


def _fuse_same_padding(model: Any, part: nn.Module) -> None:
    """Have convolutions with uneven padding pad by themselves: a step of its own copies maps and keeps others apart."""
    from openvino import opset13

    makers = {"Convolution": opset13.convolution, "GroupConvolution": opset13.group_convolution}
    padded = tuple(f"__module.{name}/" for name, child in part.named_modules() if isinstance(child, SameConv2d))
    for node in model.get_ordered_ops():
        if node.get_type_name() in makers and node.get_friendly_name().startswith(padded):
            pad, weights, of = node.input_value(0).get_node(), node.input_value(1), node.get_attributes()
            if pad.get_type_name() == "Pad":
                fused = makers[node.get_type_name()](
                    pad.input_value(0), weights, of["strides"], [0, 0], [0, 0], of["dilations"], auto_pad="same_upper"
                )
                node.output(0).replace(fused.output(0))


def _interpolate_like_torch(model: Any) -> None:
    """Have sides of one pixel interpolated as longer ones are: OpenVINO reads PyTorch's operation otherwise."""
    from openvino import opset11

    for node in model.get_ordered_ops():
        if node.get_type_name() == "Interpolate":
            of = {**node.get_attributes(), "coordinate_transformation_mode": "half_pixel"}
            image, sizes, *axes = node.input_values()
            node.output(0).replace(opset11.interpolate(image, sizes, axes=axes[0] if axes else None, **of).output(0))


def _convert(net: nn.Module, images: tuple[Tensor, ...]) -> Any:
    """As `openvino.convert_model`, which tells its maker of each use."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        # Of tracing itself, and of branches that all sizes take alike.
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
        warnings.filterwarnings("ignore", "`torch.jit", category=FutureWarning)
        warnings.filterwarnings("ignore", "`torch.jit", category=DeprecationWarning)
        decoder = TorchScriptPythonDecoder(net, example_input=images)
    frontend = FrontEndManager().load_by_framework("pytorch")
    return frontend.convert(frontend.load(decoder))
