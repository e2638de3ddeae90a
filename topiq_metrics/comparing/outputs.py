"""Where ranked pictures differ, as files."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

from topiq_metrics._files import write_whole
from topiq_metrics._outputs import check_new
from topiq_metrics.comparing.ranking import PathLike, RankedImage, metric_for
from topiq_metrics.explaining import explain
from topiq_metrics.explaining.explanation import check_explanation_folder
from topiq_metrics.explaining.overlays import draw_comparison
from topiq_metrics.images import SizePolicy
from topiq_metrics.images.loader import ImageSource
from topiq_metrics.weights import load_network

_COMPARISON = "comparison.png"


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
) -> list[Path]:
    """Show where ranked pictures differ: ``comparison.png`` with the maps of all, best first, and a folder for each.

    The maps of all pictures are held at once, up to 1 kB for each pixel that is scored.

    Args:
        ranked: what `rank_images` gave for the same arguments.
        folder: is made if there is none; the folder it is to lie in must be there.
        reference: as for `rank_images`, and so the others.
        metric: see there.
        weights: see there.
        size: see there.
        profiles: see there.
        device: see there.
        overwrite: replace the files of an earlier comparison.

    Returns:
        The paths of the files. What `topiq_metrics.Explanation.save` writes of a picture is in a folder with its
        name, without the suffix; of several with the same name, in ``NAME``, ``NAME-2`` and so on.

    Raises:
        FileExistsError: if there is a comparison or an explanation, without ``overwrite``.
        OSError: if files cannot be written.
        ValueError: if the scores are not those of ``ranked``.
    """
    folder = check_comparison_folder(folder, overwrite=overwrite)
    folders = [folder / name for name in _names(ranked)]
    if folder.is_dir():
        for each in folders:
            check_explanation_folder(each, overwrite=overwrite)
    net = load_network(metric_for(metric, reference), weights, device=device)
    found = [explain(image.source, reference, net=net, size=size, profiles=profiles) for image in ranked]
    for image, explanation in zip(ranked, found, strict=True):
        if not math.isclose(explanation.score, image.score, rel_tol=1e-3, abs_tol=1e-3):
            raise ValueError(
                f"{image.path} was ranked by a score of {image.score:.4f}, but has {explanation.score:.4f} here: give "
                "the reference, the metric, the weights and the size of `rank_images`."
            )
    folder.mkdir(exist_ok=True)
    paths = []
    for each, explanation in zip(folders, found, strict=True):
        paths += explanation.save(each, overwrite=overwrite)
    stream = io.BytesIO()
    draw_comparison(found, [f"{image.place}. {image.path}" for image in ranked]).save(stream, "PNG")
    # The last, so that what was interrupted does not look whole.
    write_whole(folder / _COMPARISON, stream.getvalue())
    return [folder / _COMPARISON, *paths]


def check_comparison_folder(folder: PathLike, *, overwrite: bool) -> Path:
    """The folder, if `save_comparison` can be expected to write there; nothing is changed.

    Raises:
        OSError: if not.
    """
    path = check_explanation_folder(folder, overwrite=overwrite)
    if not overwrite:
        check_new(path / _COMPARISON, "name another folder")
    return path


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
