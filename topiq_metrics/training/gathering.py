"""The whole batch of a step, of which each process has a part."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def gather(part: Tensor) -> Tensor:
    """Join what all processes hold, in the order of their ranks; of a single process, the tensor itself.

    A loss over the joined batch is the same in each process. Its gradients go back to the process that each image is
    of, summed over processes, so that the mean over processes that data-parallel training takes is the gradient of one
    process with the whole batch.

    Args:
        part: ``(N, ...)``, of the same shape in each process.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return part
    whole: Tensor = _Gather.apply(part)
    return whole


def gather_objects(own: T) -> list[T]:
    """What each process holds, in the order of their ranks; it may differ in size. Without gradients."""
    if not (dist.is_available() and dist.is_initialized()):
        return [own]
    objects: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(objects, own)
    return objects


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        ctx.length = len(part)
        parts = [torch.empty_like(part, memory_format=torch.contiguous_format) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, part.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total.narrow(0, dist.get_rank() * ctx.length, ctx.length)
