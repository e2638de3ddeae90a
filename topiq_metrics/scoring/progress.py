"""What a job has done so far."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from topiq_metrics.scoring.limits import is_outside
from topiq_metrics.scoring.rows import RowRecord, reason


@dataclass
class Progress:
    """Counts and seconds of a running job.

    Attributes:
        statuses: number of rows by status, earlier runs included.
        reasons: number of rows that are not ``ok``, by the first word of the reason.
        left_out: number of images in the source that were not asked for, by suffix.
        notes: number of rows with a note, by its first word.
        first_notes: the first note that begins with each of these words.
        outside: number of rows with a score outside of the limits.
        earlier: number of rows of earlier runs of a resumed job.
        waiting: seconds in which the network waited for decoded images.
        network: seconds in which the network scored.
        started: when the job began, by `time.perf_counter`.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    first_notes: dict[str, str] = field(default_factory=dict)
    outside: int = 0
    earlier: int = 0
    waiting: float = 0.0
    network: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    @property
    def images(self) -> int:
        """Number of rows so far, earlier runs included."""
        return self.statuses.total()

    @property
    def failed(self) -> int:
        """Number of rows that lack a score."""
        return self.images - self.statuses["ok"]

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    @property
    def images_per_second(self) -> float:
        """Images per second in this run."""
        return (self.images - self.earlier) / max(self.seconds, 1e-9)

    def seconds_left(self, total: int) -> float | None:
        """Estimated seconds until ``total`` rows, at the rate so far; None before the first image."""
        rate = self.images_per_second
        return max(0, total - self.images) / rate if rate else None

    def count(self, record: RowRecord, metrics: Sequence[str]) -> None:
        self.statuses[str(record["status"])] += 1
        if record["status"] != "ok":
            self.reasons[reason(str(record["error"]), metrics)] += 1
        self.outside += is_outside(record)
        for note in filter(None, str(record.get("note") or "").split("; ")):
            word = note.partition(": ")[0]
            self.notes[word] += 1
            self.first_notes.setdefault(word, note)

    def as_dict(self, total: int | None = None) -> dict[str, object]:
        """For logs: counts, images per second, shares of time waiting for decoding and in the network, seconds left."""
        left = None if total is None else self.seconds_left(total)
        return {
            "images": self.images,
            "total": total,
            "earlier": self.earlier,
            **{status: self.statuses[status] for status in ("ok", "partial", "error")},
            "reasons": dict(self.reasons),
            "left_out": dict(self.left_out),
            "outside": self.outside,
            "notes": dict(self.notes),
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.images_per_second, 3),
            "decode_share": round(self.waiting / max(self.seconds, 1e-9), 4),
            "network_share": round(self.network / max(self.seconds, 1e-9), 4),
            "seconds_left": None if left is None else round(left, 1),
        }
