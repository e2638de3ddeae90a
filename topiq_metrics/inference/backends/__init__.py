"""What runs a network: PyTorch as it is or compiled, ONNX Runtime, OpenVINO."""

from topiq_metrics.inference.backends.base import BACKENDS, PRECISIONS, Backend, BackendKind, Run, choose_backend

__all__ = ["BACKENDS", "PRECISIONS", "Backend", "BackendKind", "Run", "choose_backend"]
