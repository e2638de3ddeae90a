"""Progress of a run over metrics and test sets."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Stage: TypeAlias = Literal["loading the metric", "looking at the images", "scoring", "measuring its cost"]


@dataclass
class BoardProgress:
    """Progress of `run_leaderboard`; one thread updates it, others may read it.

    Attributes:
        steps: number of steps: metrics times test sets.
        step: number of the current step, from 1; 0 before the first.
        metric: name of the current metric.
        test_set: title of the current test set.
        stage: what is being done with them.
        images: number of images of the test set that have a score or have failed, earlier runs included.
        total: number of images of the test set.
    """

    steps: int = 0
    step: int = 0
    metric: str = ""
    test_set: str = ""
    stage: Stage = "looking at the images"
    images: int = 0
    total: int = 0
    _known: int = field(default=0, repr=False)
    _start: float = field(default_factory=time.monotonic, repr=False)

    def begin(self, metric: str, test_set: str) -> None:
        """Go on to the next metric or test set."""
        self.stage = "loading the metric"
        self.step, self.metric, self.test_set = self.step + 1, metric, test_set
        self.images = self.total = self._known = 0

    def score(self, known: int, total: int) -> None:
        """Begin to score the images of ``total`` that are not known."""
        self.images, self.total, self._known = known, total, known
        self._start = time.monotonic()
        self.stage = "scoring"

    @property
    def images_per_second(self) -> float:
        """Images per second of the current step, without those of earlier runs."""
        return (self.images - self._known) / max(time.monotonic() - self._start, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds to the end of the current step, at the rate so far; None before the first image."""
        rate = self.images_per_second
        return (self.total - self.images) / rate if rate > 0 else None
