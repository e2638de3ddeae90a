"""Reproducible random splits, and a hash that identifies the images in a part."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

SEEDS = range(10)
_EVEN = (("train", 0.8), ("test", 0.2))
_ALIASES = {"training": "train", "val": "validation", "valid": "validation", "dev": "validation", "testing": "test"}


class Member(Protocol):
    """What a split needs of a record."""

    @property
    def id(self) -> str:
        """Names the image within its set."""

    @property
    def group(self) -> str:
        """Images of one group are never torn apart."""


@dataclass(frozen=True)
class SplitRule:
    """How a dataset is split.

    Attributes:
        kind: ``"official"`` if its authors publish a split, else ``"random"``.
        by: which images stay together in a random split: those of a ``"reference"``, a ``"prompt"`` or a ``"scene"``;
            ``"image"`` for none.
        shares: the parts of a random split, each with its share of the groups, from 0 to 1.
    """

    kind: Literal["official", "random"] = "official"
    by: Literal["image", "reference", "prompt", "scene"] = "image"
    shares: tuple[tuple[str, float], ...] = _EVEN

    def __str__(self) -> str:
        if self.kind == "official":
            return "official"
        how = "random" if self.by == "image" else f"by {self.by}"
        return f"{how}, {len(SEEDS)} × {'/'.join(f'{100 * share:g}' for _, share in self.shares)}"


OFFICIAL = SplitRule()
BY_IMAGE = SplitRule("random", "image")
BY_REFERENCE = SplitRule("random", "reference")
BY_PROMPT = SplitRule("random", "prompt")
BY_SCENE = SplitRule("random", "scene")


@dataclass(frozen=True)
class Split:
    """One random split.

    Attributes:
        seed: the seed that reproduces it.
        parts: indices of the members of each part, ascending.
        hashes: the `split_hash` of each part's members.
    """

    seed: int
    parts: Mapping[str, tuple[int, ...]]
    hashes: Mapping[str, str]


def canonical_split(name: str) -> str:
    """The canonical name of a split: ``train``, ``validation`` or ``test``; other names in lower case.

    ``training`` is ``train``; ``val``, ``valid`` and ``dev`` are ``validation``; ``testing`` is ``test``.
    """
    small = name.strip().lower()
    return _ALIASES.get(small, small)


def find_split(name: str, splits: Iterable[str]) -> str | None:
    """The split in ``splits`` that ``name`` means, as it is spelled there; None if there is none.

    An identical name has precedence; otherwise names match if their `canonical_split` is the same.
    """
    known = list(splits)
    if name in known:
        return name
    return next((split for split in known if canonical_split(split) == canonical_split(name)), None)


def split_hash(members: Iterable[Member]) -> str:
    """16 hexadecimal digits that identify a set of images, by their ids, in any order."""
    names = sorted(member.id for member in members)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def random_split(members: Sequence[Member], rule: SplitRule, seed: int) -> Split:
    """Distribute the groups of ``members`` to the parts of ``rule`` at random.

    The result depends on the members and the seed only: groups are sorted before they are shuffled, with a generator
    that is the same in all versions of Python.

    Raises:
        ValueError: there are fewer groups than parts.
    """
    generator = random.Random(seed)  # noqa: S311
    draws = {group: generator.random() for group in sorted({member.group for member in members})}
    groups = sorted(draws, key=draws.__getitem__)
    if len(groups) < len(rule.shares):
        raise ValueError(f"A split by {rule.by} needs at least {len(rule.shares)} of them, but got {len(groups)}.")
    part_of: dict[str, str] = {}
    share, start = 0.0, 0
    for index, (part, of_all) in enumerate(rule.shares):
        share += of_all
        # Every part gets a group, however few there are.
        left = len(rule.shares) - index - 1
        stop = min(max(round(share * len(groups)), start + 1), len(groups) - left) if left else len(groups)
        part_of |= dict.fromkeys(groups[start:stop], part)
        start = stop
    parts: dict[str, list[int]] = {part: [] for part, _ in rule.shares}
    for index, member in enumerate(members):
        parts[part_of[member.group]].append(index)
    hashes = {part: split_hash(members[i] for i in indices) for part, indices in parts.items()}
    return Split(seed, {part: tuple(indices) for part, indices in parts.items()}, hashes)


def random_splits(members: Sequence[Member], rule: SplitRule, seeds: Iterable[int] = SEEDS) -> list[Split]:
    """A split for each seed; see `random_split`."""
    return [random_split(members, rule, seed) for seed in seeds]
