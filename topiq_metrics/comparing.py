"""Which of several pictures is best, as far as a metric can tell."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from topiq_metrics._files import write_whole
from topiq_metrics.catalog import default_metric, get_card
from topiq_metrics.explaining import explain
from topiq_metrics.explaining.explanation import check_folder
from topiq_metrics.explaining.overlays import draw_comparison
from topiq_metrics.images import MIN_SIDE, SizePolicy, load_image
from topiq_metrics.inference.predictor import NetworkPredictor

PathLike = str | os.PathLike[str]
_COMPARISON = "comparison.png"


@dataclass(frozen=True)
class RankedImage:
    """A picture among its competitors.

    Attributes:
        path: the picture.
        score: the metric's.
        noise: the metric's own: how far the score moves, at most, when the picture is mirrored or loses a row and a
            column of pixels, and its reference likewise, which nobody would call better or worse.
        place: 1 plus the number of pictures that are better by more than the noise of both.
        ties: the paths of those that are neither better nor worse by more than that.
    """

    path: str
    score: float
    noise: float
    place: int
    ties: tuple[str, ...]


def rank_images(
    images: Sequence[PathLike],
    reference: PathLike | None = None,
    metric: str | None = None,
    weights: PathLike = "default",
    *,
    size: str | SizePolicy | None = None,
    device: str | None = None,
) -> list[RankedImage]:
    """Rank pictures by a metric, best first, and say which of them it does not tell apart.

    Args:
        images: paths of two pictures or more.
        reference: path of the picture that all are versions of, for a full-reference metric.
        metric: a metric of the catalogue; by default the bundled one, with a reference or without.
        weights: ``"default"``, or a file.
        size: a size policy instead of the metric's own.
        device: where to run; a GPU if there is one.

    Raises:
        ValueError: fewer than two pictures, one of them twice, or a metric that does not go with a reference or the
            lack of it.
        ImageError: a picture cannot be read or scored, or is not of the reference's size.
        WeightsError: the weights cannot be had.

    Examples:
        >>> from topiq_metrics import rank_images
        >>> best, *others = rank_images(["a.png", "b.png", "c.png"], "original.png")  # doctest: +SKIP
    """
    paths = [os.fspath(image) for image in images]
    if len(paths) < 2:
        raise ValueError(f"To compare takes two pictures or more, but got {len(paths)}.")
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} is named twice.")
    name = metric or default_metric(with_reference=reference is not None)
    card = get_card(name)
    if not card.architecture:
        raise ValueError(f"{name!r} is the metric of another distribution, which cannot be run here.")
    if (card.mode == "FR") != (reference is not None):
        raise ValueError(
            f"{name!r} is a full-reference metric: name the reference."
            if reference is None
            else f"{name!r} scores an image by itself: leave out the reference."
        )
    predictor = NetworkPredictor(name, weights, size=size, device=device)
    original = None if reference is None else load_image(reference)
    scores, noises = [], []
    for path in paths:
        picture = load_image(path)
        if original is not None and picture.shape != original.shape:
            raise ValueError(
                f"{path} has {_in_pixels(picture)}, but the reference {os.fspath(reference or '')} has "
                f"{_in_pixels(original)}."
            )
        score, *others = (_score(predictor, view) for view in _views(picture, original))
        scores.append(score)
        noises.append(max(abs(other - score) for other in others))
    return _ranked(paths, scores, noises, sign=1 if card.higher_is_better else -1)


def save_comparison(
    ranked: Sequence[RankedImage],
    folder: PathLike,
    reference: PathLike | None = None,
    metric: str | None = None,
    weights: PathLike = "default",
    *,
    size: str | SizePolicy | None = None,
    device: str | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Show where ranked pictures differ: ``comparison.png`` with the maps of all, best first, and a folder for each.

    Args:
        ranked: what `rank_images` gave for the same arguments.
        folder: is made if there is none; the folder it is to lie in must be there.
        reference: as for `rank_images`, and so the others.
        metric: see there.
        weights: see there.
        size: see there.
        device: see there.
        overwrite: replace an earlier comparison.

    Returns:
        The paths of the files. What `topiq_metrics.Explanation.save` writes of the picture in the n-th line is in
        ``n-STEM/``.

    Raises:
        FileExistsError: if a comparison is there, without ``overwrite``.
        OSError: if files cannot be written.
    """
    folder = check_comparison_folder(folder, overwrite=overwrite)
    found = [explain(image.path, reference, metric, weights, size=size, device=device) for image in ranked]
    folder.mkdir(exist_ok=True)
    stream = io.BytesIO()
    draw_comparison(found, [f"{image.place}. {image.path}" for image in ranked]).save(stream, "PNG")
    write_whole(folder / _COMPARISON, stream.getvalue())
    paths = [folder / _COMPARISON]
    for line, (image, explanation) in enumerate(zip(ranked, found, strict=True), start=1):
        paths += explanation.save(folder / f"{line}-{Path(image.path).stem}", overwrite=overwrite)
    return paths


def check_comparison_folder(folder: PathLike, *, overwrite: bool) -> Path:
    """The folder, if `save_comparison` can be expected to write there; nothing is changed.

    Raises:
        OSError: if not.
    """
    path = check_folder(folder, overwrite=overwrite)
    if (path / _COMPARISON).exists() and not overwrite:
        raise FileExistsError(f"{path / _COMPARISON} is there already: name another folder, or overwrite it (--force).")
    return path


def _views(picture: Tensor, reference: Tensor | None) -> Iterator[list[Tensor]]:
    """A picture and its reference as they are, and in ways that change neither's quality."""
    pair = [x for x in (picture, reference) if x is not None]
    yield pair
    yield [x.flip(-1) for x in pair]
    if min(picture.shape[-2:]) > MIN_SIDE:
        yield [x[:, 1:, 1:] for x in pair]
        yield [x[:, :-1, :-1] for x in pair]


def _score(predictor: NetworkPredictor, pair: list[Tensor]) -> float:
    return predictor(*(predictor.size.apply(x[None]) for x in pair)).item()


def _ranked(paths: Sequence[str], scores: Sequence[float], noises: Sequence[float], *, sign: int) -> list[RankedImage]:
    ranked = []
    for i in sorted(range(len(paths)), key=lambda i: (-sign * scores[i], paths[i])):
        leads = {j: sign * (scores[j] - scores[i]) for j in range(len(paths)) if j != i}
        told = {j for j, lead in leads.items() if abs(lead) > max(noises[i], noises[j])}
        place = 1 + sum(leads[j] > 0 for j in told)
        ties = tuple(paths[j] for j in leads if j not in told)
        ranked.append(RankedImage(paths[i], scores[i], noises[i], place, ties))
    return ranked


def _in_pixels(picture: Tensor) -> str:
    return f"{picture.shape[-1]} x {picture.shape[-2]} pixels"
