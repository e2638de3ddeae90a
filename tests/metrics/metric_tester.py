"""What torchmetrics' own MetricTester does, which is not in its wheel: real processes, and a reference on all data."""

from __future__ import annotations

import importlib
import multiprocessing
import pickle
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
from torch import Tensor, nn

import topiq_metrics
from topiq_metrics.catalog import ModelCard
from topiq_metrics.models import cfanet
from topiq_metrics.models.backbones import Backbone
from topiq_metrics.models.cfanet import CFANet, CFANetConfig
from topiq_metrics.models.lpips import LPIPSPlusConfig, LPIPSPlusNetwork
from topiq_metrics.models.network import QualityNetwork

WORLD = 2
TIMEOUT = 60.0
START_TIMEOUT = 500.0


class TinyBackbone(Backbone):
    """Two smooth levels, so that a network runs in a millisecond and gradcheck meets no kinks."""

    channels = (6, 8)
    strides = (4, 8)
    mean = (0.5, 0.5, 0.5)
    std = (0.25, 0.25, 0.25)
    step_layers = (("shallow", "norm", "tanh.0"), ("deep", "tanh.1"))

    def __init__(self) -> None:
        super().__init__()
        self.shallow = CoveringConv2d(3, 6, 4, stride=4)
        self.norm = nn.BatchNorm2d(6)
        self.deep = CoveringConv2d(6, 8, 2, stride=2)
        self.tanh = nn.ModuleList(nn.Tanh() for _ in self.channels)


class CoveringConv2d(nn.Conv2d):
    """Takes in what the last, incomplete windows hold, too."""

    def forward(self, x: Tensor) -> Tensor:
        rest = self.stride[0] - 1
        return super().forward(nn.functional.pad(x, (0, rest, 0, rest)))


def tiny_network(mode: str = "NR", *, bins: int = 1, seed: int = 0, name: str = "") -> CFANet:
    """A frozen network, the same in every process, whose scores differ a lot between images."""
    with torch.random.fork_rng(devices=[]), mock.patch.object(cfanet, "build_backbone") as build:
        torch.manual_seed(seed)
        build.return_value = TinyBackbone()
        net = CFANet(CFANetConfig(mode=mode, dim=8, heads=2, bins=bins, gate_width=4, dropout=0.5), name)
        with torch.no_grad():
            net.head[-1].weight.mul_(20)
    return net.requires_grad_(False).eval()


def network_for(card: ModelCard) -> QualityNetwork:
    """A small frozen network for the metric of a card."""
    if isinstance(card.network, LPIPSPlusConfig):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return LPIPSPlusNetwork(card.network).requires_grad_(False).eval()
    return tiny_network(card.mode, bins=card.bins)


def make_images(count: int, seed: int = 0, side: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 3, side, side, generator=generator)
    return images * torch.rand(count, 3, 1, 1, generator=generator)


def true_scores(net: CFANet, *images: Tensor) -> Tensor:
    """The score of each image, alone in its batch."""
    with torch.no_grad():
        return torch.cat([net(*(image[None] for image in row)) for row in zip(*images, strict=True)])


def reduce_scores(scores: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return scores
    return (scores.double().sum() if reduction == "sum" else scores.double().mean()).float()


@dataclass(frozen=True)
class Case:
    """One metric and what each process does with it; all of it can be pickled."""

    metric: str
    batches: Sequence[tuple[Tensor, ...]]
    mode: str = "NR"
    bins: int = 1
    arguments: dict[str, Any] = field(default_factory=dict)
    shares: Sequence[Sequence[int]] | None = None
    method: str = "forward"

    def net(self) -> CFANet:
        return tiny_network(self.mode, bins=self.bins)

    def build(self) -> Any:
        return getattr(topiq_metrics, self.metric)(net=self.net(), **self.arguments)

    def share(self, rank: int) -> Sequence[int]:
        return range(rank, len(self.batches), WORLD) if self.shares is None else self.shares[rank]

    def expected(self, indices: Sequence[int]) -> Tensor:
        images = [torch.cat([self.batches[i][k] for i in indices]) for k in range(len(self.batches[0]))]
        return reduce_scores(true_scores(self.net(), *images), self.arguments.get("reduction", "mean"))


def follow(rank: int, case: Case) -> tuple[list[Tensor], Tensor, Tensor]:
    """Values of the batches, the final value, and that of this process alone."""
    metric = case.build()
    values = [getattr(metric, case.method)(*case.batches[index]) for index in case.share(rank)]
    final = metric.compute()
    metric.sync_on_compute = metric._to_sync = False
    metric._computed = None
    return values, final, metric.compute()


def follow_cast(rank: int, case: Case) -> Tensor:
    """The final value of a metric inside a model that was cast to half precision."""
    metric = case.build()
    nn.ModuleList([metric]).to(torch.float16)
    for index in case.share(rank):
        metric.update(*case.batches[index])
    return metric.compute()


def describe_group(rank: int) -> tuple[int, int, str]:
    return rank, dist.get_world_size(), dist.get_backend()


def require_group() -> None:
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() == WORLD):
        raise RuntimeError(f"This needs a group of {WORLD} processes.")


class Pool:
    """Two gloo workers that run one function after another; a hang or an error in either fails the test."""

    def __init__(self, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.connections: list[Connection] = []
        self.processes = []
        for rank in range(WORLD):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(rank, theirs, str(folder / "store")), daemon=True)
            process.start()
            theirs.close()
            self.connections.append(ours)
            self.processes.append(process)
        collect(self.connections, timeout=START_TIMEOUT)

    def run(self, function: Callable[..., Any], *args: Any) -> list[Any]:
        """What ``function(rank, *args)`` gives in each process; the function must be importable by name."""
        for connection in self.connections:
            connection.send_bytes(pickle.dumps((function, args)))
        return collect(self.connections, timeout=TIMEOUT)

    def close(self) -> None:
        for connection, process in zip(self.connections, self.processes, strict=True):
            process.kill()
            process.join()
            connection.close()


def collect(connections: Sequence[Connection], timeout: float) -> list[Any]:
    deadline = time.monotonic() + timeout
    results = []
    for rank, connection in enumerate(connections):
        if not connection.poll(max(deadline - time.monotonic(), 0)):
            raise TimeoutError(f"Process {rank} did not answer within {timeout} s.")
        done, result = pickle.loads(connection.recv_bytes())
        if not done:
            raise RuntimeError(f"Process {rank} failed:\n{result}")
        results.append(result)
    return results


def _serve(rank: int, connection: Connection, store: str) -> None:
    torch.set_num_threads(1)
    # Loading torchmetrics takes its time, and is not to count against the first job.
    importlib.import_module("topiq_metrics.metrics")
    limit = timedelta(seconds=START_TIMEOUT)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=WORLD, timeout=limit)
    answer: tuple[bool, Any] = (True, None)
    while True:
        try:
            connection.send_bytes(pickle.dumps(answer))
            function, args = pickle.loads(connection.recv_bytes())
        except (EOFError, OSError):
            return
        try:
            require_group()
            answer = True, function(rank, *args)
        except Exception:  # noqa: BLE001 - it goes to the test
            answer = False, traceback.format_exc()
