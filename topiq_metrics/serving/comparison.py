"""Which of several uploaded pictures is best: as `topiq_metrics.rank_images`, but decoded where files may crash it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from topiq_metrics.comparing.ranking import Views, place_scores, score_with_noise
from topiq_metrics.errors import ImageError, ImageTooSmallError
from topiq_metrics.images.opened import OpenedImage
from topiq_metrics.images.profiles import note_on_colors
from topiq_metrics.inference import Predictor
from topiq_metrics.scoring.decoders import Decoder
from topiq_metrics.scoring.preparation import is_lost_device, reason_for
from topiq_metrics.serving.decoding import decode_whole


@dataclass(frozen=True)
class ComparedPicture:
    """A picture among its competitors, in the order in which they were given.

    Attributes:
        name: the file's.
        score: the metric's; None where it cannot be had.
        noise: how far the score moves by what changes no quality; see `topiq_metrics.RankedImage`.
        place: 1 plus the number of pictures that are better by more than the noise.
        ties: the indexes of those that are neither better nor worse by more than that.
        error: why there is no score, beginning with a word to sort by; or an empty string.
        note: what there is to know of the score; or an empty string.
    """

    name: str
    score: float | None = None
    noise: float | None = None
    place: int | None = None
    ties: tuple[int, ...] = ()
    error: str = ""
    note: str = ""


def compare_pictures(
    pictures: Sequence[tuple[str, bytes]],
    reference: tuple[str, bytes] | None,
    predictor: Predictor,
    *,
    decoder: Decoder,
    max_pixels: int,
) -> list[ComparedPicture]:
    """Rank pictures, one of which is in memory at a time.

    Args:
        pictures: names and files.
        reference: the picture that all are versions of; a metric that scores an image by itself passes it over.
        predictor: of the metric.
        decoder: decodes the files.
        max_pixels: the most pixels that a picture may have.

    Returns:
        One for each picture; those without a score, with the reason, have no place.
    """

    def opened(name: str, data: bytes) -> OpenedImage:
        return decode_whole(data, name, decoder, max_pixels)

    original: Views | None = None
    problem = ""
    if predictor.card.mode == "FR":
        if reference is None:
            problem = "no-reference: the metric compares with a reference, and there is none"
        else:
            try:
                original = Views.of(opened(*reference), predictor.size)
            except (ImageError, RuntimeError, MemoryError) as error:
                if is_lost_device(error):
                    raise
                problem = f"reference-{reason_for(error, reference[0])}"
    if problem:
        return [ComparedPicture(name, error=problem) for name, _ in pictures]
    found = [_scored(name, data, original, predictor, opened) for name, data in pictures]
    known = [index for index, picture in enumerate(found) if picture.score is not None]
    placed = place_scores(
        [found[index].score or 0.0 for index in known],
        [found[index].noise or 0.0 for index in known],
        higher_is_better=predictor.card.higher_is_better,
    )
    for index, (place, ties) in zip(known, placed, strict=True):
        found[index] = replace(found[index], place=place, ties=tuple(known[tie] for tie in ties))
    return found


def _scored(
    name: str,
    data: bytes,
    original: Views | None,
    predictor: Predictor,
    opened: Callable[[str, bytes], OpenedImage],
) -> ComparedPicture:
    try:
        picture = opened(name, data)
        if too_small := predictor.size.too_small(picture.height, picture.width):
            raise ImageTooSmallError(too_small)
        if original is not None and (picture.height, picture.width) != (original.height, original.width):
            sizes = [f"{x.width}x{x.height}" for x in (picture, original)]
            return ComparedPicture(name, error=f"size-mismatch: the image has {sizes[0]}, its reference {sizes[1]}")
        views = Views.of(picture, predictor.size)
        # A large picture is let go before the network runs.
        del picture
        score, noise = score_with_noise(predictor, views, original)
    except (ImageError, RuntimeError, MemoryError) as error:
        if is_lost_device(error):
            raise
        return ComparedPicture(name, error=reason_for(error, name))
    if not math.isfinite(score):
        return ComparedPicture(name, error=f"not-finite: the network's output is {score}")
    note = note_on_colors(views.origin, None if original is None else original.origin)
    return ComparedPicture(name, score, noise, note=note)
