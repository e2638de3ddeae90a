"""LPIPS+, LPIPS with semantic weights.

Chen, Mo, Hou, Wu, Liao, Sun, Yan, Lin. "TOPIQ: A Top-Down Approach From Semantics to Distortions for Image
Quality Assessment". IEEE TIP 33:2404–2418, 2024. arXiv 2308.03060. Eq. 1.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from topiq_metrics.functional.lpips import SemanticLayer, weigh_by
from topiq_metrics.functional.tasks import LPIPS_PLUS
from topiq_metrics.functional.topiq import Reduction
from topiq_metrics.images import SizePolicy
from topiq_metrics.metrics.base import TOPIQMetric
from topiq_metrics.models.lpips import LPIPSPlusNetwork


class LPIPSPlus(TOPIQMetric):
    """Measure the perceptual distance of images from their references with LPIPS+: from 0, lower is better.

    LPIPS whose distance map at each level is averaged with weights from the semantic features of the reference, so that
    differences in semantically important regions count more. 0 for equal images. What `TOPIQNoReference` says about the
    network and ``forward`` applies here, too.

    Args:
        model: ``"lpips+"`` on AlexNet or ``"lpips-vgg+"`` on VGG-16.
        weights: ``"default"`` for the published weights, the path of a file with torchvision's backbone or with ours,
            or None for a backbone that is not trained. The linear weights of LPIPS are those that torchmetrics ships.
        reduction: ``"mean"`` or ``"sum"`` over all images, or ``"none"`` for a score per image; None is ``"none"``.
        semantic_layer: the level, 0 to 4, whose features weight the distances; the default is the paper's, 2. None
            weights all positions equally, which is LPIPS.
        check_range: whether to refuse images with values outside [0, 1].
        size: size rule to use for both images, for example ``"max_side=512"``; by default none.
        net: a network to use instead, frozen and in evaluation mode.
        kwargs: ``backend``, ``precision`` and ``max_memory``, as in `TOPIQNoReference`, and those of every
            `torchmetrics.Metric`.

    Raises:
        ValueError: if an argument is not as above.
        WeightsError: if the weights cannot be found or loaded.
        ModuleNotFoundError: if ``backend`` is not installed.

    References:
        Chen et al. "TOPIQ: A Top-Down Approach From Semantics to Distortions for Image Quality Assessment".
        IEEE TIP 33:2404–2418, 2024. arXiv 2308.03060. Eq. 1. LPIPS: Zhang et al. "The Unreasonable Effectiveness of
        Deep Features as a Perceptual Metric". CVPR 2018.

    Examples:
        An untrained backbone, to run without a download:

        >>> import torch
        >>> from topiq_metrics import LPIPSPlus
        >>> target = torch.rand(2, 3, 64, 64, generator=torch.manual_seed(0))
        >>> metric = LPIPSPlus(weights=None, semantic_layer=3)
        >>> metric.update(target, target)
        >>> metric.compute()
        tensor(0.)
    """

    task = LPIPS_PLUS
    higher_is_better = False

    def __init__(
        self,
        model: str = LPIPS_PLUS.default,
        weights: str | os.PathLike[str] | None = "default",
        reduction: Reduction | None = "mean",
        *,
        semantic_layer: SemanticLayer = "default",
        check_range: bool = True,
        size: SizePolicy | str | None = None,
        net: LPIPSPlusNetwork | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            model=model,
            weights=weights,
            reduction=reduction,
            check_range=check_range,
            size=size,
            net=net,
            prepare=weigh_by(semantic_layer),
            **kwargs,
        )

    def update(self, preds: Tensor | Sequence[Tensor], target: Tensor | Sequence[Tensor]) -> None:
        """Compare a batch with its references.

        Args:
            preds: distorted images, as `TOPIQNoReference.update` takes them.
            target: their references, also a tensor or a list, of the same shapes.

        Raises:
            ValueError: if the images are not as above, or not on the metric's device.
        """
        self._update_scores(preds, target)
