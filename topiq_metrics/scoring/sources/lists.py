"""Lists of paths and URLs, one a line."""

from __future__ import annotations

from collections.abc import Iterator

from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.sources.base import Fragment, Options, Part, chunked, paired
from topiq_metrics.scoring.sources.errors import SourceError
from topiq_metrics.scoring.sources.locations import STDIN, parent, place_of, suffix
from topiq_metrics.scoring.sources.reading import open_text, readable


class PathList(Part):
    """A text file of names, or the standard input, which can be read once."""

    def __init__(self, name: str, options: Options) -> None:
        self._name = name
        self._options = options
        self._root = options.root or ("." if name == STDIN else parent(name))
        self._spent = False
        self.label = "the standard input" if name == STDIN else f"the list {name}"
        if name != STDIN and next(self._names(), None) is None:
            raise SourceError(f"There is no image in {self.label}.")

    @classmethod
    def takes(cls, source: object) -> bool:
        return isinstance(source, str) and (source == STDIN or suffix(source) == ".txt")

    def _names(self) -> Iterator[str]:
        if self._name == STDIN:
            if self._spent:
                raise SourceError("The standard input can be read only once.")
            self._spent = True
        with readable(self.label), open_text(self._name) as lines:
            for line in lines:
                if line.strip():
                    yield line.rstrip("\n")

    def _items(self) -> Iterator[Item]:
        lookup = self._options.references
        for name in self._names():
            path = place_of(self._root, name)
            yield paired(Item(path), lookup, self._root)

    def fragments(self) -> Iterator[Fragment]:
        return chunked(self._items())

    def count(self) -> int | None:
        return None if self._name == STDIN else sum(1 for _ in self._names())
