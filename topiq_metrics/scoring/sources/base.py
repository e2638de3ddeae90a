"""What every kind of source has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, TypeAlias

from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.sources.errors import SourceError

_CHUNK = 512


LeftOut: TypeAlias = "Counter[str]"
"""How many images are left out of a source, by suffix."""


class Fragment(Protocol):
    """A piece of a source that can be read by itself, also on another machine: small and picklable."""

    def items(self) -> Iterator[Item]: ...


class Source(Protocol):
    """Images to score, in a stable order."""

    def fragments(self) -> Iterator[Fragment]:
        """All of it in pieces, in order; names may come twice where lists, tables or several sources repeat them."""
        ...

    def count(self) -> int | None:
        """How many images there are, repeated ones included; None where only reading them all would tell."""
        ...

    @property
    def left_out(self) -> LeftOut:
        """Images that what has been read so far holds, and that were not asked for."""
        ...

    def items(self) -> Iterator[Item]:
        """All of it in order, each name once.

        Raises:
            SourceError: there is no image, or one name stands for different images or has different references.
        """
        ...


class References(Protocol):
    """Finds the reference that belongs to an image."""

    @property
    def is_single(self) -> bool:
        """Whether one file is the reference of every image."""
        ...

    def find(self, image: str, folder: str) -> str | None:
        """The reference of an image that was found in ``folder``; None if there is none."""
        ...

    def sought(self, image: str, folder: str) -> str:
        """What was looked for, in vain; and what else would help."""
        ...


@dataclass(frozen=True)
class Options:
    """The arguments of `open_source` that kinds of sources differ in using."""

    references: References | None = None
    path_column: str | None = None
    image_column: str | None = None
    reference_column: str | None = None
    root: str | None = None
    split: str = "train"
    every: str | None = None


class Part(ABC):
    """One of the things that were named as a source; a subclass is a kind of them.

    Args:
        source: that the kind takes.
        options: of all.

    Attributes:
        label: what it is, for messages.
        key: parts with the same one are the same.
        uses: the options, of columns and frames, that mean something to it.
        as_they_are: whether braces and wildcards are part of the names that it takes.
        once: whether none of its names comes twice in it.
        own_data: whether its items with data have names that no other part can have.
        left_out: images in it that its columns do not ask for, as far as it has been read.
    """

    label: str
    key: str = ""
    uses: ClassVar[frozenset[str]] = frozenset()
    as_they_are: ClassVar[bool] = False
    once: bool = False
    own_data: bool = False

    @abstractmethod
    def __init__(self, source: Any, options: Options) -> None: ...

    @classmethod
    def takes(cls, _source: object, /) -> bool:
        """Whether a source, a name or what is in memory, is of this kind, unless one before it in `KINDS` takes it."""
        return False

    @classmethod
    def open(cls, source: Any, options: Options, _before: Sequence[Part], /) -> Part:
        """The part that a source is, behind those before."""
        return cls(source, options)

    def add(self, _source: Any, /) -> bool:
        """Take the next source of this kind, too; False where each is a part of its own."""
        return False

    def is_same(self, _other: Part, /) -> bool:
        """Whether another part of the same key is the same."""
        return True

    @property
    def left_out(self) -> LeftOut:
        return Counter()

    @abstractmethod
    def fragments(self) -> Iterator[Fragment]: ...

    @abstractmethod
    def count(self) -> int | None: ...


def paired(item: Item, lookup: References | None, folder: str) -> Item:
    """An item with its reference, if references are looked up; or with what was looked for."""
    if lookup is None or item.problem:
        return item
    reference = lookup.find(item.name, folder)
    return replace(item, reference=reference, sought="" if reference else lookup.sought(item.name, folder))


@dataclass(frozen=True)
class Items:
    """A fragment that holds its items itself."""

    held: tuple[Item, ...]

    def items(self) -> Iterator[Item]:
        return iter(self.held)


def chunked(items: Iterable[Item]) -> Iterator[Fragment]:
    held: list[Item] = []
    try:
        for item in items:
            held.append(item)
            if len(held) == _CHUNK:
                yield Items(tuple(held))
                held.clear()
    except SourceError:
        # What came before can be scored.
        yield Items(tuple(held))
        raise
    if held:
        yield Items(tuple(held))
