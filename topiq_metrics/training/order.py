"""Which images an epoch shows, in which order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import Sampler

from topiq_metrics.training.crops import generator_of


class EpochSampler(Sampler[int]):
    """One process's images of an epoch: of each batch of ``batch_size``, every ``world``-th from its ``rank`` on.

    A last batch that is not whole is left out, unless it is the only one; that is cut to a multiple of ``world``.
    ``order`` says which images there are, and in which order.
    """

    def __init__(self, order: Tensor, batch_size: int, rank: int, world: int) -> None:
        count = len(order)
        kept = count // batch_size * batch_size or count // world * world
        self.indices = order[:kept][rank::world].tolist()

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)


def epoch_order(count: int, per_epoch: int, seed: int, epoch: int) -> Tensor:
    """Which of ``count`` images an epoch shows, in its order: all, or the next ``per_epoch`` of a shuffled round."""

    def shuffled(turn: int) -> Tensor:
        return torch.randperm(count, generator=generator_of("order", seed, turn))

    return _dealt(shuffled, count, per_epoch, epoch)


def epoch_order_by_size(
    sizes: Sequence[tuple[int, int]], batch_size: int, per_epoch: int, seed: int, epoch: int
) -> Tensor:
    """As `epoch_order` in whole batches, where each ``batch_size`` of the order, one after another, are of one size.

    A round leaves out the images of each size that do not fill a batch, others each time.
    """

    def shuffled(turn: int) -> Tensor:
        generator = generator_of("order", seed, turn)
        batches: list[list[int]] = []
        waiting: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index in torch.randperm(len(sizes), generator=generator).tolist():
            alike = waiting[sizes[index]]
            alike.append(index)
            if len(alike) == batch_size:
                batches.append(waiting.pop(sizes[index]))
        return torch.tensor(batches)[torch.randperm(len(batches), generator=generator)].flatten()

    count = sum(number // batch_size * batch_size for number in Counter(sizes).values())
    return _dealt(shuffled, count, -(-per_epoch // batch_size) * batch_size, epoch)


def _dealt(shuffled: Callable[[int], Tensor], count: int, per_epoch: int, epoch: int) -> Tensor:
    if not 0 < per_epoch < count:
        return shuffled(epoch)
    start = epoch * per_epoch
    rounds = range(start // count, (start + per_epoch - 1) // count + 1)
    return torch.cat([shuffled(turn) for turn in rounds])[start % count + torch.arange(per_epoch)]
