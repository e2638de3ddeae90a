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
    """Scores items with predictors; a context manager that stops the decoding processes on exit.

    Items are taken as they are needed: memory depends on the pixels in flight and the items that contain their image,
    not on the number of items. At most 64 decoded items wait for their row.

    Args:
        predictors: one for each metric.
        workers: processes that decode; 0 decodes in threads of this process, which a malicious file can crash or hang;
            None is one per processor, at most 8.
        fallback: size policy for an image that does not fit into memory; None makes it an error.
        timeout: seconds for a decoding process to fetch an image, and again to decode it.
        profiles: ``"apply"`` converts colours to sRGB as `load_image` does; ``"ignore"`` reads all values as sRGB.
        decode: ``"exact"``, or ``"fast"`` to decode large images at a reduced scale; see `topiq_metrics.score_images`.
        max_pixels: the most pixels that an image may have; a larger one gets a row with an error.
        progress: updated while the engine runs.

    Raises:
        ValueError: no predictor, two for one metric, ``workers`` below 0, or an unknown ``profiles`` or ``decode``.
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
        """Stop decoding at once; the engine cannot be used afterwards."""
        self._prefetcher.close()

    def rows(self, items: Iterable[Item]) -> Iterator[ScoreRow]:
        """Score each item with each predictor; yields one row per item, in order.

        An item that cannot be scored gets a row with the reason; it does not stop the others. Only one iterator may be
        active at a time; abandoning it before its end closes the engine.

        Raises:
            RuntimeError: if another iterator has not ended, the engine is closed, or a device fails permanently.
        """
        if self._busy:
            raise RuntimeError("The engine is scoring other items: finish iterating over their rows first.")
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

    Arguments and errors are those of `Engine`, which can score several batches of items.

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
