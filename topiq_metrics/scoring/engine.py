"""Score many images: decode ahead, batch images of one size, yield one row per image in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from topiq_metrics.images import MAX_PIXELS, SizePolicy
from topiq_metrics.scoring.batching import Batcher
from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.options import DECODE_SECONDS
from topiq_metrics.scoring.prefetching import Prefetcher
from topiq_metrics.scoring.preparation import Need
from topiq_metrics.scoring.progress import Progress
from topiq_metrics.scoring.rows import ScoreRow

if TYPE_CHECKING:
    from topiq_metrics.inference import Predictor

_HELD_IMAGES = 64


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
        decode: ``"exact"``, or ``"fast"`` where fewer pixels than a file has will do; see `topiq_metrics.score_images`.
        max_pixels: the most pixels that a file may have; one of more gets a row that says so.
        progress: is kept up to date.

    Raises:
        ValueError: no predictor, two of one metric, a number of workers below 0, or other ``profiles`` or ``decode``.
    """

    def __init__(
        self,
        predictors: Sequence[Predictor],
        *,
        workers: int | None = 0,
        fallback: str | SizePolicy | None = None,
        timeout: float = DECODE_SECONDS,
        profiles: str = "apply",
        decode: str = "exact",
        max_pixels: int = MAX_PIXELS,
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
        self._prefetcher = Prefetcher(
            self._needs,
            workers=workers,
            timeout=timeout,
            profiles=profiles,
            decode=decode,
            max_pixels=max_pixels,
            progress=self.progress,
        )
        self._busy = False

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the decoding, also what is under way; nothing can be scored any more."""
        self._prefetcher.close()

    def rows(self, items: Iterable[Item]) -> Iterator[ScoreRow]:
        """Score each item with each predictor; yields one row per item, in order.

        An item that cannot be scored gets a row with its reason, and the rest is scored. One call after the other: an
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
        prefetcher = self._prefetcher
        batcher = Batcher(self._predictors, self._needs, self._fallback, prefetcher, self.progress)
        for image in prefetcher.prepared(items, make_room=batcher.score_oldest):
            batcher.add(image)
            if len(batcher) > _HELD_IMAGES or prefetcher.is_full:
                batcher.score_oldest()
            yield from batcher.rows()
        while batcher:
            batcher.score_oldest()
            yield from batcher.rows()
        if prefetcher.source_failure is not None:
            raise prefetcher.source_failure


def score_items(
    items: Iterable[Item],
    predictors: Sequence[Predictor],
    *,
    workers: int | None = 0,
    fallback: str | SizePolicy | None = None,
    timeout: float = DECODE_SECONDS,
    profiles: str = "apply",
    decode: str = "exact",
) -> Iterator[ScoreRow]:
    """Score each item with each predictor; yields one row per item, in order.

    Arguments and errors are those of `Engine`, which serves one call after the other.

    Examples:
        >>> from topiq_metrics.inference import open_predictor
        >>> from topiq_metrics.scoring import Item, score_items
        >>> import numpy as np
        >>> item = Item("ramp", data=np.tile(np.arange(64, dtype=np.uint8), (48, 1)))
        >>> (row,) = score_items([item], [open_predictor("topiq_nr-lite", device="cpu")])
        >>> row.path, row.width, row.height, row.status
        ('ramp', 64, 48, 'ok')
    """
    engine = Engine(predictors, workers=workers, fallback=fallback, timeout=timeout, profiles=profiles, decode=decode)

    def rows() -> Iterator[ScoreRow]:
        with engine:
            yield from engine.rows(items)

    return rows()
