"""Which of several pictures is best, as far as a metric can tell."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from PIL import Image
from torch import Tensor

from topiq_metrics.catalog import default_metric, get_card
from topiq_metrics.errors import ImageError, ImageTooSmallError
from topiq_metrics.images import MIN_SIDE, SizePolicy
from topiq_metrics.images.loader import ImageSource, open_image
from topiq_metrics.images.opened import OpenedImage
from topiq_metrics.images.profiles import Origin, note_on_colors
from topiq_metrics.inference.backends import choose_backend
from topiq_metrics.inference.predictor import NetworkPredictor, Predictor
from topiq_metrics.scoring.sources.in_memory import is_frame

PathLike: TypeAlias = "str | os.PathLike[str]"

MAX_MEMORY = 100_000_000
"""Bytes for the network, whose images come one by one: strips of rows then cost next to no time."""


@dataclass(frozen=True)
class RankedImage:
    """One of several compared images.

    Attributes:
        path: the path of the image; ``images[0]`` for the first image, and so on, if it was not given as a path.
        score: the metric's score.
        noise: the largest change of the score when the image, and its reference with it, is mirrored or, unless it is
            too small for that, loses a row and a column of pixels. People would see no difference in quality.
        place: 1 plus the number of images that are better by more than the larger noise of the two. A noisy image may
            share the place of better ones.
        ties: the paths of the images that are neither better nor worse by more than that.
        source: the image as it was given.
        note: a remark on the score, for example that the reference has another colour profile; or an empty string.
    """

    path: str
    score: float
    noise: float
    place: int
    ties: tuple[str, ...]
    source: ImageSource = field(repr=False, compare=False)
    note: str = ""


@dataclass(frozen=True, eq=False)
class Views:
    """What is scored of a picture.

    Attributes:
        height, width: of the picture, in pixels.
        origin: what its colours were in the file.
        sized: ``(1, 3, h, w)`` each: the picture and, unless it is too small, the picture without its first row and
            column, and without its last ones.
    """

    height: int
    width: int
    origin: Origin
    sized: Sequence[Tensor]

    @classmethod
    def of(cls, picture: OpenedImage, policy: SizePolicy) -> Views:
        """The views of a picture under a size policy; none of one that cannot be scored under it."""
        height, width = picture.height, picture.width
        if policy.too_small(height, width):
            return cls(height, width, picture.origin, [])
        if policy.output_size(height, width) == (height, width):
            # Of what is not resized, which may be large, there is no second copy.
            picture = picture.in_memory()
        views = [picture]
        if min(height, width) > MIN_SIDE:
            views += [picture.cropped(1, 1, width, height), picture.cropped(0, 0, width - 1, height - 1)]
        return cls(height, width, picture.origin, [view.sized(policy) for view in views])


def rank_images(
    images: Sequence[ImageSource],
    reference: ImageSource | None = None,
    metric: str | None = None,
    weights: PathLike = "default",
    *,
    size: str | SizePolicy | None = None,
    profiles: str = "apply",
    device: str | None = None,
    progress: Callable[[], None] | None = None,
) -> list[RankedImage]:
    """Rank images by a metric, best first, and say which of them it cannot tell apart.

    Args:
        images: two or more images, each as `topiq_metrics.load_image` takes it: paths, arrays ``(H, W, 3)``, tensors
            ``(3, H, W)``, PIL images and so on; or a batch of arrays or tensors.
        reference: the reference of all images, for a full-reference metric.
        metric: a metric of the catalogue; by default a bundled one: ``"topiq_fr-lite"`` with a reference,
            ``"topiq_nr-lite"`` without.
        weights: ``"default"``, or the path of a file.
        size: a size policy instead of the metric's own.
        profiles: ``"apply"`` converts colours to sRGB as `load_image` does; ``"ignore"`` reads all values, also those
            of the reference, as sRGB.
        device: where to run; by default a GPU if there is one, else the CPU.
        progress: called after each image.

    Returns:
        The images, best first.

    Raises:
        ValueError: fewer than two images, one of them twice, a missing or superfluous reference, or a metric that
            detects faces or belongs to another distribution.
        ImageError: an image cannot be read or scored, is too small, or differs in size from the reference; or the
            reference is a folder.
        WeightsError: the weights cannot be found or loaded.

    Examples:
        >>> from topiq_metrics import rank_images
        >>> best, *others = rank_images(["a.png", "b.png", "c.png"], "original.png")  # doctest: +SKIP
    """
    sources = _list(images)
    if isinstance(reference, (str, os.PathLike)) and os.path.isdir(reference):  # noqa: PTH112 - may not be readable
        raise ImageError(
            f"{os.fspath(reference)}: is a folder, but compare takes one reference picture, of which all others are "
            "versions. Pairs of pictures and references are scored by `topiq score`."
        )
    paths = [_name(source, f"images[{index}]") for index, source in enumerate(sources)]
    if len(paths) < 2:
        raise ValueError(f"A comparison needs two images or more, but got {len(paths)}.")
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} is named twice.")
    name = metric_for(metric, reference)
    card = get_card(name)
    if card.is_foreign:
        raise ValueError(f"{name!r} is the metric of another distribution, which cannot be run here.")
    if card.scores_faces:
        raise ValueError(f"{name!r} scores the faces that it finds: `topiq score` does that.")
    card.check_reference(reference)
    # First, for it is a matter of no time if it cannot be had.
    original = None if reference is None else _open(reference, "reference", profiles)
    backend = choose_backend(max_memory=MAX_MEMORY)
    predictor = NetworkPredictor(name, weights, size=size, device=device, backend=backend)
    beside = None if original is None else Views.of(original, predictor.size)
    del original
    scores, noises, notes = [], [], []
    for path, source in zip(paths, sources, strict=True):
        picture = _open(source, path, profiles)
        if too_small := predictor.size.too_small(picture.height, picture.width):
            raise ImageTooSmallError(f"{path} is too small: {too_small}.")
        if beside is not None and (picture.height, picture.width) != (beside.height, beside.width):
            raise ImageError(
                f"{path} has {picture.width} x {picture.height} pixels, but the reference {_name(reference, '')} has "
                f"{beside.width} x {beside.height} pixels."
            )
        views = Views.of(picture, predictor.size)
        # A large picture is let go before the network runs.
        del picture
        score, noise = score_with_noise(predictor, views, beside)
        if not math.isfinite(score):
            raise ImageError(f"{path} has no score: the network gives {score}.")
        notes.append(note_on_colors(views.origin, None if beside is None else beside.origin))
        scores.append(score)
        noises.append(noise)
        if progress is not None:
            progress()
    return _ranked(paths, sources, scores, noises, notes, higher_is_better=card.higher_is_better)


def _list(images: object) -> list[ImageSource]:
    """The pictures one by one, also of a batch.

    Raises:
        ValueError: if there is only one, or it is a table or a mapping.
    """
    if is_frame(images):
        raise ValueError(
            "Argument `images` must be a list of pictures, but got a data frame: pass a column of it, such as "
            "`list(frame['path'])`."
        )
    if isinstance(images, Mapping):
        raise ValueError(
            f"Argument `images` must be a list of pictures, but got {type(images).__name__}: pass "
            "`list(images.values())`."
        )
    if isinstance(images, (str, os.PathLike)):
        raise ValueError(f"Argument `images` must be a list of pictures, but got {os.fspath(images)!r}.")
    if isinstance(images, (Tensor, np.ndarray)):
        if images.ndim != 4:
            raise ValueError(f"Argument `images` must be a list of pictures, but got one of {tuple(images.shape)}.")
    elif isinstance(images, (bytes, bytearray, memoryview, Image.Image)) or not isinstance(images, Iterable):
        raise ValueError(f"Argument `images` must be a list of pictures, but got {type(images).__name__}.")
    return list(images)


def _name(source: object, otherwise: str) -> str:
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else otherwise


def _open(source: ImageSource, name: str, profiles: str) -> OpenedImage:
    """`open_image` whose errors name what has no name by itself."""
    try:
        return open_image(source, profiles=profiles)
    except ImageError as error:
        if isinstance(source, (str, os.PathLike)):
            raise
        raise type(error)(f"{name}: {error}") from error


def metric_for(metric: str | None, reference: ImageSource | None) -> str:
    """The metric that is named, or the bundled one that goes with a reference or the lack of it."""
    return default_metric(with_reference=reference is not None) if metric is None else metric


def score_with_noise(predictor: Predictor, picture: Views, reference: Views | None) -> tuple[float, float]:
    """The score of a picture, and its noise, as `RankedImage` has them."""
    pairs = [*zip(*(views.sized for views in (picture, reference) if views is not None), strict=True)]
    score, *others = (predictor(*pair).item() for pair in pairs)
    # Resizing treats left as right.
    others.append(predictor(*(x.flip(-1) for x in pairs[0])).item())
    return score, max(abs(other - score) for other in others)


def place_scores(
    scores: Sequence[float], noises: Sequence[float], *, higher_is_better: bool
) -> list[tuple[int, list[int]]]:
    """Of each score its place, and the indexes of those that are not told apart from it, as `RankedImage` has them."""
    sign = 1 if higher_is_better else -1
    placed = []
    for i, score in enumerate(scores):
        leads = {j: sign * (other - score) for j, other in enumerate(scores) if j != i}
        told = {j for j, lead in leads.items() if abs(lead) > max(noises[i], noises[j])}
        placed.append((1 + sum(leads[j] > 0 for j in told), [j for j in leads if j not in told]))
    return placed


def _ranked(
    paths: Sequence[str],
    sources: Sequence[ImageSource],
    scores: Sequence[float],
    noises: Sequence[float],
    notes: Sequence[str],
    *,
    higher_is_better: bool,
) -> list[RankedImage]:
    placed = place_scores(scores, noises, higher_is_better=higher_is_better)
    sign = 1 if higher_is_better else -1
    ranked = []
    for i in sorted(range(len(paths)), key=lambda i: (-sign * scores[i], paths[i])):
        place, ties = placed[i]
        names = tuple(paths[j] for j in ties)
        ranked.append(RankedImage(paths[i], scores[i], noises[i], place, names, sources[i], notes[i]))
    return ranked
