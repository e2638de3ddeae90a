"""Where ranked pictures differ, as files."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from topiq_metrics._files import write_whole
from topiq_metrics._outputs import check_new
from topiq_metrics.comparing.naming import MAPS, NETWORK, PAGE, PAGES, is_page
from topiq_metrics.comparing.pictures import short_names
from topiq_metrics.comparing.ranking import MAX_MEMORY, PathLike, RankedImage, metric_for
from topiq_metrics.errors import ImageError
from topiq_metrics.explaining import Explanation, explain
from topiq_metrics.explaining.explanation import check_explanation_folder
from topiq_metrics.explaining.inputs import Reader, check_pair, check_reference
from topiq_metrics.explaining.local_quality import LocalQuality, as_jpeg, packed
from topiq_metrics.explaining.overlays import draw_comparison
from topiq_metrics.explaining.quality import card_to_map, map_picture
from topiq_metrics.explaining.quality_sheet import Column, draw_quality
from topiq_metrics.images import SizePolicy
from topiq_metrics.images.loader import ImageSource
from topiq_metrics.inference.predictor import choose_device
from topiq_metrics.weights import load_network, shared_network

COLUMNS = 8
"""Pictures on a page."""


def save_comparison(
    ranked: Sequence[RankedImage],
    folder: PathLike,
    reference: ImageSource | None = None,
    metric: str | None = None,
    weights: PathLike = "default",
    *,
    size: str | SizePolicy | None = None,
    profiles: str = "apply",
    device: str | None = None,
    overwrite: bool = False,
    network: bool = False,
    progress: Callable[[], None] | None = None,
) -> list[Path]:
    """Save where ranked images differ: their quality maps on one scale, and their worst places at 1:1.

    ``comparison.jpg`` shows them side by side, best first and next to the reference; further pages of eight images are
    ``comparison-2.jpg`` and so on. Images of one size are taken for versions of one image, with the same worst places.
    ``comparison.npz`` has the maps as ``map-1``, ``map-2`` and so on, their ``names`` and ``scores``.

    Args:
        ranked: the result of `rank_images` for the same arguments.
        folder: created if it does not exist; its parent must exist.
        reference: as for `rank_images`.
        metric: as for `rank_images`.
        weights: as for `rank_images`.
        size: as for `rank_images`.
        profiles: as for `rank_images`.
        device: as for `rank_images`.
        overwrite: replace the files of an earlier comparison.
        network: save the network's own maps instead: ``comparison.png`` with a sheet for each image, and for each image
            a folder of its name, or ``NAME-2`` and so on, with the files of `topiq_metrics.Explanation.save`. All maps
            are held in memory at once, up to 1 kB per scored pixel.
        progress: called after each image.

    Returns:
        The paths of the files.

    Raises:
        FileExistsError: if a comparison or an explanation exists, without ``overwrite``.
        OSError: if files cannot be written.
        ValueError: if the scores differ from those of ``ranked``.
    """
    folder = check_comparison_folder(folder, overwrite=overwrite, network=network)
    told = progress or (lambda: None)
    name = metric_for(metric, reference)
    if network:
        return _save_network(
            ranked, folder, reference, name, weights, size=size, profiles=profiles, device=device,
            overwrite=overwrite, told=told,
        )  # fmt: skip
    if not ranked:
        raise ValueError("Argument `ranked` must be the result of `rank_images`, but is empty.")
    card, where = card_to_map(name), choose_device(device)
    check_reference(name, card.mode, reference)
    read = Reader.of(name, card, size=size, profiles=profiles, device=where)
    # Resized once, for all.
    original = None if reference is None else read(reference, "reference")
    # Kept from one picture to the next.
    net = shared_network(name, weights, device=where)
    found: list[LocalQuality] = []
    for image in ranked:
        picture = read(image.source)
        check_pair(picture, original)
        found.append(map_picture(net, card, picture, original, MAX_MEMORY))
        del picture
        _check_score(image, found[-1].score)
        told()
    del original, net
    names = short_names([image.path for image in ranked])
    arrays = {f"map-{index}": each.values for index, each in enumerate(found, start=1)}
    # As many pictures as are compared would not fit into memory: they are read again when they are drawn.
    columns = [
        Column(f"{image.place}. {name}", each, partial(_pixels, read, image.source, image.path, each.image_size))
        for image, name, each in zip(ranked, names, found, strict=True)
    ]
    beside = None if reference is None else partial(_pixels, read, reference, "reference", found[0].image_size)
    contents = {MAPS: packed({"names": np.array(names), "scores": np.array([each.score for each in found]), **arrays})}
    pages = range(0, len(found), COLUMNS)
    for number, first in reversed([*enumerate(pages, start=1)]):
        shown = slice(first, first + COLUMNS)
        page = draw_quality(columns[shown], beside, among=found)
        contents[PAGE if number == 1 else f"comparison-{number}.jpg"] = as_jpeg(page)
    folder.mkdir(exist_ok=True)
    # The first page is the last, so that what was interrupted does not look whole.
    for name, content in contents.items():
        write_whole(folder / name, content)
    for path in folder.glob(PAGES):
        if path.name not in contents and is_page(path):
            path.unlink()
    return [folder / name for name in reversed(contents)]


def _pixels(read: Reader, source: ImageSource, name: str, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture that was mapped, ``(H, W, 3)``.

    Raises:
        ImageError: if it cannot be had any more, or has another size.
    """
    image = read.open(source)
    if (image.height, image.width) != size:
        raise ImageError(f"{name} was changed while it was compared: it had {size[1]}x{size[0]} pixels.")
    return image.in_bytes()


def _save_network(
    ranked: Sequence[RankedImage],
    folder: Path,
    reference: ImageSource | None,
    metric: str,
    weights: PathLike,
    *,
    size: str | SizePolicy | None,
    profiles: str,
    device: str | None,
    overwrite: bool,
    told: Callable[[], None],
) -> list[Path]:
    folders = [folder / name for name in _names(ranked)]
    if folder.is_dir():
        for each in folders:
            check_explanation_folder(each, overwrite=overwrite)
    net = load_network(metric, weights, device=choose_device(device))
    found: list[Explanation] = []
    for image in ranked:
        found.append(explain(image.source, reference, net=net, size=size, profiles=profiles))
        _check_score(image, found[-1].score)
        told()
    folder.mkdir(exist_ok=True)
    paths = []
    for each, explanation in zip(folders, found, strict=True):
        paths += explanation.save(each, overwrite=overwrite)
    stream = io.BytesIO()
    names = short_names([image.path for image in ranked])
    titles = [f"{image.place}. {name}" for image, name in zip(ranked, names, strict=True)]
    draw_comparison(found, titles).save(stream, "PNG")
    # The last, so that what was interrupted does not look whole.
    write_whole(folder / NETWORK, stream.getvalue())
    return [folder / NETWORK, *paths]


def check_comparison_folder(folder: PathLike, *, overwrite: bool, network: bool = False) -> Path:
    """Check that `save_comparison` can write to a folder, and return it; nothing is changed.

    Raises:
        OSError: if not.
    """
    path = check_explanation_folder(folder, overwrite=overwrite or not network)
    for name in () if overwrite else (NETWORK,) if network else (PAGE, MAPS):
        check_new(path / name, "name another folder")
    if not overwrite and not network:
        for page in filter(is_page, path.glob(PAGES)):
            check_new(page, "name another folder")
    return path


def _check_score(image: RankedImage, score: float) -> None:
    if not math.isclose(score, image.score, rel_tol=1e-3, abs_tol=1e-3):
        raise ValueError(
            f"{image.path} was ranked by a score of {image.score:.4f}, but has {score:.4f} here: give the reference, "
            "the metric, the weights and the size of `rank_images`."
        )


def _names(ranked: Sequence[RankedImage]) -> list[str]:
    """A name for each picture, whichever its place."""
    stems = {path: Path(path).stem for path in sorted(image.path for image in ranked)}
    taken: set[str] = set()
    for path, stem in stems.items():
        name, count = stem, 1
        while name.casefold() in taken:
            count += 1
            name = f"{stem}-{count}"
        taken.add(name.casefold())
        stems[path] = name
    return [stems[image.path] for image in ranked]
