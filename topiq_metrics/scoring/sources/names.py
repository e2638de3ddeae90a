"""Each name once: which names have come, and for what."""

from __future__ import annotations

import hashlib
import os
import pickle
from typing import NamedTuple

from topiq_metrics.scoring.items import Image, Item, name_digest
from topiq_metrics.scoring.sources.errors import SourceError
from topiq_metrics.scoring.sources.locations import absolute


class Mark(NamedTuple):
    """What an item is known again by, shortly.

    Attributes:
        key: of its name.
        content: of its bytes and its reference; nothing where the name says it all.
        is_problem: whether it only says why there is no image.
    """

    key: bytes
    content: bytes
    is_problem: bool

    @classmethod
    def of(cls, item: Item) -> Mark:
        return cls(name_digest(absolute(item.name)), _content(item), bool(item.problem))


class Names:
    """Names that have come; about 110 bytes of memory for each."""

    def __init__(self) -> None:
        self._seen: dict[bytes, bytes] = {}

    def is_new(self, name: str, mark: Mark) -> bool:
        """Tell whether a name comes for the first time.

        Raises:
            SourceError: if it has come for something else.
        """
        if mark.key not in self._seen:
            self._seen[mark.key] = mark.content
            return True
        if self._seen[mark.key] != mark.content and not mark.is_problem:
            raise SourceError(
                f"{name} comes twice, as different images or with different references: each image needs a name of "
                "its own, and one reference. Images in a table are named by their rows with an empty path column."
            )
        return False


def _content(item: Item) -> bytes:
    if item.data is None and item.reference is None:
        return b""
    digest = hashlib.blake2b(b"" if item.data is None else _bytes(item.data), digest_size=16)
    reference = item.reference
    if isinstance(reference, (str, os.PathLike)):
        digest.update(name_digest(absolute(os.fspath(reference))))
    elif reference is not None:
        digest.update(_bytes(reference))
    return digest.digest()


def _bytes(image: Image) -> bytes:
    # What tells images in memory from others is only asked of two of one name.
    return image if isinstance(image, bytes) else pickle.dumps(image)
