"""Scores and costs that were found before, by metric: a run that goes on computes only what is missing."""

from __future__ import annotations

import hashlib
import json
import math
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from topiq_metrics._files import write_whole
from topiq_metrics.datasets import Record
from topiq_metrics.leaderboard.board import Cost

_END = 1 << 16
"""Bytes at each end of a file that tell it from another one of its size and time."""


class ScoreStore:
    """A folder with a file of lines for each metric, which are added as images are scored.

    Lines that a kill has cut off are left out when they are read. Failures are not kept, so that they are tried again.

    Args:
        folder: where; made when there is something to keep.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, metric: str, identity: Mapping[str, Any]) -> dict[str, float]:
        """The scores so far, by `image_key`."""
        scores = {}
        path = self._path(metric, identity)
        if path.is_file():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                key, score = _parse(line)
                if key:
                    scores[key] = score
        return scores

    def add(self, metric: str, identity: Mapping[str, Any], rows: Iterator[tuple[str, float]]) -> Iterator[float]:
        """Keep each score of ``rows`` that is a number as it comes, and give it on."""
        path = self._path(metric, identity)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as stream:
            stream.seek(0, 2)
            if stream.tell():
                stream.seek(-1, 2)
                if stream.read(1) != b"\n":
                    stream.write(b"\n")
            for key, score in rows:
                if math.isfinite(score):
                    stream.write(json.dumps([key, score]).encode() + b"\n")
                    stream.flush()
                yield score

    def cost(self, metric: str, identity: Mapping[str, Any], place: str, measure: Callable[[], Cost]) -> Cost:
        """What it costs at ``place``, a dataset on a machine; measured if that is not known yet."""
        path = self._path(metric, identity).with_suffix(".costs.json")
        known = _read_json(path)
        try:
            if place in known:
                return Cost(**known[place])
        except TypeError:
            known = {}
        cost = measure()
        if cost != Cost():
            _write_json(path, {**known, place: asdict(cost)})
        return cost

    def provenance(
        self, metric: str, identity: Mapping[str, Any], test_set: str, now: Mapping[str, Any], *, has_scored: bool
    ) -> dict[str, Any]:
        """Where the scores of a test set come from: the last run that added some, and what differed in earlier ones."""
        path = self._path(metric, identity).with_suffix(".provenance.json")
        known = _read_json(path)
        runs = known.get(test_set)
        runs = [run for run in runs if isinstance(run, dict)] if isinstance(runs, list) else []
        if has_scored or not runs:
            runs = [run for run in runs if {**run, "created": ""} != {**now, "created": ""}] + [dict(now)]
            _write_json(path, {**known, test_set: runs})
        *earlier, last = runs
        return {**last, "some scores are of": earlier} if earlier else last

    def _path(self, metric: str, identity: Mapping[str, Any]) -> Path:
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
        name = re.sub(r"[^\w.+-]", "-", metric)
        return self.folder / f"{name}-{digest}.jsonl"


def image_keys(dataset: str, records: Sequence[Record]) -> list[str]:
    """What a score belongs to: an image by its name in its set, and its and its reference's file as they are now."""
    return [
        hashlib.blake2b(
            "\n".join([dataset, record.id, *map(_state, (record.image, record.reference))]).encode("utf-8", "replace"),
            digest_size=12,
        ).hexdigest()
        for record in records
    ]


def _state(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        status = path.stat()
        with path.open("rb") as stream:
            ends = zlib.crc32(stream.read(_END))
            stream.seek(max(0, status.st_size - _END))
            ends = zlib.crc32(stream.read(_END), ends)
    except OSError:
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns} {ends}"


def _read_json(path: Path) -> dict[str, Any]:
    """What a file beside the scores holds; nothing if it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(content).encode())


def _parse(line: str) -> tuple[str, float]:
    try:
        key, score = json.loads(line)
        return str(key), float(score)
    except (ValueError, TypeError):
        return "", math.nan
