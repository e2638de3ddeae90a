"""Prepared images to rows: those of one size are scored together."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from topiq_metrics.errors import ImageError
from topiq_metrics.images import SizePolicy
from topiq_metrics.scoring.prefetching import Prefetcher
from topiq_metrics.scoring.preparation import Need, Prepared, is_lost_device, is_memory_error, reason_for
from topiq_metrics.scoring.progress import Progress
from topiq_metrics.scoring.rows import ScoreRow, Status

if TYPE_CHECKING:
    from topiq_metrics.inference import Predictor

_BATCH_PIXELS = 2_000_000


class Batcher:
    """Holds prepared images until they have all of their scores, and hands out their rows in order.

    Args:
        predictors: by metric.
        needs: what each metric wants of an image.
        fallback: size policy under which an image is scored for which memory does not suffice; None for none.
        prefetcher: where the images come from, which is told what is gone.
        progress: its seconds in the network are kept up to date.
    """

    def __init__(
        self,
        predictors: Mapping[str, Predictor],
        needs: Sequence[Need],
        fallback: SizePolicy | None,
        prefetcher: Prefetcher,
        progress: Progress,
    ) -> None:
        self._predictors = predictors
        self._needs = needs
        self._fallback = fallback
        self._prefetcher = prefetcher
        self._progress = progress
        self._held: deque[Prepared] = deque()

    def __len__(self) -> int:
        """Images without a row."""
        return len(self._held)

    def add(self, image: Prepared) -> None:
        """Take an image, and score the batches that it makes full."""
        self._held.append(image)
        for metric, (pixels, _) in list(image.inputs.items()):
            batch = self._alike(metric, pixels.shape)
            if len(batch) >= self._most(metric, pixels):
                self._score(batch, metric)

    def score_oldest(self) -> None:
        """Score the oldest image that lacks scores, and those that fit into its batches."""
        for image in self._held:
            if image.inputs:
                for metric, (pixels, _) in list(image.inputs.items()):
                    self._score(self._alike(metric, pixels.shape)[: self._most(metric, pixels)], metric)
                return

    def rows(self) -> Iterator[ScoreRow]:
        """The rows of the images that have all of their scores, and none before them that lacks some."""
        held = self._held
        while held and not held[0].inputs:
            if held[0].without_memory:
                while any(image.inputs for image in held):
                    self.score_oldest()
                self._retry(held[0])
            self._prefetcher.forget(held[0].item)
            yield self._row(held.popleft())

    def _alike(self, metric: str, shape: torch.Size) -> list[Prepared]:
        return [image for image in self._held if metric in image.inputs and image.inputs[metric][0].shape == shape]

    def _most(self, metric: str, image: Tensor) -> int:
        """The most images of one size for a batch."""
        pixels = image.shape[-1] * image.shape[-2]
        return max(1, min(self._predictors[metric].max_batch, _BATCH_PIXELS // pixels))

    def _score(self, batch: Sequence[Prepared], metric: str, *, spare_memory: bool = False) -> None:
        start = time.perf_counter()
        pairs = [image.inputs[metric] for image in batch]
        scores, problem, memory = _attempt(pairs, self._predictors[metric], spare_memory=spare_memory)
        self._progress.network += time.perf_counter() - start
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
            self._prefetcher.settle(image)

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
            again = self._prefetcher.again(image.item, needs)
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


def _size(policies: dict[str, SizePolicy]) -> str:
    if len(set(policies.values())) == 1:
        return str(next(iter(policies.values())))
    return ";".join(f"{name}:{policy}" for name, policy in policies.items())


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
        return [math.nan] * len(pairs), reason_for(error), is_memory_error(error)
    return scores, "", False


def _batch(images: Sequence[Tensor]) -> Tensor:
    # A single image, which may be huge, is not copied.
    return images[0][None] if len(images) == 1 else torch.stack(list(images))
