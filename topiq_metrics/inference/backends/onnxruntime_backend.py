"""ONNX Runtime, on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from topiq_metrics.inference.backends.base import Run
from topiq_metrics.inference.backends.graphs import Graph, cached_graph, run_within
from topiq_metrics.models.network import QualityNetwork

_FILE = "graph.onnx"


def open_network(net: QualityNetwork, precision: str, max_memory: int | None) -> Run:
    """See `topiq_metrics.inference.backends.Backend.open`."""
    import onnxruntime

    del precision

    def make() -> Graph:
        from topiq_metrics.inference.export.graph import onnx_model

        return {_FILE: onnx_model(net, checked=False).SerializeToString()}

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Of what runs again and again at one size it makes a plan, for each size that comes, without end.
    options.enable_mem_pattern = False
    # Threads wait busily within a call, not after it.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(
        cached_graph(net, "onnx", make)[_FILE], options, providers=["CPUExecutionProvider"]
    )
    names = [it.name for it in session.get_inputs()]

    def run(*images: Tensor) -> Tensor:
        inputs = {name: x.detach().float().contiguous().numpy() for name, x in zip(names, images, strict=True)}
        return torch.from_numpy(session.run(None, inputs)[0])

    return run_within(net, run, max_memory)
