"""A leaderboard as data: what was scored, what came of it, and what is derived from that; one JSON schema."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from topiq_metrics._files import write_whole

SCHEMA = "topiq-metrics-leaderboard"
VERSION = 1

Status = Literal["scored", "partial", "unavailable", "failed", "unfit"]
STATUSES: tuple[Status, ...] = ("scored", "partial", "unavailable", "failed", "unfit")


class BoardError(ValueError):
    """A file that is no board, or boards that do not go together."""


@dataclass(frozen=True)
class Subject:
    """A set of images with opinion scores, or of pairs with preferences, on which metrics are compared.

    Attributes:
        dataset: key of the dataset.
        name: as the field calls it.
        split: the part of it, ``"all"`` for the whole.
        split_hash: says which images these are.
        seed: of a random split, else None.
        partial: whether images of the published set are missing.
        higher_is_better: direction of the opinion scores.
        citation: paper.
        license: terms of use, in words.
        ids: of the images, or pairs.
        mos: of each image, as published; of each pair, the share of people who prefer the second image.
        groups: of each image, the reference or prompt that it shares with others; empty where there are none.
        distortions: of each image; empty where there are no types.
        scenes: of each image; empty where there are none.
        pairs: of a set of pairs, the rule by which agreement is counted; else empty.
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

    @property
    def title(self) -> str:
        """What it is called."""
        return self.name if self.split == "all" else f"{self.name}, {self.split}"

    @property
    def key(self) -> str:
        """Two subjects of one key hold the same images."""
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
    """

    milliseconds: float | None = None
    pixels: int | None = None
    parameters: int | None = None
    gmacs: float | None = None
    memory: int | None = None


@dataclass(frozen=True)
class Entry:
    """One metric on one subject.

    Attributes:
        subject: key of the subject.
        metric: the contender's name.
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
    """

    subject: str
    metric: str
    toolbox: str
    mode: str
    higher_is_better: bool
    status: Status
    reason: str = ""
    scores: Sequence[float | None] = ()
    cost: Cost = field(default_factory=Cost)
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Board:
    """Subjects and entries; whatever else a board shows is derived from them (`topiq_metrics.evaluation.judging`)."""

    subjects: Sequence[Subject]
    entries: Sequence[Entry]

    def subject(self, key: str) -> Subject:
        return next(subject for subject in self.subjects if subject.key == key)

    def of(self, key: str) -> list[Entry]:
        """The entries on a subject."""
        return [entry for entry in self.entries if entry.subject == key]


def save_board(board: Board, path: str | os.PathLike[str], derived: Mapping[str, Any] | None = None) -> None:
    """Write a board as JSON, all at once; ``derived`` goes along for readers that compute nothing."""
    document = {"schema": SCHEMA, "version": VERSION, **asdict(board), "derived": derived or {}}
    text = json.dumps(_without_nan(document), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    write_whole(Path(path), f"{text}\n".encode())


def load_board(path: str | os.PathLike[str]) -> Board:
    """Read a board that `save_board` wrote.

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
        subjects = [Subject(**subject) for subject in document["subjects"]]
        entries = [Entry(**{**entry, "cost": Cost(**entry["cost"])}) for entry in document["entries"]]
        board = Board(subjects, entries)
        _check(board)
    except (KeyError, TypeError, ValueError) as error:
        raise BoardError(f"{path} is a leaderboard with a part that is missing or unknown: {error}.") from error
    return board


def merge_boards(boards: Sequence[Board]) -> Board:
    """One board of several.

    Where two have scored one metric on the same images, the one with more scores counts, then the later one.

    Raises:
        BoardError: there is none, or two subjects of one key differ.
    """
    if not boards:
        raise BoardError("There is no leaderboard to merge.")
    subjects: dict[str, Subject] = {}
    entries: dict[tuple[str, str], Entry] = {}
    for board in boards:
        for subject in board.subjects:
            known = subjects.setdefault(subject.key, subject)
            if any(list(getattr(known, name)) != list(getattr(subject, name)) for name in ("ids", "mos", "groups")):
                raise BoardError(f"Two boards have other opinion scores, groups, or another order, of {subject.key}.")
            if (known.higher_is_better, known.pairs) != (subject.higher_is_better, subject.pairs):
                raise BoardError(f"Two boards have another direction of the opinion scores of {subject.key}.")
        for entry in board.entries:
            place = entry.subject, entry.metric
            if place in entries and entries[place].higher_is_better != entry.higher_is_better:
                raise BoardError(f"Two boards have another direction of {entry.metric}.")
            if place not in entries or _scored(entry) >= _scored(entries[place]):
                entries[place] = entry
    return Board(list(subjects.values()), list(entries.values()))


def _scored(entry: Entry) -> tuple[int, str]:
    return sum(score is not None for score in entry.scores), str(entry.provenance.get("created", ""))


def _check(board: Board) -> None:
    sizes = {subject.key: len(subject.ids) * (2 if subject.pairs else 1) for subject in board.subjects}
    for subject in board.subjects:
        for name in ("mos", "groups", "distortions", "scenes"):
            column = getattr(subject, name)
            if not isinstance(column, list) or (len(column) != len(subject.ids) and (column or name == "mos")):
                raise ValueError(f"{subject.key} has {len(column)} {name} for {len(subject.ids)} images")
        _check_numbers(f"{subject.key} has an opinion score", subject.mos)
        if subject.pairs not in ("", "votes", "majority"):
            raise ValueError(f"{subject.key} counts agreement by {subject.pairs!r}")
    for entry in board.entries:
        if entry.subject not in sizes:
            raise ValueError(f"{entry.metric} is of {entry.subject}, which is not there")
        if entry.status not in STATUSES or entry.mode not in ("NR", "FR"):
            raise ValueError(f"{entry.metric} has the status {entry.status!r} and the mode {entry.mode!r}")
        if entry.scores and len(entry.scores) != sizes[entry.subject]:
            raise ValueError(f"{entry.metric} has {len(entry.scores)} scores for {sizes[entry.subject]} images")
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
