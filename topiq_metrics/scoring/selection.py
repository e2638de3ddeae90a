"""Which images of a source a job scores: those of its shard that have no row yet."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from topiq_metrics.scoring.items import name_digest

_SHARD = re.compile(r"([0-9]+)/([0-9]+)")


@dataclass(frozen=True)
class Shard:
    """One of ``count`` parts of any source: an image belongs to it by a hash of its name, on every machine.

    Attributes:
        index: 0 to ``count - 1``.
        count: 1 is everything.

    Raises:
        ValueError: if there is no such part.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"A shard is i/n with i from 0 to n - 1, but got {self}.")

    @classmethod
    def parse(cls, shard: str | Shard) -> Shard:
        """Read ``"i/n"``; a shard is handed back.

        Raises:
            ValueError: if it is anything else.
        """
        if isinstance(shard, Shard):
            return shard
        match = _SHARD.fullmatch(shard)
        if match is None:
            raise ValueError(f"A shard is i/n with i from 0 to n - 1, such as 0/8, but got {shard!r}.")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of_this_process(cls, environment: Mapping[str, str] = os.environ) -> Shard | None:
        """The part that falls to a process that `torchrun` has started: its rank; None for any other process."""
        rank, world = environment.get("RANK"), environment.get("WORLD_SIZE")
        return None if rank is None or world is None else cls(int(rank), int(world))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def holds(self, name: str) -> bool:
        return self.count == 1 or int.from_bytes(name_digest(name)[:8], "big") % self.count == self.index


@dataclass(frozen=True)
class Selection:
    """What is left to be scored.

    Attributes:
        shard: the part of the source that is to be scored.
        done: fingerprints of the images that have a row.
    """

    shard: Shard = Shard()
    done: Collection[bytes] = frozenset()

    def keeps(self, name: str) -> bool:
        return self.shard.holds(name) and not (self.done and name_digest(name) in self.done)
