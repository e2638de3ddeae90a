"""The datasets that paths stand for, each as a whole or the part of it that is asked for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from topiq_metrics._tables import TABLE_SUFFIXES
from topiq_metrics.datasets.base import ALL, DatasetFacts, IQADataset, PairDataset
from topiq_metrics.datasets.checking import choose_datasets
from topiq_metrics.datasets.files import DatasetError, Folder
from topiq_metrics.datasets.metainfo import MetaInfoDataset, is_meta_info
from topiq_metrics.datasets.plain import CSVDataset
from topiq_metrics.datasets.splits import SEEDS, find_split

AnyDataset: TypeAlias = "IQADataset | PairDataset"
StrPath: TypeAlias = "str | os.PathLike[str]"

_OPTION = r"\w+=[^,=]+"
_PLACE = re.compile(rf"(.+):({_OPTION}(?:,{_OPTION})*)")
_UNUSABLE = (DatasetError, ModuleNotFoundError, OSError)
"""What a set that is there may raise when it is read."""


@dataclass(frozen=True)
class Opening:
    """What came of paths.

    Attributes:
        datasets: those that can be used.
        notes: which sets are left out, or taken whole, since they have no such split.
        broken: sets that are there and cannot be read, each with its reason.
    """

    datasets: list[AnyDataset] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def is_table(path: StrPath) -> bool:
    """Whether a file's name, options after a colon left out, says that it is a table of images and scores."""
    return Path(_parts(path)[0]).suffix.lower() in TABLE_SUFFIXES


def open_datasets(
    places: Sequence[StrPath], split: str | None = None, seed: int | None = None, *, partial: bool = False, **table: Any
) -> Opening:
    """Open the datasets that folders are, or hold, and tables.

    Options after a colon are of one place: ``/data/koniq10k:split=test``, ``/data/CSIQ:split=test,seed=3``, and those
    of its readers. Of a split that not every set has:

    - a set whose authors split it otherwise is left out;
    - a set that nobody has split is taken whole, or with a seed, the part of a random split;
    - but if no set has it, that is an error.

    A set that cannot be read does not stop the others.

    Args:
        places: folders as `choose_datasets` takes them, tables as `CSVDataset` does, or label files of pyiqa's; see
            `MetaInfoDataset`.
        split: of the sets whose place names none; None or ``"all"`` for all.
        seed: of the random split, of the sets that have no official one, and whose place names none.
        partial: accept a part of a set.
        table: what else a table's reader takes.

    Raises:
        DatasetError: a place holds no set, none has such a split or option, or none can be read.
    """
    opening = Opening()
    # All that is asked for is looked at before the first set is read.
    everything: list[_Asked] = []
    without_own: list[_Asked] = []
    for place in places:
        root, options = _parts(place)
        own_split, own_seed = options.pop("split", None), options.pop("seed", None)
        here = [
            _Asked(found, own_split or split, seed if own_seed is None else _number(own_seed, place))
            for found in _sets(root, options, partial, table, opening)
        ]
        _check_seeds(here, is_own=own_seed is not None)
        if own_split is None:
            without_own += here
        else:
            _check_splits(here)
        everything += here
    _check_splits(without_own)
    opening.datasets.extend(_open(everything, opening))
    if not opening.datasets:
        raise DatasetError("\n".join([*opening.broken, *opening.notes]))
    return opening


@dataclass(frozen=True)
class _Set:
    """A set that is there."""

    facts: DatasetFacts
    place: Path
    open: Callable[[str | None, int | None], AnyDataset]


@dataclass(frozen=True)
class _Asked:
    """A set, and the part of it that is asked for."""

    found: _Set
    split: str | None
    seed: int | None

    @property
    def is_official(self) -> bool:
        return self.found.facts.split.kind == "official"

    @property
    def is_whole(self) -> bool:
        return self.split is None or (self.split.lower() == ALL and ALL not in self.found.facts.splits)

    @property
    def part(self) -> str | None:
        """Its split of that name, as the set spells it."""
        return None if self.is_whole else find_split(str(self.split), self.found.facts.splits)

    @property
    def has_part(self) -> bool:
        return self.part is not None and (self.is_official or self.seed is not None)

    @property
    def lack(self) -> str:
        """Why there is no such part."""
        facts = self.found.facts
        if self.part is None:
            kind = "" if self.is_official else "random "
            return f"{facts.name} has no {kind}split {self.split!r}; it has {', '.join(facts.splits)}"
        return (
            f"{facts.name} has no official split: give both `split` and `seed` ({SEEDS.start} to {SEEDS.stop - 1}) for "
            "a part of a random one, or neither for the whole set"
        )


def _parts(place: StrPath) -> tuple[str, dict[str, str]]:
    """A place, and the options after its colon."""
    text = os.fspath(place)
    found = None if Path(text).exists() else _PLACE.fullmatch(text)
    if found is None:
        return text, {}
    options: dict[str, str] = {}
    for name, _, value in (option.partition("=") for option in found[2].split(",")):
        if name in options:
            raise DatasetError(f"{text}: option {name!r} is there twice.")
        options[name] = value
    return found[1], options


def _number(seed: str, place: StrPath) -> int:
    if not re.fullmatch(r"\d+", seed):
        raise DatasetError(f"{os.fspath(place)}: option 'seed' must be a number from 0, but got {seed!r}.")
    return int(seed)


def _sets(root: str, options: dict[str, str], partial: bool, table: dict[str, Any], opening: Opening) -> Iterator[_Set]:
    from topiq_metrics.datasets import all_datasets

    if is_table(root):
        if options:
            raise DatasetError(
                f"{root} is a table, which has no option {next(iter(options))!r}; it has split and seed."
            )
        # A file of pyiqa's is told by its name, and its columns by their place.
        reader: Any = MetaInfoDataset if is_meta_info(root) else CSVDataset
        how = {"partial": partial, **({} if is_meta_info(root) else table)}
        try:
            whole: AnyDataset = reader(root, **how)
        except _UNUSABLE as error:
            opening.broken.append(_named(Path(root).stem, str(error)))
            return
        part_of = _opener(reader, Path(root), how)
        yield _Set(whole.facts, Path(root), lambda split, seed: whole if split is None else part_of(split, seed))
        return
    text = ",".join(f"{name}={value}" for name, value in options.items())
    found = choose_datasets(f"{root}:{text}" if text else root)
    if not found:
        raise DatasetError(f"{root} contains no known dataset (see `topiq datasets list`).")
    for key, folder, own in found:
        reader = all_datasets()[key]
        facts = reader.facts_in(Folder(folder, reader.facts.name), **own)
        yield _Set(facts, folder, _opener(reader, folder, {"partial": partial, **own}))


def _opener(reader: Any, folder: Path, options: dict[str, Any]) -> Callable[[str | None, int | None], AnyDataset]:
    def open_part(split: str | None, seed: int | None) -> AnyDataset:
        seeded = {"seed": seed} if seed is not None else {}
        opened: AnyDataset = reader(folder, split, **seeded, **options)
        return opened

    return open_part


def _check_splits(asked: Sequence[_Asked]) -> None:
    """Refuse a split that no set has: a misspelt one, or one of sets that nobody has split."""
    lacking = [each for each in asked if not each.is_whole]
    if lacking and not any(each.has_part for each in lacking):
        raise DatasetError(".\n".join(dict.fromkeys(each.lack for each in lacking)) + ".")


def _check_seeds(asked: Sequence[_Asked], *, is_own: bool) -> None:
    """Refuse a seed that nothing is split by."""
    for each in asked:
        name = each.found.facts.name
        if each.seed is not None and each.split is None and not each.is_official:
            raise DatasetError(f"{name}: give both `split` and `seed` for a part of a random split, or neither.")
        if is_own and each.is_official and len(asked) == 1:
            raise DatasetError(f"{name} has official splits, {', '.join(each.found.facts.splits)}: leave out `seed`.")


def _open(asked: Sequence[_Asked], opening: Opening) -> Iterator[AnyDataset]:
    for each in asked:
        facts, part = each.found.facts, each.part
        if not each.is_whole and part is None:
            opening.notes.append(f"{each.lack}: it is left out.")
            continue
        if not each.is_whole and not each.has_part:
            opening.notes.append(f"{facts.name} has no official split: all of it is taken.")
            part = None
        # A seed is for those that have no official split.
        seed = None if part is None or each.is_official else each.seed
        try:
            yield each.found.open(part, seed)
        except _UNUSABLE as error:
            opening.broken.append(_named(facts.name, str(error)))


def _named(name: str, reason: str) -> str:
    return reason if reason.startswith(name) else f"{name}: {reason}"
