"""The functional twin of `topiq_metrics.LPIPSPlus`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias, cast

from torch import Tensor

from topiq_metrics.functional.tasks import LPIPS_PLUS, choose
from topiq_metrics.functional.topiq import Reduction, _topiq_compute, _topiq_update, parse_reduction
from topiq_metrics.images import SizePolicy
from topiq_metrics.models.lpips import LPIPSPlusNetwork
from topiq_metrics.models.network import QualityNetwork

SemanticLayer: TypeAlias = int | Literal["default"] | None


def lpips_plus(
    preds: Tensor | Sequence[Tensor],
    target: Tensor | Sequence[Tensor],
    *,
    model: str = LPIPS_PLUS.default,
    weights: str | os.PathLike[str] | None = "default",
    net: LPIPSPlusNetwork | None = None,
    semantic_layer: SemanticLayer = "default",
    reduction: Reduction | None = "mean",
    check_range: bool = True,
    size: SizePolicy | str | None = None,
) -> Tensor:
    """Measure the perceptual distance of images from their references with LPIPS+: from 0, lower is better.

    LPIPS whose distance map at each level is averaged with weights from the semantic features of the reference, so that
    differences in semantically important regions count more. 0 for equal images. Differentiable with respect to both
    images.

    Args:
        preds: images, RGB: ``(N, 3, H, W)``, or a list of ``(3, H, W)`` of any sizes; floating point in [0, 1], or
            uint8 in 0…255. Sides of at least 32 pixels.
        target: the references, also a tensor or a list, of the same shapes.
        model: ``"lpips+"`` on AlexNet or ``"lpips-vgg+"`` on VGG-16.
        weights: ``"default"`` for the published weights, the path of a file with torchvision's backbone or with ours,
            or None for a backbone that is not trained. The linear weights of LPIPS are those that torchmetrics
            ships.
        net: a network to use instead, in evaluation mode, on the device of the images.
        semantic_layer: the level, 0 to 4, whose features weight the distances; the default is the paper's, 2. None
            weights all positions equally, which is LPIPS.
        reduction: ``"mean"`` or ``"sum"`` over the images, or ``"none"`` for a score per image; None is ``"none"``.
        check_range: whether to refuse images with values outside [0, 1].
        size: size rule to use for both images, for example ``"max_side=512"``; by default none.

    Returns:
        The distance, 0 or more: a scalar, or ``(N,)`` for ``reduction="none"``.

    Raises:
        ValueError: if an argument is not as above.
        WeightsError: if the weights cannot be found or loaded.

    References:
        Chen et al. "TOPIQ: A Top-Down Approach From Semantics to Distortions for Image Quality Assessment".
        IEEE TIP 33:2404–2418, 2024. arXiv 2308.03060. Eq. 1 and Fig. 4b.

    Examples:
        An untrained backbone, to run without a download:

        >>> import torch
        >>> from topiq_metrics import lpips_plus
        >>> target = torch.rand(2, 3, 64, 64, generator=torch.manual_seed(0))
        >>> lpips_plus(target, target, weights=None)
        tensor(0.)
    """
    reduction = parse_reduction(reduction)
    scorer = choose(LPIPS_PLUS, model, weights, net, size, weigh_by(semantic_layer))
    scores = _topiq_update(scorer, preds, target, check_range=check_range)
    return _topiq_compute(scores, len(scores), reduction)


def weigh_by(semantic_layer: SemanticLayer) -> Callable[[QualityNetwork], QualityNetwork]:
    """A function that makes an LPIPS+ network take its weights from this level."""

    def prepare(network: QualityNetwork) -> QualityNetwork:
        ours = cast("LPIPSPlusNetwork", network)
        return ours if semantic_layer == "default" else ours.with_semantic_layer(semantic_layer)

    return prepare
