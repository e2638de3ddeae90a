"""Scores and costs that were found before, by contender: a run that goes on computes only what is missing."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from topiq_metrics.datasets import Record
from topiq_metrics.evaluation.board import Cost
from topiq_metrics.scoring.sinks.files import write_whole


class ScoreStore:
    """A folder with a file of lines for each contender, which are added as images are scored.

    Lines that a kill has cut off are left out when they are read. Failures are not kept, so that they are tried again.

    Args:
        folder: where; made when there is something to keep.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, contender: str, identity: Mapping[str, Any]) -> dict[str, float]:
        """The scores so far, by `image_key`."""
        scores = {}
        path = self._path(contender, identity)
        if path.is_file():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                key, score = _parse(line)
                if key:
                    scores[key] = score
        return scores

    def add(self, contender: str, identity: Mapping[str, Any], rows: Iterator[tuple[str, float]]) -> Iterator[float]:
        """Keep each score of ``rows`` that is a number as it comes, and give it on."""
        path = self._path(contender, identity)
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

    def cost(self, contender: str, identity: Mapping[str, Any], place: str, measure: Callable[[], Cost]) -> Cost:
        """What it costs at ``place``, a dataset on a machine; measured if that is not known yet."""
        path = self._path(contender, identity).with_suffix(".costs.json")
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            if place in known:
                return Cost(**known[place])
        except (OSError, ValueError, TypeError):
            known = {}
        cost = measure()
        if cost != Cost():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps({**known, place: asdict(cost)}).encode())
        return cost

    def _path(self, contender: str, identity: Mapping[str, Any]) -> Path:
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
        name = re.sub(r"[^\w.+-]", "-", contender)
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
    except OSError:
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns}"


def _parse(line: str) -> tuple[str, float]:
    try:
        key, score = json.loads(line)
        return str(key), float(score)
    except (ValueError, TypeError):
        return "", math.nan
