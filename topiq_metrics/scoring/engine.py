"""Score many images: decode ahead in threads, batch images of one size, yield one row per image in order."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from topiq_metrics.errors import ImageError, ImageTooLargeError, ImageTooSmallError
from topiq_metrics.images import MAX_PIXELS, SizePolicy, load_image
from topiq_metrics.scoring.sources import Item

if TYPE_CHECKING:
    from topiq_metrics.inference import Predictor

Status = Literal["ok", "partial", "error"]

_WINDOW_IMAGES = 32
_WINDOW_PIXELS = 16_000_000
_BATCH_PIXELS = 2_000_000
_DECODE_THREADS = 4
_AHEAD_IMAGES = 8


@dataclass(frozen=True)
class ScoreRow:
    """The outcome for one image.

    Attributes:
        path: the image, as the caller named it.
        scores: by metric; None where the metric could not score it.
        width: of the image as stored, upright, in pixels; None where it cannot be read.
        height: likewise.
        size: the size policy under which it was scored; one for each metric where they differ.
        status: ``"ok"``, ``"partial"`` where only some metrics have a score, ``"error"`` where none has.
        error: the reason, or an empty string.
    """

    path: str
    scores: dict[str, float | None]
    width: int | None
    height: int | None
    size: str
    status: Status
    error: str


@dataclass
class _Job:
    item: Item
    width: int | None = None
    height: int | None = None
    inputs: dict[str, tuple[Tensor, Tensor | None]] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def pixels(self) -> int:
        """Pixels in memory; metrics of one size policy share theirs."""
        tensors = {id(tensor): tensor for pair in self.inputs.values() for tensor in pair if tensor is not None}
        return sum(tensor.shape[-1] * tensor.shape[-2] for tensor in tensors.values())


def score_items(items: Iterable[Item], predictors: Sequence[Predictor]) -> Iterator[ScoreRow]:
    """Score each item with each predictor; yields one row per item, in order.

    An item that cannot be scored gets a row with its reason, and the rest goes on. Memory is bounded by the pixels in
    flight, not by the number of items, which are taken as they are needed.

    Raises:
        ValueError: no predictor, or two of one metric.
    """
    sizes = {predictor.card.name: str(predictor.size) for predictor in predictors}
    if not sizes or len(sizes) < len(predictors):
        names = [predictor.card.name for predictor in predictors]
        raise ValueError(f"Argument `predictors` must hold one for each metric, at least one, but got {names}.")
    distinct = set(sizes.values())
    size = distinct.pop() if len(distinct) == 1 else ";".join(f"{name}:{policy}" for name, policy in sizes.items())
    return _scored(items, predictors, size)


def _scored(items: Iterable[Item], predictors: Sequence[Predictor], size: str) -> Iterator[ScoreRow]:
    for window in _windows(_decoded(items, predictors)):
        for predictor in predictors:
            _score(window, predictor)
        for job in window:
            yield _row(job, predictors, size)


def _decoded(items: Iterable[Item], predictors: Sequence[Predictor]) -> Iterator[_Job]:
    with ThreadPoolExecutor(_DECODE_THREADS) as pool:
        pending: deque[Future[_Job]] = deque()
        try:
            for item in items:
                while len(pending) >= _AHEAD_IMAGES or _finished_pixels(pending) >= _WINDOW_PIXELS:
                    yield pending.popleft().result()
                pending.append(pool.submit(_decode, item, predictors))
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _finished_pixels(pending: Iterable[Future[_Job]]) -> int:
    return sum(future.result().pixels for future in pending if future.done())


def _decode(item: Item, predictors: Sequence[Predictor]) -> _Job:
    job = _Job(item)
    try:
        _load(job, predictors)
    except ImageError as error:
        problem = _reason(error)
    except (RuntimeError, MemoryError) as error:
        # What torch raises where memory does not suffice.
        problem = f"decoding-failed: {_first_line(error)}"
    else:
        return job
    return _Job(item, job.width, job.height, errors={predictor.card.name: problem for predictor in predictors})


def _load(job: _Job, predictors: Sequence[Predictor]) -> None:
    item, image = job.item, load_image(job.item.path)
    job.height, job.width = image.shape[-2:]
    reference, problem = None, ""
    if any(predictor.card.mode == "FR" for predictor in predictors):
        reference, problem = _load_reference(item, image)
    resized: dict[str, tuple[Tensor, Tensor | None]] = {}
    for predictor in predictors:
        name, policy = predictor.card.name, predictor.size
        unfit = (problem if predictor.card.mode == "FR" else "") or _unfit(policy, job.height, job.width)
        if unfit:
            job.errors[name] = unfit
        else:
            key = str(policy)
            if key not in resized:
                resized[key] = policy.apply(image), None if reference is None else policy.apply(reference)
            pair = resized[key]
            job.inputs[name] = pair if predictor.card.mode == "FR" else (pair[0], None)


def _unfit(policy: SizePolicy, height: int, width: int) -> str:
    if too_small := policy.too_small(height, width):
        return f"{ImageTooSmallError.reason}: {too_small}"
    out_height, out_width = policy.output_size(height, width)
    if out_height * out_width > MAX_PIXELS:
        return (
            f"{ImageTooLargeError.reason}: {width}x{height} is {out_width}x{out_height} under the size policy "
            f"{policy}, more than {MAX_PIXELS} pixels"
        )
    return ""


def _load_reference(item: Item, image: Tensor) -> tuple[Tensor | None, str]:
    if item.reference is None:
        return None, "no-reference: there is no reference of this name, or more than one"
    try:
        reference = load_image(item.reference)
    except ImageError as error:
        return None, f"reference-{_reason(error)}"
    if reference.shape != image.shape:
        sizes = [f"{x.shape[-1]}x{x.shape[-2]}" for x in (image, reference)]
        return None, f"size-mismatch: the image has {sizes[0]}, its reference {item.reference} {sizes[1]}"
    return reference, ""


def _reason(error: ImageError) -> str:
    return f"{error.reason}: {error}"


def _first_line(error: BaseException) -> str:
    # Torch adds advice, and sometimes a C++ stack, below the first line.
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _windows(jobs: Iterator[_Job]) -> Iterator[list[_Job]]:
    window: list[_Job] = []
    pixels = 0
    for job in jobs:
        window.append(job)
        pixels += job.pixels
        if len(window) >= _WINDOW_IMAGES or pixels >= _WINDOW_PIXELS:
            yield window
            window, pixels = [], 0
    if window:
        yield window


def _score(window: list[_Job], predictor: Predictor) -> None:
    name = predictor.card.name
    groups: dict[torch.Size, list[_Job]] = {}
    for job in window:
        if name in job.inputs:
            groups.setdefault(job.inputs[name][0].shape, []).append(job)
    for shape, group in groups.items():
        count = max(1, min(predictor.max_batch, _BATCH_PIXELS // (shape[-1] * shape[-2])))
        for start in range(0, len(group), count):
            _score_batch(group[start : start + count], predictor)


def _score_batch(batch: list[_Job], predictor: Predictor) -> None:
    name = predictor.card.name
    scores, problem = _attempt([job.inputs[name] for job in batch], predictor)
    if problem and len(batch) > 1:
        # Memory, of which one image needs less than a batch, or one image that is none for this metric.
        for job in batch:
            _score_batch([job], predictor)
        return
    for job, score in zip(batch, scores, strict=True):
        del job.inputs[name]
        if math.isfinite(score):
            job.scores[name] = score
        else:
            job.errors[name] = problem or f"not-finite: the network's output is {score}"


def _attempt(pairs: Sequence[tuple[Tensor, Tensor | None]], predictor: Predictor) -> tuple[list[float], str]:
    """The scores, or NaN and the reason."""
    try:
        images = torch.stack([image for image, _ in pairs])
        references = [reference for _, reference in pairs if reference is not None]
        scores: list[float] = predictor(images, torch.stack(references) if references else None).tolist()
    except ImageError as error:
        return [math.nan] * len(pairs), _reason(error)
    except (RuntimeError, MemoryError) as error:
        return [math.nan] * len(pairs), f"network-failed: {_first_line(error)}"
    return scores, ""


def _row(job: _Job, predictors: Sequence[Predictor], size: str) -> ScoreRow:
    names = [predictor.card.name for predictor in predictors]
    status: Status = "ok" if not job.errors else "partial" if job.scores else "error"
    reasons = dict.fromkeys(job.errors.values())
    if len(reasons) == 1 and len(job.errors) == len(names):
        error = next(iter(reasons))
    else:
        error = "; ".join(f"{name}: {job.errors[name]}" for name in names if name in job.errors)
    scores = {name: job.scores.get(name) for name in names}
    return ScoreRow(str(job.item.path), scores, job.width, job.height, size, status, error)
