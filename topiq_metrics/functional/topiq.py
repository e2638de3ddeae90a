"""The functional twins of the TOPIQ metrics."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias, cast

from torch import Tensor

from topiq_metrics.functional.tasks import AESTHETIC, FULL_REFERENCE, NO_REFERENCE, choose
from topiq_metrics.images import SizePolicy, validate_images, validate_pair
from topiq_metrics.models.cfanet import CFANet

Reduction: TypeAlias = Literal["mean", "sum", "none"]
_REDUCTIONS = ("mean", "sum", "none")


def topiq_no_reference(
    preds: Tensor | Sequence[Tensor],
    *,
    model: str = NO_REFERENCE.default,
    weights: str | os.PathLike[str] | None = "default",
    net: CFANet | None = None,
    reduction: Reduction | None = "mean",
    check_range: bool = True,
    size: SizePolicy | str | None = None,
) -> Tensor:
    """Score images without a reference with TOPIQ: from about 0 to about 1, higher is better.

    Differentiable with respect to the images. The network stays in memory for the next call. A score does not depend
    on the other images of a call, and is computed in float32 also under autocast.

    Args:
        preds: images to score, RGB: ``(N, 3, H, W)``, or a list of ``(3, H, W)`` of any sizes; floating point in
            [0, 1], or uint8 in 0…255. Sides of at least 32 pixels.
        model: name of the model; `topiq_metrics.get_card` has its score range, training data and licence.
        weights: ``"default"`` for the model's published weights, the path of a file, or None for a network that is
            not trained (a new one in each call).
        net: a network to use instead, in evaluation mode, on the device of the images; they are cast to its dtype.
            If it has the name of a model, as networks from `topiq_metrics.weights.load_network` do, that model's size
            rule is used, else that of ``model``.
        reduction: ``"mean"`` or ``"sum"`` over the images, or ``"none"`` for a score per image; None is ``"none"``.
        check_range: whether to refuse images with values outside [0, 1].
        size: size rule (see `topiq_metrics.SizePolicy`) to use instead of the model's, for example ``"max_side=1024"``.

    Returns:
        The score: a scalar, or ``(N,)`` for ``reduction="none"``. Float32, or float64 if ``net`` is.

    Raises:
        ValueError: if an argument is not as above; `ImageTooSmallError` if a side is too short.
        WeightsError: if the weights cannot be found or loaded.

    References:
        Chen et al. "TOPIQ: A Top-Down Approach From Semantics to Distortions for Image Quality Assessment".
        IEEE TIP 33:2404–2418, 2024. arXiv 2308.03060.

    Examples:
        >>> import torch
        >>> from topiq_metrics import topiq_no_reference
        >>> rng = torch.manual_seed(0)
        >>> topiq_no_reference(torch.rand(2, 3, 64, 96, generator=rng), reduction="none").shape
        torch.Size([2])
        >>> sizes = [torch.rand(3, 64, 96, generator=rng), torch.rand(3, 48, 48, generator=rng)]
        >>> bool(topiq_no_reference(sizes).isfinite())
        True
    """
    reduction = parse_reduction(reduction)
    scorer = choose(NO_REFERENCE, model, weights, net, size)
    scores = _topiq_update(scorer, preds, check_range=check_range)
    return _topiq_compute(scores, len(scores), reduction)


def topiq_full_reference(
    preds: Tensor | Sequence[Tensor],
    target: Tensor | Sequence[Tensor],
    *,
    model: str = FULL_REFERENCE.default,
    weights: str | os.PathLike[str] | None = "default",
    net: CFANet | None = None,
    reduction: Reduction | None = "mean",
    check_range: bool = True,
    size: SizePolicy | str | None = None,
) -> Tensor:
    """Score distorted images against their references with TOPIQ: from about 0 to about 1, higher is better.

    By default (``"topiq_fr-lite"``) an image that equals its reference scores 1, and no image scores higher.
    Differentiable with respect to both images.

    Args:
        preds: the distorted images, as `topiq_no_reference` takes them.
        target: the references, also a tensor or a list, of the same shapes.
        model: name of the model, as in `topiq_no_reference`.
        weights: as in `topiq_no_reference`.
        net: as in `topiq_no_reference`.
        reduction: as in `topiq_no_reference`.
        check_range: as in `topiq_no_reference`.
        size: size rule to use instead of the model's, for both images.

    Returns:
        The score: a scalar, or ``(N,)`` for ``reduction="none"``. Float32, or float64 if ``net`` is.

    Raises:
        ValueError: if an argument is not as above; `ImageTooSmallError` if a side is too short.
        WeightsError: if the weights cannot be found or loaded.

    References:
        Chen et al. "TOPIQ: A Top-Down Approach From Semantics to Distortions for Image Quality Assessment".
        IEEE TIP 33:2404–2418, 2024. arXiv 2308.03060.

    Examples:
        >>> import torch
        >>> from topiq_metrics import topiq_full_reference
        >>> target = torch.rand(2, 3, 64, 64, generator=torch.manual_seed(0))
        >>> preds = torch.stack([target[0], (target[1] + 0.1).clamp(max=1)])
        >>> topiq_full_reference(preds, target, reduction="none") == 1
        tensor([ True, False])
    """
    reduction = parse_reduction(reduction)
    scorer = choose(FULL_REFERENCE, model, weights, net, size)
    scores = _topiq_update(scorer, preds, target, check_range=check_range)
    return _topiq_compute(scores, len(scores), reduction)


def topiq_aesthetic(
    preds: Tensor | Sequence[Tensor],
    *,
    model: str = AESTHETIC.default,
    weights: str | os.PathLike[str] | None = "default",
    net: CFANet | None = None,
    reduction: Reduction | None = "mean",
    check_range: bool = True,
    size: SizePolicy | str | None = None,
) -> Tensor:
    """Predict the mean aesthetic rating of images: from 1 to 10, higher is better.

    Differentiable with respect to the images.

    Args:
        preds: the images, as `topiq_no_reference` takes them.
        model: name of the model, as in `topiq_no_reference`.
        weights: as in `topiq_no_reference`.
        net: as in `topiq_no_reference`.
        reduction: as in `topiq_no_reference`.
        check_range: as in `topiq_no_reference`.
        size: size rule to use instead of the model's.

    Returns:
        The rating, a scalar, or ``(N,)`` for ``reduction="none"``.

    Raises:
        ValueError: if an argument is not as above; `ImageTooSmallError` if a side is too short.
        WeightsError: if the weights cannot be found or loaded.

    References:
        Chen et al. "TOPIQ: A Top-Down Approach From Semantics to Distortions for Image Quality Assessment".
        IEEE TIP 33:2404–2418, 2024. arXiv 2308.03060.

    Examples:
        An untrained network, to run without a download:

        >>> import torch
        >>> from topiq_metrics import topiq_aesthetic
        >>> images = torch.rand(1, 3, 64, 64, generator=torch.manual_seed(0))
        >>> rating = topiq_aesthetic(images, weights=None, size="native")
        >>> bool(1 <= rating <= 10)
        True
    """
    reduction = parse_reduction(reduction)
    scorer = choose(AESTHETIC, model, weights, net, size)
    scores = _topiq_update(scorer, preds, check_range=check_range)
    return _topiq_compute(scores, len(scores), reduction)


def _topiq_update(
    scorer: Callable[..., Tensor],
    preds: Tensor | Sequence[Tensor],
    *target: Tensor | Sequence[Tensor],
    check_range: bool,
    names: tuple[str, str] = ("preds", "target"),
) -> Tensor:
    """Validate and score: ``(N,)``. ``scorer`` is called as a `Scorer` is; ``names`` is for errors."""
    images: Sequence[Tensor | Sequence[Tensor]]
    if target:
        images = validate_pair(preds, target[0], names, check_range=check_range)
    else:
        images = [validate_images(preds, names[0], check_range=check_range)]
    return scorer(*(batch if isinstance(batch, Tensor) else tuple(batch) for batch in images))


def _topiq_compute(scores: Tensor, count: int | Tensor, reduction: Reduction) -> Tensor:
    """Reduce ``scores``, one per image or their sum."""
    if reduction == "none":
        return scores
    return scores.sum() if reduction == "sum" else scores.sum() / count


def parse_reduction(reduction: str | None) -> Reduction:
    """Check the argument ``reduction``; None is ``"none"``."""
    name = "none" if reduction is None else reduction
    if name not in _REDUCTIONS:
        raise ValueError(f"Argument `reduction` must be one of {_REDUCTIONS} or None, but got {reduction!r}.")
    return cast("Reduction", name)
