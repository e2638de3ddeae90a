"""What scores for a server: one thread that takes jobs in their order, and decoding processes that files may crash."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from topiq_metrics.catalog import get_card
from topiq_metrics.errors import WeightsError, one_line
from topiq_metrics.inference import Predictor, open_predictor
from topiq_metrics.scoring import Item, ScoreRow
from topiq_metrics.scoring.decoders import ProcessDecoder
from topiq_metrics.scoring.engine import Engine
from topiq_metrics.scoring.rows import reason
from topiq_metrics.serving.comparison import ComparedPicture, compare_pictures
from topiq_metrics.serving.limits import Limits
from topiq_metrics.serving.maps import LocalMap, local_map
from topiq_metrics.serving.previews import preview

if TYPE_CHECKING:
    from topiq_metrics.inference.backends import Backend

T = TypeVar("T")

_ENGINES = 4
"""Sets of metrics whose decoding processes are kept; each set has its own."""


class NotLoadedError(RuntimeError):
    """A metric that is not to be had; the message says why."""


@dataclass(frozen=True)
class Picture:
    """An uploaded file: bytes, and a name that is never a path of this machine."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Scored:
    """A picture's row, and its preview, a ``data:`` URI, and its map, if they were asked for and can be had."""

    row: ScoreRow
    preview: str | None
    map: LocalMap | None


@dataclass(eq=False)
class _Scoring:
    items: Sequence[Item]
    metrics: tuple[str, ...]
    preview: int
    map: str | None
    answer: Future[list[Scored]] = field(default_factory=Future)
    done: list[Scored] = field(default_factory=list)


@dataclass(eq=False)
class _Call(Generic[T]):
    function: Callable[[], T]
    answer: Future[T] = field(default_factory=Future)

    def run(self) -> None:
        try:
            self.answer.set_result(self.function())
        except Exception as error:  # noqa: BLE001 - for whoever waits for the answer
            self.answer.set_exception(error)


_Job: TypeAlias = "_Scoring | _Call[Any]"


class Service:
    """Scores and compares pictures, one job after the other; may be called from any thread.

    Jobs for the same metrics that wait behind each other are scored as one: the pictures of the next are decoded while
    those before are in the network. A job whose future is cancelled before its turn is passed over.

    Args:
        limits: bounds on pictures.
        device: where to run; a GPU if there is one.
        backend: what runs the networks.
        workers: processes that decode, at least one; None takes one for each processor, at most 8.
        timeout: seconds for decoding a picture.

    Raises:
        ValueError: if ``workers`` is below 1: a hostile file must not be decoded in the server's own process.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        device: str | None = None,
        backend: Backend | None = None,
        workers: int | None = None,
        timeout: float = 30.0,
    ) -> None:
        if workers is not None and workers < 1:
            raise ValueError(f"Argument `workers` must be 1 or more, but got {workers}.")
        self._limits = limits
        self._device = device
        self._backend = backend
        self._workers = workers
        self._timeout = timeout
        self._predictors: dict[str, Predictor] = {}
        self._engines: OrderedDict[tuple[str, ...], Engine] = OrderedDict()
        self._decoder = ProcessDecoder(timeout)
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="topiq-serve", daemon=True)
        self._thread.start()

    def score(
        self,
        pictures: Sequence[Picture],
        reference: Picture | None,
        metrics: tuple[str, ...],
        preview: int = 0,
        map_metric: str | None = None,
    ) -> Future[list[Scored]]:
        """Score each picture with each metric; those without a score have a row with the reason.

        Args:
            pictures: what to score.
            reference: of all of them, for full-reference metrics.
            metrics: names.
            preview: the longer side of previews, in pixels; 0 for none.
            map_metric: the metric of local maps; None for none.
        """
        of_all = None if reference is None else reference.data
        items = [Item(picture.name, of_all, picture.data) for picture in pictures]
        job = _Scoring(items, metrics, preview, map_metric)
        self._add(job)
        return job.answer

    def compare(
        self, pictures: Sequence[Picture], reference: Picture | None, metric: str
    ) -> Future[list[ComparedPicture]]:
        """Rank versions of a picture, as `topiq_metrics.rank_images` does; in the order they were given."""
        named = [(picture.name, picture.data) for picture in pictures]
        pair = None if reference is None else (reference.name, reference.data)
        job = _Call(
            lambda: compare_pictures(
                named, pair, self._predictor(metric), decoder=self._decoder, max_pixels=self._limits.pixels
            )
        )
        self._add(job)
        return job.answer

    def warm_up(self, metrics: Sequence[str]) -> Future[None]:
        """Load networks before they are asked for."""

        def load() -> None:
            for name in metrics:
                self._predictor(name)

        job = _Call(load)
        self._add(job)
        return job.answer

    def close(self) -> None:
        """End the decoding processes; jobs that have not begun are cancelled, and one that has gets an error."""
        with self._changed:
            self._closed = True
            for job in list(self._jobs):
                job.answer.cancel()
            self._jobs.clear()
            self._changed.notify_all()
        self._decoder.abort()
        self._thread.join(timeout=5)

    def _add(self, job: _Job) -> None:
        with self._changed:
            if self._closed:
                job.answer.cancel()
                return
            self._jobs.append(job)
            self._changed.notify_all()
        job.answer.add_done_callback(lambda answer: self._drop(job) if answer.cancelled() else None)

    def _drop(self, job: _Job) -> None:
        """Forget a job whose asker has gone, with the pictures that it holds."""
        with self._changed, contextlib.suppress(ValueError):
            self._jobs.remove(job)

    def _work(self) -> None:
        while (job := self._next()) is not None:
            if isinstance(job, _Scoring):
                self._score(job)
            else:
                job.run()
            # What it holds of pictures is not to be kept until the next one comes.
            del job
        for engine in self._engines.values():
            engine.close()
        self._decoder.close()

    def _next(self) -> _Job | None:
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._jobs or self._closed)
                if self._closed:
                    return None
                job = self._jobs.popleft()
                if job.answer.set_running_or_notify_cancel():
                    return job

    def _next_like(self, metrics: tuple[str, ...]) -> _Scoring | None:
        """The next job, if it is to be scored with the same metrics and waits already."""
        with self._changed:
            while self._jobs:
                job = self._jobs[0]
                if not isinstance(job, _Scoring) or job.metrics != metrics:
                    return None
                self._jobs.popleft()
                if job.answer.set_running_or_notify_cancel():
                    return job
            return None

    def _score(self, first: _Scoring) -> None:
        under_way: deque[_Scoring] = deque([first])

        def items() -> Iterator[Item]:
            job: _Scoring | None = first
            while job is not None:
                yield from job.items
                job = self._next_like(first.metrics)
                if job is not None:
                    under_way.append(job)

        try:
            for row in self._engine(first.metrics).rows(items()):
                job = under_way[0]
                item = job.items[len(job.done)]
                job.done.append(Scored(row, self._preview(job, item, row), self._map(job, item, row)))
                if len(job.done) == len(job.items):
                    under_way.popleft()
                    job.answer.set_result(job.done)
        except Exception as error:  # noqa: BLE001 - for whoever waits for the answers
            if (engine := self._engines.pop(first.metrics, None)) is not None:
                engine.close()
            for job in under_way:
                job.answer.set_exception(error)

    def _preview(self, job: _Scoring, item: Item, row: ScoreRow) -> str | None:
        # What could not be decoded is not tried again: it may have taken long. So below.
        if not job.preview or not isinstance(item.data, bytes) or row.width is None:
            return None
        return preview(item.data, item.name, job.preview, decoder=self._decoder, max_pixels=self._limits.pixels)

    def _map(self, job: _Scoring, item: Item, row: ScoreRow) -> LocalMap | None:
        if job.map is None or not isinstance(item.data, bytes) or row.width is None:
            return None
        if get_card(job.map).mode == "FR" and reason(row.error, job.metrics).startswith("reference-"):
            return None
        return local_map(
            (item.name, item.data),
            item.reference if isinstance(item.reference, bytes) else None,
            self._predictor(job.map),
            device=self._device,
            max_memory=None if self._backend is None else self._backend.max_memory,
            decoder=self._decoder,
            max_pixels=self._limits.pixels,
        )

    def _engine(self, metrics: tuple[str, ...]) -> Engine:
        engine = self._engines.pop(metrics, None)
        if engine is None:
            while len(self._engines) >= _ENGINES:
                self._engines.popitem(last=False)[1].close()
            engine = Engine(
                [self._predictor(name) for name in metrics],
                workers=self._workers,
                timeout=self._timeout,
                max_pixels=self._limits.pixels,
            )
        self._engines[metrics] = engine
        return engine

    def _predictor(self, name: str) -> Predictor:
        if name not in self._predictors:
            try:
                self._predictors[name] = open_predictor(name, device=self._device, backend=self._backend)
            except (WeightsError, ModuleNotFoundError, ValueError) as error:
                raise NotLoadedError(one_line(error, with_type=False)) from error
        return self._predictors[name]
