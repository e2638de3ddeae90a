"""Export of a metric to a file, which is kept only if it gives the metric's scores."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from topiq_metrics._outputs import check_new, check_place_of_file, check_writable
from topiq_metrics._version import __version__
from topiq_metrics.catalog import CFANetConfig, ModelCard, WeightsFile, get_card
from topiq_metrics.images import MIN_SIDE, SizePolicy
from topiq_metrics.inference.backends.base import undisturbed
from topiq_metrics.inference.export.check import TOLERANCES, ExportError, check_refusals, deviation
from topiq_metrics.inference.export.formats import FORMATS, Format
from topiq_metrics.inference.export.graph import DTYPES
from topiq_metrics.models.backbones import find_backbone
from topiq_metrics.weights import read_metadata, shared_network
from topiq_metrics.weights.hashes import has_expected_sha256, sha256_of
from topiq_metrics.weights.load import locate


@dataclass(frozen=True)
class Export:
    """An exported file.

    Attributes:
        path: the file.
        bytes: its size, including files that belong to it.
        opset: the ONNX opset version, or None for the other formats.
        deviation: the largest measured difference from PyTorch's float32 scores, relative to max(1, |score|).
        metadata: the metadata in the file.
    """

    path: Path
    bytes: int
    opset: int | None
    deviation: float
    metadata: dict[str, str]


def export_metric(
    name: str,
    path: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] = "default",
    size: str | SizePolicy | None = None,
    precision: str = "float32",
    overwrite: bool = False,
) -> Export:
    """Export a metric's network and size rule to one file, and check its scores against PyTorch.

    Inputs of the file are ``image`` and, for a full-reference metric, ``reference``: RGB ``(batch, 3, height, width)``
    in [0, 1], float32, of any batch and size. The output is ``score``, ``(batch,)``. Values outside [0, 1], and sides
    below 32 pixels before or after the size rule, score NaN. The file appears only after it has passed the check.

    Args:
        name: a metric of the catalogue. Of a face metric, the network for aligned faces is exported.
        path: the file: ``.onnx``, ``.pt2`` (`torch.export`) or ``.xml`` (OpenVINO IR, with a ``.bin`` beside it).
        weights: ``"default"``, or the path of a weights file.
        size: a size policy instead of the metric's own.
        precision: precision of the weights: ``"float32"``, or ``"float16"`` for half the file size.
        overwrite: whether to replace an existing file.

    Returns:
        The exported file, with the deviation measured.

    Raises:
        ValueError: if there is no such metric, format, size policy or precision, or the metric belongs to another
            distribution.
        OSError: if the file exists already, or cannot be written.
        ModuleNotFoundError: if the format needs an extra that is not installed.
        WeightsError: if weights cannot be found or loaded.
        ExportError: if the scores deviate from PyTorch's; no file is left then.
    """
    path, policy, form, card = _checked(name, path, weights, size, precision, overwrite=overwrite)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as folder:
        file = locate(name, weights)
        net = shared_network(name, file, device="cpu")
        about = _metadata(card, file, policy, precision, form)
        draft = Path(folder) / path.with_suffix(form.suffix).name
        with undisturbed():
            form.write(net, policy, precision, about, draft)
            run = form.open(draft)
            measured = deviation(run, net, policy)
        if not measured <= TOLERANCES[precision]:
            raise ExportError(
                f"{path} was not written: its scores of {name} deviate by {measured:.1g}, and "
                f"{TOLERANCES[precision]:g} is allowed in {precision}."
                + (" Export it in float32." if precision == "float16" else "")
            )
        with undisturbed():
            check_refusals(run, net, policy)
        # What the file is read with comes first.
        parts = [draft.with_suffix(suffix) for suffix in (*form.also, form.suffix)]
        total = sum(part.stat().st_size for part in parts)
        for part in parts:
            part.replace(path if part == draft else path.parent / part.name)
    return Export(path, total, form.opset, measured, about)


def _checked(
    name: str,
    path: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None,
    size: str | SizePolicy | None,
    precision: str,
    *,
    overwrite: bool,
) -> tuple[Path, SizePolicy, Format, ModelCard]:
    """What is asked for, if it can be done: found out before anything slow begins."""
    card = get_card(name)
    if card.is_foreign:
        raise ValueError(f"{name!r} is the metric of another distribution, whose network cannot be exported here.")
    if weights is None:
        raise ValueError("An untrained network is not exported: argument `weights` must be 'default' or a path.")
    policy = SizePolicy.parse(card.size if size is None else size)
    if _fixed_side(card) is not None and policy != SizePolicy.parse(card.size):
        raise ValueError(f"The network of {name!r} takes no other size than {card.size}, but got size {str(policy)!r}.")
    if precision not in DTYPES:
        raise ValueError(f"Argument `precision` must be one of {tuple(DTYPES)}, but got {precision!r}.")
    path = Path(path).expanduser()
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"The file must end in one of {tuple(FORMATS)}, but got {path.name!r}.")
    form = FORMATS[suffix]
    for target in (path, *(path.with_suffix(suffix) for suffix in form.also)):
        check_place_of_file(target)
        if not overwrite:
            check_new(target, "give another path")
    check_writable(path.parent)
    form.require()
    return path, policy, form, card


def _fixed_side(card: ModelCard) -> int | None:
    return find_backbone(card.network.backbone).fixed_side if isinstance(card.network, CFANetConfig) else None


def _metadata(card: ModelCard, file: Path, size: SizePolicy, precision: str, form: Format) -> dict[str, str]:
    """All that a file says about itself; numbers and flags as JSON."""
    published = card.weights is not None and _is_published(file, card.weights)
    own = {} if published else read_metadata(file)
    trained_on = own.get("trained_on")
    dataset = trained_on.get("dataset", "") if isinstance(trained_on, dict) else ""
    what = f"RGB in [0, 1], float32 (batch, 3, height, width), sides from {MIN_SIDE} px"
    if card.scores_faces:
        what += ", of faces that were found and aligned to 512 x 512 before"
    if card.mode == "FR":
        what += "; the reference is of the same shape"
    what += "; values outside [0, 1], and sides that are shorter or get so under the size rule, score NaN"
    about = {
        "metric": card.name,
        "mode": card.mode,
        "score_range": json.dumps(card.score_range),
        "higher_is_better": json.dumps(card.higher_is_better),
        "input": what,
        "size": str(size),
        "size_rule": "inside: give images as they are",
        "precision": precision,
        "weights": file.name,
        "weights_sha256": sha256_of(file),
        "license": card.weights.license
        if published and card.weights
        else own.get("license") or "that of the weights, which are not the published ones",
        "paper": card.paper,
        "trained_on": card.trained_on if published else dataset,
        "version": __version__,
    }
    return about if form.opset is None else {**about, "opset": str(form.opset)}


def _is_published(file: Path, weights: WeightsFile) -> bool:
    return bool(weights.sha256) and has_expected_sha256(file, weights)
