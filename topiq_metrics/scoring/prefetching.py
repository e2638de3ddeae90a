"""Items to prepared images, ahead of their use."""

from __future__ import annotations

import functools
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future

from topiq_metrics.images.files import Admit
from topiq_metrics.images.profiles import parse_profiles
from topiq_metrics.images.reduced import parse_decode
from topiq_metrics.scoring.budget import PixelBudget
from topiq_metrics.scoring.decoders import Decoder, LocalDecoder, ProcessDecoder
from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.preparation import Need, Prepared, most_pixels, prepare
from topiq_metrics.scoring.processors import usable_processors
from topiq_metrics.scoring.progress import Progress
from topiq_metrics.scoring.threads import DaemonThreads

_BUDGET_PIXELS = 48_000_000
_ENCODED_BYTES = 256 << 20
_AHEAD_IMAGES = 16
_MOST_PROCESSES = 8
_THREADS = 4


class Prefetcher:
    """Decodes and prepares images in threads and processes, and hands them out in order.

    Memory is bounded by the pixels in flight, and by the bytes of items that have their image with them: what has been
    handed out counts until `settle` and `forget` tell that it is gone.

    Args:
        needs: what each metric wants of an image.
        workers: processes that decode; 0 decodes in threads of this process; None takes one for each processor.
        timeout: seconds for a decoding process to fetch an image, and again to decode it.
        profiles: ``"apply"`` or ``"ignore"``.
        decode: ``"exact"`` or ``"fast"``.
        max_pixels: the most pixels that a file may have.
        progress: its seconds of waiting are kept up to date.

    Attributes:
        source_failure: what the items have raised, for when those before it have their rows.
    """

    def __init__(
        self,
        needs: Sequence[Need],
        *,
        workers: int | None,
        timeout: float,
        profiles: str,
        decode: str,
        max_pixels: int,
        progress: Progress,
    ) -> None:
        self.source_failure: Exception | None = None
        self._needs = needs
        self._processes = min(usable_processors(), _MOST_PROCESSES) if workers is None else workers
        self._timeout = timeout
        self._profiles = parse_profiles(profiles)
        self._decode = parse_decode(decode)
        self._max_pixels = max_pixels
        self._progress = progress
        self._decoders: list[Decoder] = []
        self._local = threading.local()
        self._threads = DaemonThreads(self._processes or _THREADS)
        self._budget = PixelBudget(_BUDGET_PIXELS)
        self._number = 0
        self._encoded_bytes = 0
        self._failure: BaseException | None = None
        # While threads still run: what is left open would be closed when they cannot end any more.
        self._at_exit = weakref.finalize(self, _close, self._threads, self._budget, self._decoders)

    def close(self) -> None:
        """End the decoding, also what is under way; nothing can be prepared any more."""
        if self._failure is None:
            self._failure = RuntimeError("The job has ended.")
        self._at_exit()

    @property
    def is_full(self) -> bool:
        """Whether the items under way have more bytes with them than they may."""
        return self._encoded_bytes > _ENCODED_BYTES

    def prepared(self, items: Iterable[Item], make_room: Callable[[], object]) -> Iterator[Prepared]:
        """The images of items, which are taken as they are needed.

        Args:
            items: to be prepared.
            make_room: lets pixels go that were handed out; called while the next image lacks room.

        Raises:
            RuntimeError: if this is closed.
        """
        waiting: deque[tuple[int, Future[Prepared]]] = deque()
        ahead = max(_AHEAD_IMAGES, 2 * (self._processes or _THREADS))
        rest = iter(items)
        while (item := self._next(rest)) is not None:
            self._encoded_bytes += item.held_bytes
            future = self._threads.submit(functools.partial(self._prepare, item, self._number))
            waiting.append((self._number, future))
            self._number += 1
            while waiting and (len(waiting) >= ahead or self.is_full):
                yield self._await(*waiting.popleft(), make_room)
        while waiting:
            yield self._await(*waiting.popleft(), make_room)

    def again(self, item: Item, needs: Sequence[Need]) -> Prepared:
        """Prepare an item once more, here and at once, for these needs."""
        return self._prepared(item, needs, lambda *_: None)

    def settle(self, image: Prepared) -> None:
        """Let go of the room of pixels that an image does not hold any more."""
        left = image.pixels
        self._budget.hold(left - image.held)
        image.held = left

    def forget(self, item: Item) -> None:
        """Let go of the room of an item's bytes."""
        self._encoded_bytes -= item.held_bytes

    def _next(self, items: Iterator[Item]) -> Item | None:
        if self._failure is not None:
            raise self._failure
        start = time.perf_counter()
        try:
            return next(items, None)
        except Exception as error:  # noqa: BLE001 - raised once the items before it have their rows
            self.source_failure = error
            return None
        finally:
            self._progress.waiting += time.perf_counter() - start

    def _await(self, number: int, future: Future[Prepared], make_room: Callable[[], object]) -> Prepared:
        start = time.perf_counter()
        while not self._budget.wait(number, future):
            self._progress.waiting += time.perf_counter() - start
            make_room()
            start = time.perf_counter()
        self._progress.waiting += time.perf_counter() - start
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
            image = self._prepared(item, self._needs, admit)
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

    def _prepared(self, item: Item, needs: Sequence[Need], admit: Admit) -> Prepared:
        return prepare(item, needs, self._own_decoder(), admit, self._profiles, self._decode, self._max_pixels)

    def _own_decoder(self) -> Decoder:
        if not hasattr(self._local, "decoder"):
            self._local.decoder = ProcessDecoder(self._timeout) if self._processes else LocalDecoder()
            self._decoders.append(self._local.decoder)
        decoder: Decoder = self._local.decoder
        return decoder


def _close(threads: DaemonThreads, budget: PixelBudget, decoders: Sequence[Decoder]) -> None:
    budget.abort()
    for decoder in list(decoders):
        decoder.abort()
    threads.close()
    for decoder in decoders:
        decoder.close()
