"""Compiled PyTorch: each step of the backbone and each gate, once for images of all sizes."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import torch
import torch._dynamo
import torch._inductor.config
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException
from torch._inductor.cpp_builder import get_cpp_compiler
from torch._inductor.exc import CppCompileError, InvalidCxxCompiler

from topiq_metrics.inference.backends.base import Run, check_precision
from topiq_metrics.inference.backends.torch_backend import DTYPES, reduce_precision, share
from topiq_metrics.inference.strips import has_strips, score_within
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.models.network import QualityNetwork, float32_by_default
from topiq_metrics.models.pooling import GatedPool

Maps: TypeAlias = "Tensor | tuple[Tensor, ...]"

COMPILER = "inductor"

_LEAST_SIDE = 8
"""Of maps that run compiled code; where sides come down to 1, PyTorch chooses other ways."""

_EXAMPLES = {1: (80, 112), 2: (40, 56), 16: (20, 28)}
"""The least batches for which PyTorch chooses the same ways for all up to the next: code is compiled for each.

With the height and width of the maps that are compiled for: not alike, which would be taken for a rule, and for one
image not so small that PyTorch chooses other ways.
"""

_GRAPHS = 4
"""CUDA graphs are kept for so many sizes, since each holds memory."""

_OFTEN = 3
"""A size that comes so many times gets a CUDA graph."""


def open_network(net: QualityNetwork, precision: str, max_memory: int | None) -> Run:
    """See `topiq_metrics.inference.backends.Backend.open`.

    Raises:
        ValueError: if it is no network that is compiled here, or its device does not have the precision.
        RuntimeError: if there is nothing to compile with.
    """
    if not has_strips(net):
        raise ValueError(
            f"Backend 'compile' is for TOPIQ networks on a convolutional backbone, which {net.name!r} is not: "
            "take backend 'torch'."
        )
    device = next(net.parameters()).device
    check_precision(precision, device.type)
    check_compiler(device)
    is_reduced = precision != "float32"
    own = compile_parts(reduce_precision(net, DTYPES[precision]) if is_reduced else share(net))

    def run(*images: Tensor) -> Tensor:
        # What autocast would cache are casts of weights, and there are none left to make.
        with torch.autocast(device.type, DTYPES.get(precision), enabled=is_reduced, cache_enabled=False):
            return score_within(own, *images, max_memory=max_memory).float()

    runner = _Graphs(run) if device.type == "cuda" else run

    def run_frozen(image: Tensor, reference: Tensor | None = None) -> Tensor:
        # In one mode throughout: code is compiled for tensors of inference mode or for others, and one default type.
        with torch.inference_mode(), float32_by_default():
            scores = runner(*(x for x in (image, reference) if x is not None))
        return scores.clone()

    return run_frozen


def check_compiler(device: torch.device) -> None:
    """Raise RuntimeError unless there is what compiled code is made with."""
    if device.type == "cuda":
        from torch.utils._triton import has_triton

        if not has_triton():
            raise RuntimeError("Backend 'compile' needs Triton for this GPU: pip install triton")
        return
    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise RuntimeError(
            "Backend 'compile' needs a C++ compiler and found none: install one, such as g++ (on Debian and Ubuntu: "
            "apt install g++), name it in the environment variable CXX, or take another backend."
        ) from error


def compile_parts(net: CFANet) -> CFANet:
    """Have a network of one's own run compiled code, in place.

    What is local, which is nearly all the work, is compiled part by part; attention on the small grid stays as it is.
    The parts know nothing of each other's sizes: to compile the network as a whole for all sizes takes minutes of
    reasoning about them. Images in strips run the same parts.
    """
    for level in range(len(net.gated_pools)):
        net.backbone.replace_step(level, _Part(nn.Sequential(*net.backbone.layers(level))))
        net.gated_pools[level] = _CompiledPool(cast(GatedPool, net.gated_pools[level]))
    return net


class _CompiledPool(GatedPool):
    """A gated pool whose gate is compiled."""

    def __init__(self, plain: GatedPool) -> None:
        super().__init__(plain.out_channels)
        self.part = _Part(plain.gated)

    def gated(self, *features: Tensor) -> tuple[Tensor, ...]:
        maps: tuple[Tensor, ...] = self.part(*features)
        return maps


class _Part(nn.Module):
    """A function of maps ``(N, C, H, W)`` that is compiled once for each of `_EXAMPLES`, for all H and W."""

    def __init__(self, function: Callable[..., Maps]) -> None:
        super().__init__()
        self.function = function
        self.compiled = {
            least: torch.compile(_private(function), fullgraph=True, dynamic=False, backend=COMPILER)
            for least in _EXAMPLES
        }
        self.ready: set[int] = set()

    def forward(self, *maps: Tensor) -> Maps:
        if min(maps[0].shape[-2:]) < _LEAST_SIDE:
            return self.function(*maps)
        inputs = [x.contiguous(memory_format=torch.channels_last) for x in maps]
        least = max(least for least in _EXAMPLES if least <= len(inputs[0]))
        with _stance_lock:
            if least not in self.ready:
                self._compile(least, inputs)
                self.ready.add(least)
            # Sizes that the code does not cover after all must not be compiled for one by one.
            with torch.compiler.set_stance("eager_on_recompile"):
                return self.compiled[least](*inputs)

    def _compile(self, least: int, inputs: Sequence[Tensor]) -> None:
        examples = []
        for x in inputs:
            example = x.new_zeros(least, x.shape[1], *_EXAMPLES[least]).contiguous(memory_format=torch.channels_last)
            for dim in (2, 3) if least == 1 else (0, 2, 3):
                torch._dynamo.mark_dynamic(example, dim)  # noqa: SLF001
            examples.append(example)
        try:
            # Weights that are known to stay are packed for the processor once, and convolutions take in activations.
            with torch._inductor.config.patch(freezing=x.device.type == "cpu"):  # noqa: SLF001
                self.compiled[least](*examples)
        except (TorchDynamoException, CppCompileError) as error:
            raise RuntimeError(
                f"PyTorch {torch.__version__} could not compile the network; take another backend, such as 'torch'. "
                f"It says: {error}"
            ) from error


def _private(function: Callable[..., Maps]) -> Callable[..., Maps]:
    """The same function with code of its own, since all that runs one piece of code shares a limit on compilations."""

    def call(*maps: Tensor) -> Maps:
        return function(*maps)

    call.__code__ = call.__code__.replace(co_name=f"{call.__code__.co_name}_{next(_numbers)}")
    return call


_numbers = itertools.count()

_stance_lock = threading.RLock()
"""The stance is the whole process's."""


class _Graphs:
    """Records what runs on a GPU as CUDA graphs, for the first few sizes that come back; others run as they are."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.counts: Counter[torch.Size] = Counter()
        self.recorded: dict[torch.Size, _Recorded] = {}
        self.pool: Any = None
        self.lock = threading.Lock()

    def __call__(self, *images: Tensor) -> Tensor:
        size = images[0].shape
        with self.lock:
            if size not in self.recorded:
                if len(self.recorded) == _GRAPHS:
                    return self.run(*images)
                self.counts[size] += 1
                if self.counts[size] < _OFTEN:
                    return self.run(*images)
                self.recorded[size] = self.record(images)
            recorded = self.recorded[size]
            for own, image in zip(recorded.images, images, strict=True):
                own.copy_(image)
            recorded.replay()
            # The graph's own memory is overwritten by the next one, with which it is shared.
            return recorded.scores.clone()

    def record(self, images: Sequence[Tensor]) -> _Recorded:
        own = [image.clone() for image in images]
        with torch.cuda.device(images[0].device):
            self.pool = self.pool or torch.cuda.graph_pool_handle()
            # What is done once, such as choosing algorithms, must not be recorded.
            stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                self.run(*own)
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self.pool):
                scores = self.run(*own)
        return _Recorded(own, scores, graph.replay)


@dataclass(frozen=True)
class _Recorded:
    """What a CUDA graph reads and writes, and what starts it."""

    images: Sequence[Tensor]
    scores: Tensor
    replay: Callable[[], None]
