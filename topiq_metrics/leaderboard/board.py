"""A leaderboard as data: what was scored, what came of it, and what is derived from that; one JSON schema."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from topiq_metrics._files import write_whole
from topiq_metrics.leaderboard.papers import Citation, citation_of_dataset, citation_of_metric
from topiq_metrics.leaderboard.trained_on import RELATIONS, TrainedOn, trained_on

SCHEMA = "topiq-metrics-leaderboard"
VERSION = 1

EntryStatus = Literal["scored", "partial", "unavailable", "failed", "unfit"]
ENTRY_STATUSES: tuple[EntryStatus, ...] = ("scored", "partial", "unavailable", "failed", "unfit")


class BoardError(ValueError):
    """A file that is no board, or boards that do not go together."""


@dataclass(frozen=True)
class TestSet:
    """A set of images with opinion scores, or of pairs with preferences, on which metrics are compared.

    Attributes:
        dataset: key of the dataset.
        name: as the field calls it.
        split: the part of it, ``"all"`` for the whole.
        split_hash: says which images these are.
        seed: of a random split, else None.
        partial: whether images of the published set are missing.
        higher_is_better: direction of the opinion scores.
        citation: paper, as its reader has it.
        license: terms of use, in words.
        ids: of the images, or pairs.
        mos: of each image, as published; of each pair, the share of people who prefer the second image.
        groups: of each image, the reference or prompt that it shares with others; empty where there are none.
        distortions: of each image; empty where there are no types.
        scenes: of each image; empty where there are none.
        pairs: of a set of pairs, the rule by which agreement is counted; else empty.
        paper: what to cite, with BibTeX where that is known; None for a set without a paper.
    """

    dataset: str
    name: str
    split: str
    split_hash: str
    seed: int | None
    partial: bool
    higher_is_better: bool
    citation: str
    license: str
    ids: Sequence[str]
    mos: Sequence[float]
    groups: Sequence[str] = ()
    distortions: Sequence[str] = ()
    scenes: Sequence[str] = ()
    pairs: Literal["", "votes", "majority"] = ""
    paper: Citation | None = None

    __test__: ClassVar[bool] = False
    """It is no test, whatever pytest makes of its name."""

    @property
    def title(self) -> str:
        """What it is called."""
        return self.name if self.split == "all" else f"{self.name}, {self.split}"

    @property
    def key(self) -> str:
        """Two test sets of one key hold the same images."""
        return f"{self.dataset}/{self.split}/{self.split_hash}"


@dataclass(frozen=True)
class Cost:
    """What a score costs; None where it was not measured or cannot be.

    Attributes:
        milliseconds: median for one image at a time, without decoding.
        pixels: median size of those images.
        parameters: of the networks.
        gmacs: billions of multiply-adds of convolutions and matrix products for an image of 384 x 512.
        memory: bytes that scoring one of those images takes at most, beside libraries, weights and the image.
        cpu_seconds: median processor time for one image, of all threads together; of a GPU, what its driver takes.
        load: processes that ran or waited on the machine, on average over the minute before the clock started; this one
            may be among them.
        cores: of the machine, to compare the load with.
    """

    milliseconds: float | None = None
    pixels: int | None = None
    parameters: int | None = None
    gmacs: float | None = None
    memory: int | None = None
    cpu_seconds: float | None = None
    load: float | None = None
    cores: int | None = None


@dataclass(frozen=True)
class Entry:
    """One metric on one test set.

    Attributes:
        test_set: key of the test set.
        metric: the metric's name.
        toolbox: where it comes from.
        mode: ``"NR"`` or ``"FR"``.
        higher_is_better: direction of the metric.
        status: ``"scored"``; ``"partial"`` where some images have no score; ``"unavailable"`` where the metric cannot
            be had here; ``"failed"`` where it gave no score at all; ``"unfit"`` where it is not for such images.
        reason: why it is not ``"scored"``.
        scores: of each image; of a set of pairs, of each pair's first image, then of each pair's second; None where
            there is none.
        cost: what a score costs.
        provenance: versions, weights, size rule, device, machine, time.
        trained_on: whether it has learned from this very data.
        citation: what to cite for the metric; None where that is not known.
    """

    test_set: str
    metric: str
    toolbox: str
    mode: str
    higher_is_better: bool
    status: EntryStatus
    reason: str = ""
    scores: Sequence[float | None] = ()
    cost: Cost = field(default_factory=Cost)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    trained_on: TrainedOn = field(default_factory=TrainedOn)
    citation: Citation | None = None


@dataclass(frozen=True)
class Board:
    """Test sets and entries; whatever else a board shows is derived from them (`topiq_metrics.leaderboard.ranking`)."""

    test_sets: Sequence[TestSet]
    entries: Sequence[Entry]

    def test_set(self, key: str) -> TestSet:
        return next(test_set for test_set in self.test_sets if test_set.key == key)

    def of(self, key: str) -> list[Entry]:
        """The entries on a test set."""
        return [entry for entry in self.entries if entry.test_set == key]


def save_board(board: Board, path: str | os.PathLike[str], derived: Mapping[str, Any] | None = None) -> None:
    """Write a board as JSON, all at once; ``derived`` goes along for readers that compute nothing."""
    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "subjects": [asdict(test_set) for test_set in board.test_sets],
        "entries": [_entry_as_dict(entry) for entry in board.entries],
        "derived": derived or {},
    }
    text = json.dumps(_without_nan(document), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    write_whole(Path(path), f"{text}\n".encode())


def load_board(path: str | os.PathLike[str]) -> Board:
    """Read a board that `save_board` wrote.

    What boards of earlier versions of this package lack, such as citations and what metrics were trained on, is filled
    in from what is known today.

    Raises:
        BoardError: the file is no board, or one of a later version.
        OSError: the file cannot be read.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise BoardError(f"{path} is no leaderboard: it is not JSON ({error}).") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise BoardError(f"{path} is no leaderboard: expected JSON with the schema {SCHEMA!r}.")
    if document.get("version") != VERSION:
        raise BoardError(f"{path} is a leaderboard of version {document.get('version')!r}; this one reads {VERSION}.")
    try:
        test_sets = [_test_set_of(test_set) for test_set in document["subjects"]]
        by_key = {test_set.key: test_set for test_set in test_sets}
        entries = [_entry_of(entry, by_key) for entry in document["entries"]]
        board = Board(test_sets, entries)
        _check(board)
    except (KeyError, TypeError, ValueError) as error:
        raise BoardError(f"{path} is a leaderboard with a part that is missing or unknown: {error}.") from error
    return board


def _entry_as_dict(entry: Entry) -> dict[str, Any]:
    """An entry as the schema has it, where its test set is the ``"subject"``."""
    fields = asdict(entry)
    return {"subject": fields.pop("test_set"), **fields}


def _test_set_of(fields: Mapping[str, Any]) -> TestSet:
    if "paper" not in fields:
        return TestSet(**fields, paper=citation_of_dataset(fields["dataset"], fields["citation"]))
    return TestSet(**{**fields, "paper": _citation_of(fields["paper"])})


def _entry_of(fields: Mapping[str, Any], test_sets: Mapping[str, TestSet]) -> Entry:
    own = {name: value for name, value in fields.items() if name != "subject"}
    own["cost"] = Cost(**fields["cost"])
    test_set = test_sets.get(fields["subject"])
    if "citation" in own:
        own["citation"] = _citation_of(own["citation"])
    else:
        own["citation"] = citation_of_metric(fields["metric"])
    if "trained_on" in own:
        own["trained_on"] = TrainedOn(**{**own["trained_on"], "datasets": tuple(own["trained_on"]["datasets"])})
    elif test_set is not None:
        own["trained_on"] = training_of(fields["metric"], test_set)
    return Entry(test_set=fields["subject"], **own)


def training_of(metric: str, test_set: TestSet) -> TrainedOn:
    """What is known of a metric's training, seen from a test set; the metric has its published weights."""
    return trained_on(
        metric, test_set.dataset, test_set.split, seed=test_set.seed, is_published=bool(test_set.citation)
    )


def _citation_of(fields: Mapping[str, Any] | None) -> Citation | None:
    return None if fields is None else Citation(**fields)


def merge_boards(boards: Sequence[Board]) -> Board:
    """One board of several.

    Where two have scored one metric on the same images, the one with more scores counts, then the later one.

    Raises:
        BoardError: there is none, or two test sets of one key differ.
    """
    if not boards:
        raise BoardError("There is no leaderboard to merge.")
    test_sets: dict[str, TestSet] = {}
    entries: dict[tuple[str, str], Entry] = {}
    for board in boards:
        for test_set in board.test_sets:
            known = test_sets.setdefault(test_set.key, test_set)
            if any(list(getattr(known, name)) != list(getattr(test_set, name)) for name in ("ids", "mos", "groups")):
                raise BoardError(f"Two boards have other opinion scores, groups, or another order, of {test_set.key}.")
            if (known.higher_is_better, known.pairs) != (test_set.higher_is_better, test_set.pairs):
                raise BoardError(f"Two boards have another direction of the opinion scores of {test_set.key}.")
        for entry in board.entries:
            place = entry.test_set, entry.metric
            if place in entries and entries[place].higher_is_better != entry.higher_is_better:
                raise BoardError(f"Two boards have another direction of {entry.metric}.")
            if place not in entries or _scored(entry) >= _scored(entries[place]):
                entries[place] = entry
    return Board(list(test_sets.values()), list(entries.values()))


def _scored(entry: Entry) -> tuple[int, str]:
    return sum(score is not None for score in entry.scores), str(entry.provenance.get("created", ""))


def _check(board: Board) -> None:
    sizes = {test_set.key: len(test_set.ids) * (2 if test_set.pairs else 1) for test_set in board.test_sets}
    for test_set in board.test_sets:
        for name in ("mos", "groups", "distortions", "scenes"):
            column = getattr(test_set, name)
            if not isinstance(column, list) or (len(column) != len(test_set.ids) and (column or name == "mos")):
                raise ValueError(f"{test_set.key} has {len(column)} {name} for {len(test_set.ids)} images")
        _check_numbers(f"{test_set.key} has an opinion score", test_set.mos)
        if test_set.pairs not in ("", "votes", "majority"):
            raise ValueError(f"{test_set.key} counts agreement by {test_set.pairs!r}")
    for entry in board.entries:
        if entry.test_set not in sizes:
            raise ValueError(f"{entry.metric} is of {entry.test_set}, which is not there")
        if entry.status not in ENTRY_STATUSES or entry.mode not in ("NR", "FR"):
            raise ValueError(f"{entry.metric} has the status {entry.status!r} and the mode {entry.mode!r}")
        if entry.trained_on.relation not in RELATIONS:
            raise ValueError(f"{entry.metric} was trained on {entry.trained_on.relation!r}")
        if entry.scores and len(entry.scores) != sizes[entry.test_set]:
            raise ValueError(f"{entry.metric} has {len(entry.scores)} scores for {sizes[entry.test_set]} images")
        _check_numbers(f"{entry.metric} has a score", [score for score in entry.scores if score is not None])
        if bool(entry.scores) != (entry.status in ("scored", "partial")):
            raise ValueError(f"{entry.metric} has the status {entry.status!r} and {len(entry.scores)} scores")
        if entry.status == "scored" and None in entry.scores:
            raise ValueError(f"{entry.metric} has the status 'scored', and lacks some scores")


def _check_numbers(what: str, values: Sequence[object]) -> None:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{what} that is no number, {value!r}")


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _without_nan(each) for key, each in value.items()}
    return [_without_nan(each) for each in value] if isinstance(value, (list, tuple)) else value
