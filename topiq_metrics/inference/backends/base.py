"""Backends by name, and their properties."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from topiq_metrics._extras import missing
from topiq_metrics.inference.memory import DEFAULT_MAX_MEMORY, parse_memory
from topiq_metrics.inference.strips import score_within
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.models.network import QualityNetwork, float32_by_default, for_all_modes
from topiq_metrics.weights.sharing import HOLDINGS

Run: TypeAlias = Callable[..., Tensor]
"""Takes images ``(N, 3, H, W)`` in [0, 1] and, in full-reference mode, references; gives ``(N,)`` where they are."""

PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class BackendKind:
    """What is known of a backend before it is loaded.

    Attributes:
        deviations: by precision, how far a score of the bundled model is from PyTorch's in float32, at most, on
            photographs.
        package: what must be installed.
        extra: of ours, that installs it.
        devices: types of device it runs on.
    """

    deviations: dict[str, float]
    package: str = "torch"
    extra: str = ""
    devices: tuple[str, ...] = ("cpu", "cuda", "mps")


BACKENDS: dict[str, BackendKind] = {
    "openvino": BackendKind({"float32": 1e-5, "bfloat16": 0.03}, "openvino", "openvino", ("cpu",)),
    "onnxruntime": BackendKind({"float32": 1e-5}, "onnxruntime", "onnx", ("cpu",)),
    "torch": BackendKind({"float32": 1e-5, "bfloat16": 0.02, "float16": 0.005}),
    "compile": BackendKind({"float32": 1e-5, "bfloat16": 0.02}, devices=("cpu", "cuda")),
}
"""By name; ``"auto"`` is the first that is installed, has the precision and runs on the device."""


@dataclass(frozen=True)
class Backend:
    """What runs networks: call it with a network and images. Created by `choose_backend`.

    Attributes:
        name: ``"torch"``, ``"compile"``, ``"onnxruntime"``, ``"openvino"`` or ``"auto"``.
        precision: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        max_memory: bytes for one call, in addition to images and weights; None is no limit.
    """

    name: str
    precision: str
    max_memory: int | None

    @property
    def is_plain(self) -> bool:
        """Whether it is plain PyTorch in float32, which is differentiable."""
        return self.name == "torch" and self.precision == "float32"

    def __call__(self, net: QualityNetwork, image: Tensor, reference: Tensor | None = None) -> Tensor:
        """Score images ``(N, 3, H, W)`` with a folded network on their device: ``(N,)``.

        Raises:
            ValueError: if the backend does not run on that device, or gradients are asked for that it does not have.
        """
        if isinstance(net, CFANet):
            net.check_inputs(reference)
        images = [image] if reference is None else [image, reference]
        if not self.is_plain and torch.is_grad_enabled() and any(x.requires_grad for x in images):
            raise ValueError(
                f"Backend {self.name!r} in {self.precision} has no gradients: detach the images, or take backend "
                "'torch' in float32."
            )
        if self.is_plain:
            return score_within(net, *images, max_memory=self.max_memory)
        return self.open(net, image.device)(*images)

    def open(self, net: QualityNetwork, device: torch.device) -> Run:
        """Prepare a folded network to run on its device; done once per network, and anew when its weights were changed.

        Raises:
            ValueError: if the backend does not run on the device, or the network is not in float32.
            RuntimeError: if the backend cannot convert or compile the network.
        """
        chosen = self.on(device)
        return HOLDINGS.make_once(net, chosen, lambda: _open(chosen, net), state=_state(net))

    def on(self, device: torch.device | str) -> Backend:
        """The backend for a device; for ``"auto"``, the one that it selects there.

        Raises:
            ValueError: if the backend does not run on the device.
        """
        kind = torch.device(device).type
        if self.name == "auto":
            able = (name for name, it in BACKENDS.items() if self.precision in it.deviations and kind in it.devices)
            name = next(filter(_is_installed, able), "torch")
            return replace(self, name=name).on(device)
        chosen = BACKENDS[self.name]
        if kind not in chosen.devices:
            raise ValueError(
                f"Backend {self.name!r} runs on {' and '.join(chosen.devices)}, but the device is {kind}: take backend "
                "'torch', or another device."
            )
        check_precision(self.precision, kind)
        return self


def _state(net: QualityNetwork) -> Hashable:
    """Where the weights lie, and how often they were written to."""
    # At each call, so without their names, which take longer.
    holders = ((*module._parameters.values(), *module._buffers.values()) for module in net.modules())  # noqa: SLF001
    tensors = (x for held in holders for x in held if x is not None)
    return tuple((x.data_ptr(), 0 if x.is_inference() else x._version) for x in tensors)  # noqa: SLF001


def _open(backend: Backend, net: QualityNetwork) -> Run:
    dtype = next(net.parameters()).dtype
    if not backend.is_plain and dtype != torch.float32:
        raise ValueError(
            f"Backend {backend.name!r} in {backend.precision} takes networks in float32, but got {dtype}: choose a "
            "`precision` instead of casting the network."
        )
    with undisturbed():
        module = importlib.import_module(f"topiq_metrics.inference.backends.{backend.name}_backend")
        run: Run = module.open_network(net, backend.precision, backend.max_memory)
    return run


def check_precision(precision: str, device: str) -> None:
    """Raise ValueError unless a type of device is good at a precision."""
    if precision == "float16" and device == "cpu":
        raise ValueError("PyTorch is slower in float16 than in float32 on a CPU: use precision 'bfloat16'.")
    if precision == "bfloat16" and device == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ValueError("This GPU does not support bfloat16: use precision 'float16'.")


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let nothing that is made depend on the modes of whoever asks first, nor advance their random numbers."""
    with contextlib.ExitStack() as stack:
        for context in (float32_by_default(), for_all_modes(), torch.device("cpu")):
            stack.enter_context(context)
        for kind in ("cpu", "cuda"):
            stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(torch.random.fork_rng(devices=[]))
        yield


def choose_backend(
    name: str = "torch", precision: str = "float32", max_memory: str | int | None = DEFAULT_MAX_MEMORY
) -> Backend:
    """Select a backend, and check that it is installed and supports the precision.

    Args:
        name: ``"torch"``, ``"compile"``, ``"onnxruntime"``, ``"openvino"``, or ``"auto"`` for the fastest that is
            installed and supports the precision, but never ``"compile"``.
        precision: ``"float32"``, which changes scores by rounding only, ``"bfloat16"`` or ``"float16"``.
        max_memory: for one call, in addition to images and weights, such as ``"2GB"``, at least 50 MB; None is no
            limit.

    Raises:
        ValueError: if there is no such backend, it does not support the precision, or ``max_memory`` is not a size or
            is less than 50 MB.
        ModuleNotFoundError: if the backend is not installed.
    """
    if not isinstance(name, str) or name not in {*BACKENDS, "auto"}:
        raise ValueError(f"Argument `backend` must be one of {(*BACKENDS, 'auto')}, but got {name!r}.")
    precisions = PRECISIONS if name == "auto" else tuple(BACKENDS[name].deviations)
    if precision not in precisions:
        raise ValueError(
            f"Argument `precision` must be one of {precisions} for backend {name!r}, but got {precision!r}."
        )
    if name != "auto" and not _is_installed(name):
        kind = BACKENDS[name]
        raise missing(kind.extra, f"Backend {name!r} needs {kind.package}", kind.package)
    return Backend(name, precision, parse_memory(max_memory))


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(BACKENDS[name].package) is not None
