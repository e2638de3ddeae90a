"""Compiled PyTorch: how often it compiles, and what it says where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from topiq_metrics.inference.backends import compile_backend
from topiq_metrics.models.lpips import LPIPSPlusConfig, LPIPSPlusNetwork
from topiq_metrics.weights import shared_network

SIZES = ((2, 64, 64), (3, 64, 96), (15, 40, 40), (2, 97, 33), (4, 200, 80), (1, 80, 96), (1, 75, 130))


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was compiled; code that would need to be compiled again raises."""
    compiled: list[Any] = []

    def compiler(graph: torch.fx.GraphModule, examples: list[Any]) -> Callable[..., Any]:
        compiled.append(graph)
        return graph.forward

    torch.compiler.reset()
    stance = torch.compiler.set_stance
    monkeypatch.setattr(compile_backend, "COMPILER", compiler)
    monkeypatch.setattr(torch.compiler, "set_stance", lambda _: stance("fail_on_recompile"))
    return compiled


def images(batch: int, height: int, width: int) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(height))


def part() -> nn.Module:
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.GELU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 8, 3, padding=1))
    return layers.to(memory_format=torch.channels_last).requires_grad_(requires_grad=False)


def test_a_part_is_compiled_once_for_all_sizes(compilations: list[Any]) -> None:
    layers = part()
    run = compile_backend._Part(layers)
    with torch.inference_mode():
        for batch, height, width in (*SIZES, (16, 9, 64), (40, 64, 64), (17, 33, 20)):
            x = images(batch, height, width)
            torch.testing.assert_close(run(x), layers(x))
            # Strips are cut out of larger maps.
            torch.testing.assert_close(run(x[:, :, 1:]), layers(x[:, :, 1:]))
        assert len(compilations) == len(compile_backend._EXAMPLES)
        run(images(2, 4, 64))
    assert len(compilations) == len(compile_backend._EXAMPLES)


def test_a_network_is_compiled_once_for_all_sizes(compilations: list[Any]) -> None:
    net = shared_network("topiq_nr-lite")
    run = compile_backend.open_network(net, "float32", 20_000_000)
    for batch, height, width in SIZES[:5]:
        x = images(batch, height, width)
        torch.testing.assert_close(run(x), net(x), rtol=0, atol=1e-5)
    # A step and a gate for each level.
    assert len(compilations) <= 10


def test_compiled_code() -> None:
    try:
        compile_backend.check_compiler(torch.device("cpu"))
    except RuntimeError as error:
        pytest.skip(str(error))
    layers = part()
    run = compile_backend._Part(layers)
    with torch.inference_mode():
        for size in SIZES[:2]:
            x = images(*size)
            torch.testing.assert_close(run(x), layers(x))


def test_a_compiler_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("no-such-compiler",))
    with pytest.raises(RuntimeError, match="needs a C\\+\\+ compiler and found none: install one"):
        compile_backend.open_network(shared_network("topiq_nr-lite"), "float32", None)


def test_a_compiler_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(graph: torch.fx.GraphModule, examples: list[Any]) -> Callable[..., Any]:
        raise NotImplementedError("out of order")

    monkeypatch.setattr(compile_backend, "COMPILER", broken)
    with pytest.raises(RuntimeError, match=r"(?s)could not compile the network; take another backend.*out of order"):
        compile_backend._Part(part())(images(2, 64, 64))


def test_other_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="Backend 'compile' is for TOPIQ networks on a convolutional backbone"):
        compile_backend.open_network(LPIPSPlusNetwork(LPIPSPlusConfig()), "float32", None)


def test_cuda_graphs_are_kept_for_a_few_sizes_that_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def mean(x: Tensor) -> Tensor:
        return x.mean(dim=(1, 2, 3))

    def record(self: compile_backend._Graphs, inputs: tuple[Tensor, ...]) -> compile_backend._Recorded:
        own = [x.clone() for x in inputs]
        scores = torch.zeros(len(own[0]))
        recorded.append(own[0].shape)
        return compile_backend._Recorded(own, scores, lambda: scores.copy_(mean(*own)))

    recorded: list[torch.Size] = []
    monkeypatch.setattr(compile_backend._Graphs, "record", record)
    run = compile_backend._Graphs(mean)
    sides = range(8, 8 + 2 * compile_backend._GRAPHS)
    for repeat in range(1, 6):
        for side in sides:
            x = images(2, side, side) / repeat
            torch.testing.assert_close(run(x), mean(x))
        assert len(recorded) == (compile_backend._GRAPHS if repeat >= compile_backend._OFTEN else 0)
