"""Metrics as files for other runtimes: ONNX, a PyTorch exported program, OpenVINO IR."""

from topiq_metrics.inference.export.check import TOLERANCES, ExportError
from topiq_metrics.inference.export.files import Export, export_metric
from topiq_metrics.inference.export.formats import FORMATS, Format
from topiq_metrics.inference.export.graph import OPSET, onnx_model

__all__ = ["FORMATS", "OPSET", "TOLERANCES", "Export", "ExportError", "Format", "export_metric", "onnx_model"]
