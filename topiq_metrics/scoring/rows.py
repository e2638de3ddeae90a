"""What is known of an image after a job: its row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Status = Literal["ok", "partial", "error"]
ROW_STATUSES: tuple[Status, ...] = ("ok", "partial", "error")
RowRecord: TypeAlias = "dict[str, str | int | float | None]"
"""A row under its column names."""

_DECIMALS = 6


@dataclass(frozen=True)
class ScoreRow:
    """The result for one image.

    Attributes:
        path: the image, as the caller named it.
        scores: score by metric; None if the metric could not score the image.
        width: width of the stored image, upright, in pixels; None if it cannot be read.
        height: height, as ``width``.
        size: the size policy under which it was scored; one for each metric if they differ.
        status: ``"ok"``; ``"partial"`` if only some metrics have a score; ``"error"`` if none has.
        error: the reason why a score is missing, beginning with a word to sort by; or an empty string.
        note: remarks on the scores, each beginning with a word to sort by; or an empty string.
    """

    path: str
    scores: dict[str, float | None]
    width: int | None
    height: int | None
    size: str
    status: Status
    error: str
    note: str = ""

    def as_dict(self) -> RowRecord:
        """The row by column name, as in outputs: scores are rounded to 6 decimals."""
        scores = {name: None if score is None else round(score, _DECIMALS) for name, score in self.scores.items()}
        return {
            "path": self.path,
            **scores,
            "width": self.width,
            "height": self.height,
            "size": self.size,
            "status": self.status,
            "error": self.error,
            "note": self.note,
        }


def columns(metrics: Sequence[str]) -> tuple[str, ...]:
    return ("path", *metrics, "width", "height", "size", "status", "error", "note")


def reason(error: str, metrics: Sequence[str]) -> str:
    """The word to sort by of a row's ``error``: the first one, where metrics failed for different reasons."""
    word, _, rest = error.partition(": ")
    return rest.partition(": ")[0] if word in metrics else word
