"""Losses with the interface of piq: ``Loss(data_range=…, reduction=…)(x, y)``, to be minimised.

The networks are frozen and are not parameters of the losses: an optimiser does not change them, and gradients reach the
images only.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from numbers import Real
from typing import cast

import torch
from torch import Tensor
from torch.nn.modules.loss import _Loss

from topiq_metrics.functional.lpips import SemanticLayer, weigh_by
from topiq_metrics.functional.tasks import (
    FULL_REFERENCE,
    LPIPS_PLUS,
    NO_REFERENCE,
    Task,
    choose,
)
from topiq_metrics.functional.topiq import Reduction, _topiq_compute, _topiq_update
from topiq_metrics.images import SizePolicy
from topiq_metrics.images.unit_range import RANGE_TOLERANCE
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.models.lpips import LPIPSPlusNetwork
from topiq_metrics.models.network import QualityNetwork

__all__ = ["LPIPSPlusLoss", "TOPIQLoss", "TOPIQNoReferenceLoss"]

_REDUCTIONS = ("none", "mean", "sum")

_OVERSHOOT = (1.0, 1.0)
"""By how many data ranges a network in training may be below and above; images on another scale are further away."""

_OVERSHOOT_ALONE = (0.5 - RANGE_TOLERANCE, 1.0)
"""The same where there is no reference, which does not overshoot and so tells of another scale."""

_UNIT = 1 + RANGE_TOLERANCE


class _NetworkLoss(_Loss):
    """Scores images, turns the scores so that less is better, and reduces them."""

    def __init__(
        self,
        task: Task,
        model: str,
        weights: str | os.PathLike[str] | None,
        net: QualityNetwork | None,
        size: SizePolicy | str | None,
        data_range: float,
        reduction: Reduction,
        prepare: Callable[[QualityNetwork], QualityNetwork] = lambda network: network,
    ) -> None:
        if reduction not in _REDUCTIONS:
            raise ValueError(f"Argument `reduction` must be one of {_REDUCTIONS}, but got {reduction!r}.")
        is_number = isinstance(cast("object", data_range), Real) and not isinstance(data_range, bool)
        if not (is_number and 0 < data_range < math.inf):
            raise ValueError(f"Argument `data_range` must be a positive number, but got {data_range!r}.")
        super().__init__(reduction=reduction)
        choice = choose(task, model, weights, net, size, prepare)
        card = choice.card
        self.model = card.name
        # None for a distance, which is a loss already.
        self._best = card.score_range[1] if card.higher_is_better else None
        # Of numpy's numbers only some are Python's.
        self.data_range = data_range if isinstance(data_range, (int, float)) else float(data_range)
        self.net = choice.hold()

    def _loss(self, x: Tensor, *y: Tensor) -> Tensor:
        names = ("x", "y")
        # By itself an image is all there is to tell [-1, 1] from [0, 1] by.
        images = [self._scaled(x, "x", _OVERSHOOT if y else _OVERSHOOT_ALONE)]
        images += [self._scaled(reference, "y", None) for reference in y]
        scores = _topiq_update(self.net, *images, check_range=False, names=names)
        losses = scores if self._best is None else self._best - scores
        return _topiq_compute(losses, len(losses), cast("Reduction", self.reduction))

    def _scaled(self, images: Tensor, name: str, overshoot: tuple[float, float] | None) -> Tensor:
        if not isinstance(images, Tensor):
            raise ValueError(f"Expected `{name}` to be a torch.Tensor, got {type(images).__name__}.")
        if images.is_complex() or images.dtype == torch.bool:
            raise ValueError(f"Expected `{name}` to hold real numbers, got {images.dtype}.")
        full = float(self.data_range)
        scaled = (images if images.dtype == torch.float64 else images.to(torch.float32)) / full
        if scaled.numel():
            low, high = torch.stack(torch.aminmax(scaled.detach())).tolist()
            below, above = overshoot or (RANGE_TOLERANCE, RANGE_TOLERANCE)
            is_other = overshoot is _OVERSHOOT_ALONE and _is_symmetric(low * full, high * full, full)
            if low < -below or high > 1 + above or is_other:
                allowed = "" if overshoot is None else ", give or take the overshoot of a network"
                raise ValueError(
                    f"Expected `{name}` to be in [0, {self.data_range}] (`data_range`){allowed}, got values from "
                    f"{low * full:.6g} to {high * full:.6g}.{_range_hint(low * full, high * full, full)}"
                )
        return scaled

    def extra_repr(self) -> str:
        return f"model={self.model!r}, data_range={self.data_range}, reduction={self.reduction!r}"


class TOPIQLoss(_NetworkLoss):
    """Loss ``1 - score`` of images against their references with full-reference TOPIQ.

    With the default model, equal images have the lowest possible loss, 0, and a gradient of 0. The heads of other
    models are unconstrained: the loss may fall below 0, and equal images need not have the lowest loss. Gradients at
    equal images are finite in any case.

    Args:
        data_range: largest value of the images, usually 1.0 or 255; the smallest is 0. Pass images in [-1, 1] as
            ``(x + 1) / 2``. ``x`` may exceed the range by up to one ``data_range`` on either side, ``y`` may not.
        reduction: ``"mean"`` or ``"sum"`` over the images, or ``"none"`` for a loss per image.
        model: ``"topiq_fr-lite"``, which needs no download, or another full-reference model; see
            `topiq_metrics.TOPIQFullReference`.
        weights: ``"default"`` for the published weights, the path of a file, or None for a network that is not
            trained.
        net: a network to use instead, frozen and in evaluation mode.
        size: size rule to use instead of the model's.

    Shape:
        - ``x``, the images, and ``y``, their references: ``(N, 3, H, W)``, RGB, sides of at least 32 pixels.
        - output: a scalar, or ``(N,)`` for ``reduction="none"``.

    Raises:
        ValueError: if an argument is not as above.
        WeightsError: if the weights cannot be found or loaded.

    References:
        Chen et al. "TOPIQ: A Top-Down Approach From Semantics to Distortions for Image Quality Assessment".
        IEEE TIP 33:2404–2418, 2024. arXiv 2308.03060.

    Examples:
        >>> import torch
        >>> from topiq_metrics.losses import TOPIQLoss
        >>> y = torch.rand(1, 3, 64, 64, generator=torch.manual_seed(0))
        >>> x = y.flip(-1).requires_grad_()
        >>> TOPIQLoss()(x, y).backward()
        >>> bool(x.grad.isfinite().all())
        True
        >>> TOPIQLoss()(y, y)
        tensor(0.)
    """

    def __init__(
        self,
        data_range: float = 1.0,
        reduction: Reduction = "mean",
        *,
        model: str = FULL_REFERENCE.default,
        weights: str | os.PathLike[str] | None = "default",
        net: CFANet | None = None,
        size: SizePolicy | str | None = None,
    ) -> None:
        super().__init__(FULL_REFERENCE, model, weights, net, size, data_range, reduction)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self._loss(x, y)


class TOPIQNoReferenceLoss(_NetworkLoss):
    """Loss ``1 - score`` of images without a reference with no-reference TOPIQ.

    The network's head is unconstrained: the loss may fall below 0. On its own, this loss rewards whatever the network
    takes for quality: combine it with a loss that preserves the content.

    Args:
        data_range: as in `TOPIQLoss`, but ``x`` may fall below 0 by less than half a ``data_range`` only. With a
            ``data_range`` of 2 or more, images that look like [-1, 1] are refused, too.
        reduction: as in `TOPIQLoss`.
        model: ``"topiq_nr-lite"``, which needs no download, or another; see `topiq_metrics.TOPIQNoReference`.
        weights: as in `TOPIQLoss`.
        net: as in `TOPIQLoss`.
        size: as in `TOPIQLoss`.

    Shape:
        - ``x``: ``(N, 3, H, W)``, RGB, sides of at least 32 pixels; ``y`` is ignored.
        - output: a scalar, or ``(N,)`` for ``reduction="none"``.

    Raises:
        ValueError: if an argument is not as above.
        WeightsError: if the weights cannot be found or loaded.

    References:
        Chen et al., as in `TOPIQLoss`.

    Examples:
        >>> import torch
        >>> from topiq_metrics.losses import TOPIQNoReferenceLoss
        >>> x = torch.rand(1, 3, 64, 64, generator=torch.manual_seed(0)).requires_grad_()
        >>> TOPIQNoReferenceLoss()(x).backward()
        >>> bool(x.grad.isfinite().all())
        True
    """

    def __init__(
        self,
        data_range: float = 1.0,
        reduction: Reduction = "mean",
        *,
        model: str = NO_REFERENCE.default,
        weights: str | os.PathLike[str] | None = "default",
        net: CFANet | None = None,
        size: SizePolicy | str | None = None,
    ) -> None:
        super().__init__(NO_REFERENCE, model, weights, net, size, data_range, reduction)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:  # noqa: ARG002
        return self._loss(x)


class LPIPSPlusLoss(_NetworkLoss):
    """Loss LPIPS+, a perceptual distance: 0 for equal images, and never negative.

    Args:
        data_range: as in `TOPIQLoss`.
        reduction: as in `TOPIQLoss`.
        model: ``"lpips+"`` on AlexNet or ``"lpips-vgg+"`` on VGG-16.
        weights: as in `topiq_metrics.LPIPSPlus`.
        semantic_layer: as in `topiq_metrics.LPIPSPlus`.
        net: as in `TOPIQLoss`.
        size: as in `TOPIQLoss`.

    Shape:
        - ``x``, the images, and ``y``, their references: ``(N, 3, H, W)``, RGB, sides of at least 32 pixels.
        - output: a scalar, or ``(N,)`` for ``reduction="none"``.

    Raises:
        ValueError: if an argument is not as above.
        WeightsError: if the weights cannot be found or loaded.

    References:
        Chen et al., as in `TOPIQLoss`, Eq. 1.

    Examples:
        An untrained backbone, to run without a download:

        >>> import torch
        >>> from topiq_metrics.losses import LPIPSPlusLoss
        >>> y = torch.rand(2, 3, 64, 64, generator=torch.manual_seed(0))
        >>> LPIPSPlusLoss(weights=None)(y, y)
        tensor(0.)
    """

    def __init__(
        self,
        data_range: float = 1.0,
        reduction: Reduction = "mean",
        *,
        model: str = LPIPS_PLUS.default,
        weights: str | os.PathLike[str] | None = "default",
        semantic_layer: SemanticLayer = "default",
        net: LPIPSPlusNetwork | None = None,
        size: SizePolicy | str | None = None,
    ) -> None:
        super().__init__(LPIPS_PLUS, model, weights, net, size, data_range, reduction, prepare=weigh_by(semantic_layer))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self._loss(x, y)


def _is_symmetric(low: float, high: float, data_range: float) -> bool:
    """Whether values that could be overshoot of [0, data_range] are rather those of [-1, 1]."""
    if data_range == 2:
        return low < -0.1 * data_range
    return data_range > 2 and -_UNIT <= low < -0.1 and high <= _UNIT


def _range_hint(low: float, high: float, data_range: float) -> str:
    """What to do with values of the common ranges that are another."""
    largest = max(-low, high)
    half = data_range / 2
    is_unit = largest <= _UNIT
    # Values that come close to the least of a range are of it, not overshoot.
    is_centred = largest <= half * _UNIT and low <= -0.9 * half
    hints = []
    if is_centred and half != 1:
        hints.append(f"Images in [-{half:g}, {half:g}] are to be given as `x + {half:g}`.")
    if is_unit and low < (0 if data_range >= 2 else -0.1):
        also = "" if data_range == 1 else " and `data_range=1`"
        hints.append(f"Images in [-1, 1] are to be given as `(x + 1) / 2`{also}.")
    elif low < -0.1 * data_range and not is_centred and largest <= data_range * _UNIT:
        hints.append(f"Images in [-{data_range:g}, {data_range:g}] are to be given as `(x + {data_range:g}) / 2`.")
    if low > -0.9 * half and high < 1.5 * data_range and not (is_unit and data_range >= 2):
        hints.append("Overshoot, as of bicubic resizing, is to be clamped.")
    if data_range < 2 < high <= 256:
        hints.append("Values in 0...255 need `data_range=255`.")
    return "".join(f" {hint}" for hint in hints)
