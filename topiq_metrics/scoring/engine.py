"""Score many images: decode ahead, batch images of one size, yield one row per image in order."""

from __future__ import annotations

import functools
import math
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from topiq_metrics.errors import ImageError
from topiq_metrics.images import SizePolicy
from topiq_metrics.images.profiles import parse_profiles
from topiq_metrics.scoring.budget import PixelBudget
from topiq_metrics.scoring.decoding import Decoder, LocalDecoder, ProcessDecoder
from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.options import DECODE_SECONDS
from topiq_metrics.scoring.preparation import (
    Need,
    Prepared,
    explain,
    is_lost_device,
    is_memory_error,
    most_pixels,
    prepare,
)
from topiq_metrics.scoring.progress import Progress
from topiq_metrics.scoring.rows import ScoreRow, Status
from topiq_metrics.scoring.threads import DaemonThreads

if TYPE_CHECKING:
    from topiq_metrics.inference import Predictor

_BATCH_PIXELS = 2_000_000
_BUDGET_PIXELS = 48_000_000
_ENCODED_BYTES = 256 << 20
_HELD_IMAGES = 64
_AHEAD_IMAGES = 16
_MOST_PROCESSES = 8
_THREADS = 4


class Engine:
    """Scores items with predictors; a context manager, whose end ends the decoding processes.

    Memory is bounded by the pixels in flight, and the bytes of items that have their image with them, not by the number
    of items, which are taken as they are needed. Of those that are decoded, at most 64 are without a row.

    Args:
        predictors: one for each metric.
        workers: processes that decode; 0 decodes in threads of this process, which a hostile file can crash or hang;
            None takes one for each processor, at most 8.
        fallback: size policy under which an image is scored for which memory does not suffice; None makes it an error.
        timeout: seconds for a decoding process to fetch an image, and again to decode it.
        profiles: ``"apply"`` converts colours to sRGB, ``"ignore"`` reads values as if they were; as `load_image`.
        progress: is kept up to date.

    Raises:
        ValueError: no predictor, two of one metric, a number of workers below 0, or other ``profiles``.
    """

    def __init__(
        self,
        predictors: Sequence[Predictor],
        *,
        workers: int | None = 0,
        fallback: str | SizePolicy | None = None,
        timeout: float = DECODE_SECONDS,
        profiles: str = "apply",
        progress: Progress | None = None,
    ) -> None:
        names = [predictor.card.name for predictor in predictors]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"Argument `predictors` must hold one for each metric, at least one, but got {names}.")
        if workers is not None and workers < 0:
            raise ValueError(f"Argument `workers` must be 0 or more, but got {workers}.")
        self.progress = Progress() if progress is None else progress
        self._predictors = {predictor.card.name: predictor for predictor in predictors}
        self._needs = [Need.of(predictor) for predictor in predictors]
        self._fallback = None if fallback is None else SizePolicy.parse(fallback)
        self._processes = usable_processors() if workers is None else workers
        self._timeout = timeout
        self._profiles = parse_profiles(profiles)
        self._decoders: list[Decoder] = []
        self._local = threading.local()
        self._threads = DaemonThreads(self._processes or _THREADS)
        self._budget = PixelBudget(_BUDGET_PIXELS)
        self._number = 0
        self._encoded_bytes = 0
        self._failure: BaseException | None = None
        self._source_failure: Exception | None = None
        self._busy = False
        # While threads still run: what is left open would be closed when they cannot end any more.
        self._at_exit = weakref.finalize(self, _close, self._threads, self._budget, self._decoders)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the decoding, also what is under way; nothing can be scored any more."""
        if self._failure is None:
            self._failure = RuntimeError("The job has ended.")
        self._at_exit()

    def rows(self, items: Iterable[Item]) -> Iterator[ScoreRow]:
        """Score each item with each predictor; yields one row per item, in order.

        An item that cannot be scored gets a row with its reason, and the rest goes on. One call after the other: an
        iterator that is left before its end closes the engine.

        Raises:
            RuntimeError: if another iterator is not at its end, or the engine is closed; or if a device fails for good.
        """
        if self._busy:
            raise RuntimeError("The engine scores other items: go through their rows first.")
        self._busy = True
        try:
            yield from self._rows(items)
        except BaseException:
            # What is under way has numbers that the budget would wait for.
            self.close()
            raise
        finally:
            self._busy = False

    def _rows(self, items: Iterable[Item]) -> Iterator[ScoreRow]:
        held: deque[Prepared] = deque()
        for image in self._prepared(items, held):
            held.append(image)
            self._score_full_batches(held, image)
            if len(held) > _HELD_IMAGES or self._encoded_bytes > _ENCODED_BYTES:
                self._score_oldest(held)
            yield from self._finished(held)
        while held:
            self._score_oldest(held)
            yield from self._finished(held)
        if self._source_failure is not None:
            raise self._source_failure

    def _prepared(self, items: Iterable[Item], held: deque[Prepared]) -> Iterator[Prepared]:
        waiting: deque[tuple[int, Future[Prepared]]] = deque()
        ahead = max(_AHEAD_IMAGES, 2 * (self._processes or _THREADS))
        rest = iter(items)
        while (item := self._next(rest)) is not None:
            self._encoded_bytes += item.held_bytes
            future = self._threads.submit(functools.partial(self._prepare, item, self._number))
            waiting.append((self._number, future))
            self._number += 1
            while waiting and (len(waiting) >= ahead or self._encoded_bytes > _ENCODED_BYTES):
                yield self._await(*waiting.popleft(), held)
        while waiting:
            yield self._await(*waiting.popleft(), held)

    def _next(self, items: Iterator[Item]) -> Item | None:
        if self._failure is not None:
            raise self._failure
        start = time.perf_counter()
        try:
            return next(items, None)
        except Exception as error:  # noqa: BLE001 - raised once the items before it have their rows
            self._source_failure = error
            return None
        finally:
            self.progress.waiting += time.perf_counter() - start

    def _await(self, number: int, future: Future[Prepared], held: deque[Prepared]) -> Prepared:
        start = time.perf_counter()
        while not self._budget.wait(number, future):
            self.progress.waiting += time.perf_counter() - start
            self._score_oldest(held)
            start = time.perf_counter()
        self.progress.waiting += time.perf_counter() - start
        if self._failure is not None:
            raise self._failure
        return future.result()

    def _prepare(self, item: Item, number: int) -> Prepared:
        entered: int | None = None

        def admit(width: int, height: int) -> None:
            nonlocal entered
            entered = most_pixels(self._needs, width, height, paired=item.reference is not None)
            self._budget.enter(number, entered)

        try:
            image = prepare(item, self._needs, self._own_decoder(), admit, self._profiles)
        except BaseException as error:
            if self._failure is None:
                self._failure = error
            self._budget.abort()
            raise
        if entered is None:
            self._budget.enter(number, 0)
        image.held = image.pixels
        self._budget.hold(image.held - (entered or 0))
        return image

    def _own_decoder(self) -> Decoder:
        if not hasattr(self._local, "decoder"):
            self._local.decoder = ProcessDecoder(self._timeout) if self._processes else LocalDecoder()
            self._decoders.append(self._local.decoder)
        decoder: Decoder = self._local.decoder
        return decoder

    def _score_full_batches(self, held: Iterable[Prepared], newest: Prepared) -> None:
        for metric, (image, _) in list(newest.inputs.items()):
            batch = _alike(held, metric, image.shape)
            if len(batch) >= self._most(metric, image):
                self._score(batch, metric)

    def _score_oldest(self, held: Iterable[Prepared]) -> None:
        """Score the oldest image that has no row yet, and those that fit into its batches."""
        for image in held:
            if image.inputs:
                for metric, (pixels, _) in list(image.inputs.items()):
                    self._score(_alike(held, metric, pixels.shape)[: self._most(metric, pixels)], metric)
                return

    def _most(self, metric: str, image: Tensor) -> int:
        """The most images of one size for a batch."""
        pixels = image.shape[-1] * image.shape[-2]
        return max(1, min(self._predictors[metric].max_batch, _BATCH_PIXELS // pixels))

    def _score(self, batch: Sequence[Prepared], metric: str, *, spare_memory: bool = False) -> None:
        start = time.perf_counter()
        pairs = [image.inputs[metric] for image in batch]
        scores, problem, memory = _attempt(pairs, self._predictors[metric], spare_memory=spare_memory)
        self.progress.network += time.perf_counter() - start
        if problem and len(batch) > 1:
            # Memory, of which one image needs less than a batch, or one image that is none for this metric.
            for image in batch:
                self._score([image], metric)
            return
        for image, score in zip(batch, scores, strict=True):
            del image.inputs[metric]
            if math.isfinite(score):
                image.scores[metric] = score
            else:
                image.fail(metric, problem or f"not-finite: the network's output is {score}", memory=memory)
            left = image.pixels
            self._budget.hold(left - image.held)
            image.held = left

    def _finished(self, held: deque[Prepared]) -> Iterator[ScoreRow]:
        while held and not held[0].inputs:
            if held[0].without_memory:
                while any(image.inputs for image in held):
                    self._score_oldest(held)
                self._retry(held[0])
            self._encoded_bytes -= held[0].item.held_bytes
            yield self._row(held.popleft())

    def _retry(self, image: Prepared) -> None:
        """Score an image for which memory did not suffice, now in strips; then at the size that the user allowed."""
        for policy in (None, self._fallback)[: 1 if self._fallback is None else 2]:
            needs = [
                need if policy is None else replace(need, size=policy)
                for need in self._needs
                if need.metric in image.without_memory
            ]
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            again = prepare(image.item, needs, self._own_decoder(), lambda *_: None, self._profiles)
            for metric in list(again.inputs):
                self._score([again], metric, spare_memory=True)
            for need in needs:
                if need.metric in again.scores:
                    del image.errors[need.metric]
                    image.without_memory.remove(need.metric)
                    image.scores[need.metric] = again.scores[need.metric]
                    image.sizes[need.metric] = need.size
            image.note = image.note or again.note
            image.width, image.height = image.width or again.width, image.height or again.height
            if not image.without_memory:
                return
            # Its pixels would be in memory beside those of the next size.
            del again

    def _row(self, image: Prepared) -> ScoreRow:
        names = list(self._predictors)
        status: Status = "ok" if not image.errors else "partial" if image.scores else "error"
        reasons = dict.fromkeys(image.errors.values())
        if len(reasons) == 1 and len(image.errors) == len(names):
            error = next(iter(reasons))
        else:
            error = "; ".join(f"{name}: {image.errors[name]}" for name in names if name in image.errors)
        scores = {name: image.scores.get(name) for name in names}
        # Without a score there is nothing to know of it.
        note = image.note if image.scores else ""
        return ScoreRow(image.item.name, scores, image.width, image.height, _size(image.sizes), status, error, note)


def score_items(
    items: Iterable[Item],
    predictors: Sequence[Predictor],
    *,
    workers: int | None = 0,
    fallback: str | SizePolicy | None = None,
    timeout: float = DECODE_SECONDS,
    profiles: str = "apply",
) -> Iterator[ScoreRow]:
    """Score each item with each predictor; yields one row per item, in order.

    Arguments and errors are those of `Engine`, which serves one call after the other.
    """
    engine = Engine(predictors, workers=workers, fallback=fallback, timeout=timeout, profiles=profiles)

    def rows() -> Iterator[ScoreRow]:
        with engine:
            yield from engine.rows(items)

    return rows()


def usable_processors() -> int:
    """Processors that this process may use, at most 8: what a job starts decoding processes for."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count, _MOST_PROCESSES)


def _close(threads: DaemonThreads, budget: PixelBudget, decoders: Sequence[Decoder]) -> None:
    budget.abort()
    for decoder in list(decoders):
        decoder.abort()
    threads.close()
    for decoder in decoders:
        decoder.close()


def _size(policies: dict[str, SizePolicy]) -> str:
    if len(set(policies.values())) == 1:
        return str(next(iter(policies.values())))
    return ";".join(f"{name}:{policy}" for name, policy in policies.items())


def _alike(held: Iterable[Prepared], metric: str, shape: torch.Size) -> list[Prepared]:
    return [image for image in held if metric in image.inputs and image.inputs[metric][0].shape == shape]


def _attempt(
    pairs: Sequence[tuple[Tensor, Tensor | None]], predictor: Predictor, *, spare_memory: bool
) -> tuple[list[float], str, bool]:
    """The scores; or NaN, the reason, and whether it was memory."""
    try:
        images = _batch([image for image, _ in pairs])
        references = [reference for _, reference in pairs if reference is not None]
        stacked = _batch(references) if references else None
        # Predictors of others need not know how to.
        sparing = {"spare_memory": True} if spare_memory else {}
        scores: list[float] = predictor(images, stacked, **sparing).tolist()
    except (ImageError, RuntimeError, MemoryError) as error:
        if is_lost_device(error):
            raise
        return [math.nan] * len(pairs), explain(error), is_memory_error(error)
    return scores, "", False


def _batch(images: Sequence[Tensor]) -> Tensor:
    # A single image, which may be huge, is not copied.
    return images[0][None] if len(images) == 1 else torch.stack(list(images))
