"""The formats: how a network is written to a file, and how the file is run."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from topiq_metrics._extras import missing
from topiq_metrics.images import SizePolicy
from topiq_metrics.inference.backends.base import Run
from topiq_metrics.inference.export.graph import NATIVE, OPSET, exported_program, onnx_model
from topiq_metrics.inference.openvino_core import openvino_core
from topiq_metrics.models.network import QualityNetwork

if TYPE_CHECKING:
    import openvino

METADATA_FILE = "topiq_metrics.json"
"""The extra file of a ``.pt2`` that has the metadata, a JSON object."""


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: what it is called.
        suffix: what its files end in.
        write: writes a network under a size rule in a precision, with metadata, to a path of that suffix.
        open: makes what runs such a file, in a session of its own.
        opset: version of ONNX's operators, or None.
        also: suffixes of further files that are written beside it.
        packages: what must be installed.
        extra: of ours, that installs them.
    """

    name: str
    suffix: str
    write: Callable[[QualityNetwork, SizePolicy, str, Mapping[str, str], Path], None]
    open: Callable[[Path], Run]
    opset: int | None = None
    also: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    extra: str = ""

    def require(self) -> None:
        """Raise ModuleNotFoundError if a package is not installed."""
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                raise missing(self.extra, f"Export to {self.suffix} needs {package}", package)


def _write_onnx(net: QualityNetwork, size: SizePolicy, precision: str, about: Mapping[str, str], path: Path) -> None:
    import onnx

    model = onnx_model(net, size, precision)
    model.producer_name, model.producer_version = "topiq-metrics", about["version"]
    model.doc_string = about["input"]
    onnx.helper.set_model_props(model, dict(about))
    onnx.checker.check_model(model)
    onnx.save_model(model, path)


def _open_onnx(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]

    def run(*images: Tensor) -> Tensor:
        inputs = {name: image.numpy() for name, image in zip(names, images, strict=True)}
        return torch.from_numpy(session.run(["score"], inputs)[0])

    return run


def _write_program(net: QualityNetwork, size: SizePolicy, precision: str, about: Mapping[str, str], path: Path) -> None:
    torch.export.save(
        exported_program(net, size, precision), path, extra_files={METADATA_FILE: json.dumps(dict(about))}
    )


def _open_program(path: Path) -> Run:
    module = torch.export.load(path).module()

    def run(*images: Tensor) -> Tensor:
        with torch.no_grad():
            scores: Tensor = module(*images)
        return scores

    return run


def _write_openvino(
    net: QualityNetwork, size: SizePolicy, precision: str, about: Mapping[str, str], path: Path
) -> None:
    import openvino

    model = openvino_model(net, size)
    for key, value in about.items():
        model.set_rt_info(value, ["topiq_metrics", key])
    openvino.save_model(model, path, compress_to_fp16=precision == "float16")


def openvino_model(net: QualityNetwork, size: SizePolicy = NATIVE) -> openvino.Model:
    """Make a float32 OpenVINO model of a network; inputs and output are those of `onnx_model`."""
    return openvino_core().read_model(onnx_model(net, size).SerializeToString())


def _open_openvino(path: Path) -> Run:
    # A kernel that it keeps from a first image with one token would be wrong for all others.
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "CPU_RUNTIME_CACHE_CAPACITY": "0"}
    compiled = openvino_core().compile_model(path, "CPU", settings)

    def run(*images: Tensor) -> Tensor:
        return torch.from_numpy(compiled([image.numpy() for image in images])[0].copy())

    return run


FORMATS = {
    form.suffix: form
    for form in (
        Format("ONNX", ".onnx", _write_onnx, _open_onnx, OPSET, packages=("onnx", "onnxruntime"), extra="onnx"),
        Format("PyTorch exported program", ".pt2", _write_program, _open_program),
        Format(
            "OpenVINO IR",
            ".xml",
            _write_openvino,
            _open_openvino,
            also=(".bin",),
            packages=("onnx", "openvino"),
            extra="openvino",
        ),
    )
}
"""By the suffix of the file."""
