"""The TOPIQ metrics.

Chen, Mo, Hou, Wu, Liao, Sun, Yan, Lin. "TOPIQ: A Top-Down Approach From Semantics to Distortions for Image
Quality Assessment". IEEE TIP 33:2404–2418, 2024. arXiv 2308.03060.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from topiq_metrics.functional.tasks import AESTHETIC, FULL_REFERENCE, NO_REFERENCE
from topiq_metrics.functional.topiq import Reduction
from topiq_metrics.images import SizePolicy
from topiq_metrics.metrics.base import TOPIQMetric
from topiq_metrics.models.cfanet import CFANet


class TOPIQNoReference(TOPIQMetric):
    """Score images without a reference with TOPIQ: from about 0 to about 1, higher is better.

    Metrics with the same weights share one network in memory. It is frozen and always in evaluation mode. It is not
    part of a parent module: neither its ``state_dict`` nor its ``parameters`` include it, and casting the parent leaves
    its precision unchanged (use `set_dtype`); it moves with the metric to another device. Copies of a metric share the
    network; a pickle contains it. A score does not depend on the other images of a batch, and is computed in float32
    also under autocast.

    ``forward`` runs the network once, or twice with ``dist_sync_on_step=True``, and its result is differentiable with
    respect to the images. With ``reduction="none"`` each call copies all earlier scores: prefer ``update`` there.

    Args:
        model: name of the model; `topiq_metrics.get_card` has its score range, training data and licence.
        weights: ``"default"`` for the model's published weights, the path of a file, or None for a network that is
            not trained.
        reduction: ``"mean"`` or ``"sum"`` over all images, or ``"none"`` for a score per image; None is ``"none"``.
        check_range: whether to refuse images with values outside [0, 1].
        size: size rule (see `topiq_metrics.SizePolicy`) to use instead of the model's, for example ``"max_side=1024"``.
        net: a network to use instead, frozen and in evaluation mode; images are cast to its dtype. If it has the name
            of a model, as networks from `topiq_metrics.weights.load_network` do, that model's size rule is used,
            else that of ``model``.
        backend: what runs the network: ``"torch"`` (default), ``"compile"``, ``"onnxruntime"``, ``"openvino"``, or
            ``"auto"`` for the fastest that is installed and supports the precision. Only ``"torch"`` in float32 is
            differentiable.
        precision: ``"float32"`` (default), which changes scores by rounding only, or ``"bfloat16"`` or ``"float16"``,
            which are faster, if the backend supports them.
        max_memory: for one update, in addition to images and weights, such as ``"2GB"``; by default ``"1.5GB"``. Larger
            images are scored in strips, with the same score. None is no limit. Gradients are not limited.
        kwargs: those of every `torchmetrics.Metric`.

    Raises:
        ValueError: if an argument is not as above.
        WeightsError: if the weights cannot be found or loaded.
        ModuleNotFoundError: if ``backend`` is not installed.

    References:
        Chen et al. "TOPIQ: A Top-Down Approach From Semantics to Distortions for Image Quality Assessment".
        IEEE TIP 33:2404–2418, 2024. arXiv 2308.03060.

    Examples:
        >>> import torch
        >>> from topiq_metrics import TOPIQNoReference
        >>> metric = TOPIQNoReference()
        >>> rng = torch.manual_seed(0)
        >>> metric.update(torch.rand(2, 3, 64, 96, generator=rng))
        >>> metric.update([torch.rand(3, 64, 96, generator=rng), torch.rand(3, 48, 48, generator=rng)])
        >>> metric.compute().shape
        torch.Size([])
    """

    task = NO_REFERENCE

    def __init__(
        self,
        model: str = NO_REFERENCE.default,
        weights: str | os.PathLike[str] | None = "default",
        reduction: Reduction | None = "mean",
        *,
        check_range: bool = True,
        size: SizePolicy | str | None = None,
        net: CFANet | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            model=model, weights=weights, reduction=reduction, check_range=check_range, size=size, net=net, **kwargs
        )

    def update(self, preds: Tensor | Sequence[Tensor], target: object = None) -> None:  # noqa: ARG002
        """Score a batch.

        Args:
            preds: images, RGB: ``(N, 3, H, W)``, or a list of ``(3, H, W)`` of any sizes; floating point in [0, 1], or
                uint8 in 0…255. Sides of at least 32 pixels.
            target: ignored; it is there because a `torchmetrics.MetricCollection` passes it to all its metrics.

        Raises:
            ValueError: if the images are not as above, or not on the metric's device.
        """
        self._update_scores(preds)


class TOPIQFullReference(TOPIQMetric):
    """Score distorted images against their references with TOPIQ: from about 0 to about 1, higher is better.

    By default (``"topiq_fr-lite"``) an image that equals its reference scores 1, and no image scores higher. What
    `TOPIQNoReference` says about the network and ``forward`` applies here, too.

    Args:
        model: name of the model, as in `TOPIQNoReference`.
        weights: as in `TOPIQNoReference`.
        reduction: as in `TOPIQNoReference`.
        check_range: whether to refuse images with values outside [0, 1].
        size: size rule to use instead of the model's, for both images.
        net: as in `TOPIQNoReference`.
        kwargs: ``backend``, ``precision`` and ``max_memory``, as in `TOPIQNoReference`, and those of every
            `torchmetrics.Metric`.

    Raises:
        ValueError: if an argument is not as above.
        WeightsError: if the weights cannot be found or loaded.
        ModuleNotFoundError: if ``backend`` is not installed.

    References:
        Chen et al. "TOPIQ: A Top-Down Approach From Semantics to Distortions for Image Quality Assessment".
        IEEE TIP 33:2404–2418, 2024. arXiv 2308.03060.

    Examples:
        >>> import torch
        >>> from topiq_metrics import TOPIQFullReference
        >>> target = torch.rand(2, 3, 64, 64, generator=torch.manual_seed(0))
        >>> metric = TOPIQFullReference(reduction="none")
        >>> metric.update(target, target)
        >>> metric.update((target + 0.1).clamp(max=1), target)
        >>> metric.compute() == 1
        tensor([ True,  True, False, False])
    """

    task = FULL_REFERENCE

    def __init__(
        self,
        model: str = FULL_REFERENCE.default,
        weights: str | os.PathLike[str] | None = "default",
        reduction: Reduction | None = "mean",
        *,
        check_range: bool = True,
        size: SizePolicy | str | None = None,
        net: CFANet | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            model=model, weights=weights, reduction=reduction, check_range=check_range, size=size, net=net, **kwargs
        )

    def update(self, preds: Tensor | Sequence[Tensor], target: Tensor | Sequence[Tensor]) -> None:
        """Score a batch.

        Args:
            preds: distorted images, as `TOPIQNoReference.update` takes them.
            target: their references, also a tensor or a list, of the same shapes.

        Raises:
            ValueError: if the images are not as above, or not on the metric's device.
        """
        self._update_scores(preds, target)


class TOPIQAesthetic(TOPIQMetric):
    """Predict the mean aesthetic rating of images, from 1 to 10; higher is better.

    What `TOPIQNoReference` says about the network and ``forward`` applies here, too.

    Args:
        model: name of the model, as in `TOPIQNoReference`.
        weights: as in `TOPIQNoReference`.
        reduction: as in `TOPIQNoReference`.
        check_range: whether to refuse images with values outside [0, 1].
        size: size rule to use instead of the model's.
        net: as in `TOPIQNoReference`.
        kwargs: ``backend``, ``precision`` and ``max_memory``, as in `TOPIQNoReference`, and those of every
            `torchmetrics.Metric`.

    Raises:
        ValueError: if an argument is not as above.
        WeightsError: if the weights cannot be found or loaded.
        ModuleNotFoundError: if ``backend`` is not installed.

    References:
        Chen et al. "TOPIQ: A Top-Down Approach From Semantics to Distortions for Image Quality Assessment".
        IEEE TIP 33:2404–2418, 2024. arXiv 2308.03060.

    Examples:
        An untrained network, to run without a download:

        >>> import torch
        >>> from topiq_metrics import TOPIQAesthetic
        >>> metric = TOPIQAesthetic(weights=None, size="native")
        >>> rating = metric(torch.rand(1, 3, 64, 64, generator=torch.manual_seed(0)))
        >>> bool(1 <= rating <= 10)
        True
    """

    task = AESTHETIC

    def __init__(
        self,
        model: str = AESTHETIC.default,
        weights: str | os.PathLike[str] | None = "default",
        reduction: Reduction | None = "mean",
        *,
        check_range: bool = True,
        size: SizePolicy | str | None = None,
        net: CFANet | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            model=model, weights=weights, reduction=reduction, check_range=check_range, size=size, net=net, **kwargs
        )

    def update(self, preds: Tensor | Sequence[Tensor], target: object = None) -> None:  # noqa: ARG002
        """Rate a batch.

        Args:
            preds: images, as `TOPIQNoReference.update` takes them.
            target: ignored; it is there because a `torchmetrics.MetricCollection` passes it to all its metrics.

        Raises:
            ValueError: if the images are not as above, or not on the metric's device.
        """
        self._update_scores(preds)
