"""OpenVINO, on the CPU."""

from __future__ import annotations

import copy
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from topiq_metrics.inference.backends.base import Run
from topiq_metrics.inference.backends.graphs import Graph, cached_graph, run_within
from topiq_metrics.models.network import QualityNetwork
from topiq_metrics.models.rewrites.exact_head import keep_head_exact

_STRUCTURE, _WEIGHTS = "graph.xml", "graph.bin"
_HINTS = {"float32": "f32", "bfloat16": "bf16"}


def open_network(net: QualityNetwork, precision: str, max_memory: int | None) -> Run:
    """See `topiq_metrics.inference.backends.Backend.open`."""
    import openvino

    graph = cached_graph(net, f"openvino-{openvino.__version__.partition('-')[0]}", lambda: _make(net))
    core = openvino.Core()
    weights = openvino.Tensor(np.frombuffer(graph[_WEIGHTS], np.uint8))
    settings = {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "NUM_STREAMS": 1,
    }
    compiled = core.compile_model(core.read_model(graph[_STRUCTURE], weights), "CPU", settings)

    def run(*images: Tensor) -> Tensor:
        # Of its own, so that several threads may call.
        request = compiled.create_infer_request()
        request.infer([x.detach().float().contiguous().numpy() for x in images], share_inputs=True)
        return torch.from_numpy(request.get_output_tensor().data.copy())

    return run_within(net, run, max_memory)


def _make(net: QualityNetwork) -> Graph:
    """Trace a network, with every dimension of its images dynamic but the channels, and fixed sides."""
    import openvino

    from topiq_metrics.inference.export.graph import example_images, fixed_side

    images = example_images(net, batch=2)
    model = _convert(keep_head_exact(copy.deepcopy(net).eval()), images)
    sides = images[0].shape[-2:] if fixed_side(net) else (-1, -1)
    model.reshape({index: [-1, 3, *sides] for index in range(len(images))})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _STRUCTURE
        openvino.save_model(model, path, compress_to_fp16=False)
        return {name: (path.parent / name).read_bytes() for name in (_STRUCTURE, _WEIGHTS)}


def _convert(net: QualityNetwork, images: tuple[Tensor, ...]) -> Any:
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
