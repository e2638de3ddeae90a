"""The whole batch of a step, of which each process has a part."""

from __future__ import annotations

import os
import sys
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def is_first_process() -> bool:
    """Whether this process is the one that tells people things, also before the processes know of each other."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def tell(text: str) -> None:
    """Write a line to stderr, once for all processes."""
    if is_first_process():
        sys.stderr.write(f"{text}\n")


def gather(part: Tensor) -> Tensor:
    """Join what all processes hold, in the order of their ranks; of a single process, the tensor itself.

    A loss over the joined batch is the same in each process. Its gradients go back to the process that each image is
    of, summed over processes, so that the mean over processes that data-parallel training takes is the gradient of one
    process with the whole batch.

    Args:
        part: ``(N, ...)``, of the same shape in each process.
    """
    if world_size() == 1:
        return part
    whole: Tensor = _Gather.apply(part)
    return whole


def gather_dealt(part: Tensor) -> Tensor:
    """Likewise, in the order of the whole batch, of which each process has every world-th from its rank on."""
    world = world_size()
    return part if world == 1 else torch.stack(gather(part).chunk(world), dim=1).flatten(0, 1)


def own_part(whole: Tensor) -> Tensor:
    """Of what `gather_dealt` has joined, or what follows from it for each image, this process's."""
    return whole[dist.get_rank() :: world_size()] if world_size() > 1 else whole


def world_size() -> int:
    """The number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather_objects(own: T) -> list[T]:
    """What each process holds, in the order of their ranks; it may differ in size. Without gradients."""
    if world_size() == 1:
        return [own]
    objects: list[Any] = [None] * world_size()
    dist.all_gather_object(objects, own)
    return objects


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        ctx.length = len(part)
        parts = [torch.empty_like(part, memory_format=torch.contiguous_format) for _ in range(world_size())]
        dist.all_gather(parts, part.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total.narrow(0, dist.get_rank() * ctx.length, ctx.length)
