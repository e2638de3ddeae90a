"""Two processes with half the batch each have the gradients of one with the whole batch."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from topiq_metrics.training import losses
from topiq_metrics.training.gathering import gather, tell

LOSSES = ("mse", "nin", "plcc", "pairwise_rank", "emd")

STEP = """
import os
import sys
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from topiq_metrics.training import losses
from topiq_metrics.training.gathering import gather

torch.set_num_threads(1)
rank, world, store, output = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
if world > 1:
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.GELU(), torch.nn.Linear(8, 5)).double()
images, scores, shares = torch.randn(8, 6).double(), torch.rand(8).double(), torch.rand(8, 5).double().softmax(1)
half = slice(rank * 8 // world, (rank + 1) * 8 // world)
gradients = {}
for name in sys.argv[5:]:
    wrapped = DistributedDataParallel(net) if world > 1 else net
    net.zero_grad()
    out = wrapped(images[half])
    if name == "emd":
        loss = losses.emd(gather(out.softmax(1)), gather(shares[half]))
    else:
        loss = getattr(losses, name)(gather(out[:, 0]), gather(scores[half]))
    loss.backward()
    gradients[name] = [loss.detach(), *(parameter.grad.clone() for parameter in net.parameters())]
if rank == 0:
    torch.save(gradients, output)
if world > 1:
    dist.destroy_process_group()
# A thread of gloo that wants the interpreter while that ends aborts the process.
os._exit(0)
"""


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("steps")
    found = []
    for world in (1, 2):
        arguments = [str(world), str(folder / "store"), str(folder / f"{world}.pt"), *LOSSES]
        running = [subprocess.Popen([sys.executable, "-c", STEP, str(rank), *arguments]) for rank in range(world)]
        assert [process.wait(timeout=120) for process in running] == [0] * world
        found.append(torch.load(folder / f"{world}.pt"))
    return found


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_one_process(steps, name):
    alone, together = (step[name] for step in steps)
    for expected, got in zip(alone, together, strict=True):
        assert torch.allclose(got, expected, rtol=1e-9, atol=1e-12)
    assert max(gradient.abs().max() for gradient in alone[1:]) > 1e-3


def test_halves_alone_would_have_other_gradients():
    generator = torch.Generator().manual_seed(0)
    predictions, targets = torch.rand(2, 8, generator=generator)
    whole = losses.nin(predictions, targets)
    halves = [losses.nin(predictions[part], targets[part]) for part in (slice(4), slice(4, 8))]
    assert abs(whole - sum(halves) / 2) > 1e-3


def test_a_single_process_keeps_its_tensor():
    part = torch.rand(3)
    assert gather(part) is part


@pytest.mark.parametrize(("rank", "told"), [("0", "once\n"), ("1", "")])
def test_one_process_tells_people_things(rank, told, monkeypatch, capsys):
    monkeypatch.setenv("LOCAL_RANK", rank)
    tell("once")
    assert capsys.readouterr().err == told
