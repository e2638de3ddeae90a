"""What every kind of source has in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias

from topiq_metrics._tables import TableError
from topiq_metrics.scoring.items import Item

if TYPE_CHECKING:
    from topiq_metrics.scoring.sources.references import ReferenceLookup

_CHUNK = 512


class SourceError(ValueError):
    """A source that holds nothing to score, or that cannot be read as what it is; the message says what to do."""


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


@dataclass(frozen=True)
class Options:
    """The arguments of `open_source` that kinds of sources differ in using."""

    references: ReferenceLookup | None = None
    path_column: str | None = None
    image_column: str | None = None
    reference_column: str | None = None
    root: str | None = None
    split: str = "train"


class Part:
    """One of the things that were named as a source.

    Attributes:
        label: what it is, for messages.
        key: parts with the same one are the same.
        uses: the column options that mean something to it.
        once: whether none of its names comes twice in it.
        own_data: whether its items with data have names that no other part can have.
        left_out: images in it that its columns do not ask for, as far as it has been read.
    """

    label: str
    key: str = ""
    uses: ClassVar[frozenset[str]] = frozenset()
    once: bool = False
    own_data: bool = False

    @property
    def left_out(self) -> LeftOut:
        return Counter()

    def fragments(self) -> Iterator[Fragment]:
        raise NotImplementedError

    def count(self) -> int | None:
        raise NotImplementedError


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


def until_damage(items: Iterator[Item], name: Callable[[int], str]) -> Iterator[Item]:
    """The items up to where what holds them turns out to be damaged, and then one that tells of it.

    Args:
        name: of the item after so many.
    """
    count = 0
    try:
        for item in items:
            yield item
            count += 1
    except (SourceError, ImportError):
        raise
    except FileNotFoundError as error:
        yield Item(name(count), problem=f"missing: there is no {error.filename or name(count)}")
    except PermissionError:
        yield Item(name(count), problem=f"unreadable: there is no permission to read {name(count)}")
    except Exception as error:  # noqa: BLE001 - libraries raise what they like on damaged data; the rest must go on
        yield Item(name(count), problem=f"truncated: it cannot be read from here on ({in_a_line(error)})")


@contextmanager
def readable(label: str) -> Iterator[None]:
    """Say as a SourceError why what has this label cannot be read."""
    try:
        yield
    except (SourceError, TableError, ImportError):
        raise
    except FileNotFoundError:
        raise SourceError(f"There is no {label.removeprefix('the ')}.") from None
    except Exception as error:
        raise SourceError(f"{label} cannot be read: {in_a_line(error)}") from error


def in_a_line(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
