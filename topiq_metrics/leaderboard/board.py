"""A leaderboard as data, with one JSON schema: test sets, scores, and what is derived from them."""

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
    """A file is not a board, or boards cannot be merged."""


@dataclass(frozen=True)
class TestSet:
    """A set of images with human scores, or of pairs with preferences, on which metrics are compared.

    Attributes:
        dataset: key of the dataset.
        name: the usual name of the dataset.
        split: the split, ``"all"`` for the whole dataset.
        split_hash: identifies the images; see `topiq_metrics.datasets.split_hash`.
        seed: seed of a random split, else None.
        partial: whether images of the published dataset are missing.
        higher_is_better: direction of the human scores.
        citation: the paper to cite, as text.
        license: terms of use, in words.
        ids: ids of the images or pairs.
        mos: for each image, the human score as published (MOS or DMOS); for each pair, the share of people, 0 to 1, who
            prefer the second image.
        groups: for each image, the reference or prompt that it shares with others; empty if there are none.
        distortions: for each image, the type of distortion; empty if there are no types.
        scenes: for each image, its scene; empty if there are none.
        pairs: for a set of pairs, the rule by which agreement is counted; else an empty string.
        paper: what to cite, with BibTeX if it is known; None for a dataset without a paper.
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
        """Name and split, for tables."""
        if self.split == "all":
            return self.name
        return f"{self.name}, {self.split}" + ("" if self.seed is None else f" of seed {self.seed}")

    @property
    def key(self) -> str:
        """Key of the test set; test sets with the same key have the same images."""
        return f"{self.dataset}/{self.split}/{self.split_hash}"


@dataclass(frozen=True)
class Cost:
    """The cost of a score; None for what was not or could not be measured.

    Attributes:
        milliseconds: median wall-clock time per image, one at a time, without decoding.
        pixels: median number of pixels of these images.
        parameters: number of parameters of the networks.
        gmacs: billions of multiply-adds in convolutions and matrix products for an image of 384 x 512.
        memory: peak memory in bytes for one of these images, in addition to libraries, weights and the image.
        cpu_seconds: median processor time in seconds per image, of all threads; on a GPU, that of its driver.
        load: load average of the machine over the minute before the measurement; may include this process.
        cores: number of processor cores of the machine, to compare the load with.
        machine: what it was measured on, such as ``"cpu on x86_64, Linux, 2 threads"``; scores can be of another.
    """

    milliseconds: float | None = None
    pixels: int | None = None
    parameters: int | None = None
    gmacs: float | None = None
    memory: int | None = None
    cpu_seconds: float | None = None
    load: float | None = None
    cores: int | None = None
    machine: str | None = None


@dataclass(frozen=True)
class Entry:
    """One metric on one test set.

    Attributes:
        test_set: key of the test set.
        metric: the metric's name.
        toolbox: the toolbox that provides it.
        mode: ``"NR"`` or ``"FR"``.
        higher_is_better: direction of the metric.
        status: ``"scored"``; ``"partial"`` if some images have no score; ``"unavailable"`` if the metric is not
            available on this machine; ``"failed"`` if it gave no score at all; ``"unfit"`` if it is not meant for such
            images.
        reason: why it is not ``"scored"``.
        scores: the score of each image; for a set of pairs, of the first image of each pair, then of the second; None
            for a missing score.
        cost: the cost of a score.
        provenance: versions, weights, size rule, device, machine, time.
        trained_on: whether it was trained on data of this test set.
        citation: what to cite for the metric; None if it is not known.
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
    """Test sets and entries; all else that a board shows is derived from them by `topiq_metrics.leaderboard.judge`."""

    test_sets: Sequence[TestSet]
    entries: Sequence[Entry]

    def test_set(self, key: str) -> TestSet:
        return next(test_set for test_set in self.test_sets if test_set.key == key)

    def of(self, key: str) -> list[Entry]:
        """The entries on a test set."""
        return [entry for entry in self.entries if entry.test_set == key]


def save_board(board: Board, path: str | os.PathLike[str], derived: Mapping[str, Any] | None = None) -> None:
    """Write a board as JSON, atomically, with ``derived`` figures for programs that do not compute them."""
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

    Fields that boards of earlier versions of this package lack, such as citations and training sets, are filled in.

    Raises:
        BoardError: the file is not a board, or was written by a later version.
        OSError: the file cannot be read.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise BoardError(f"{path} is not a leaderboard: it is not JSON ({error}).") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise BoardError(f"{path} is not a leaderboard: expected JSON with the schema {SCHEMA!r}.")
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
        return TestSet(**fields, paper=citation_of_dataset(fields["citation"]))
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
    """Merge several boards into one.

    Of two entries for one metric on the same images, the one with more scores is kept, or else the later one.

    Raises:
        BoardError: there is no board, or two test sets with the same key differ.
    """
    if not boards:
        raise BoardError("There is no leaderboard to merge.")
    test_sets: dict[str, TestSet] = {}
    entries: dict[tuple[str, str], Entry] = {}
    for board in boards:
        for test_set in board.test_sets:
            known = test_sets.setdefault(test_set.key, test_set)
            if any(list(getattr(known, name)) != list(getattr(test_set, name)) for name in ("ids", "mos", "groups")):
                raise BoardError(f"Two boards differ in the human scores, the groups or the order of {test_set.key}.")
            if (known.higher_is_better, known.pairs) != (test_set.higher_is_better, test_set.pairs):
                raise BoardError(f"Two boards disagree on the direction of the human scores of {test_set.key}.")
        for entry in board.entries:
            place = entry.test_set, entry.metric
            if place in entries and entries[place].higher_is_better != entry.higher_is_better:
                raise BoardError(f"Two boards disagree on the direction of {entry.metric}.")
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
