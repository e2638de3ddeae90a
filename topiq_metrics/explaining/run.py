"""From an image and a metric's name to an explanation."""

from __future__ import annotations

import os
from typing import cast

import torch
from torch import Tensor

from topiq_metrics.catalog import CARDS, ModelCard, default_metric, get_card
from topiq_metrics.explaining.explanation import Explanation
from topiq_metrics.explaining.inputs import Reader, check_reference, check_usable, device_for
from topiq_metrics.explaining.maps import KINDS, LevelMap
from topiq_metrics.explaining.ms_ssim import explain_ms_ssim
from topiq_metrics.explaining.passes import Findings, explain_cfanet, explain_lpips
from topiq_metrics.images import SizePolicy
from topiq_metrics.images.loader import ImageSource
from topiq_metrics.images.profiles import note_on_colors
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.models.lpips import LPIPSPlusNetwork
from topiq_metrics.models.network import QualityNetwork, for_all_modes
from topiq_metrics.models.pooling import GatedPoolFR, GatedPoolNR
from topiq_metrics.weights import load_network
from topiq_metrics.weights.load import check_not_both

MS_SSIM = "ms_ssim"
"""Name of MS-SSIM, which `explain` takes in addition to the metrics of the catalogue, for comparison."""


def explain(
    image: ImageSource,
    reference: ImageSource | None = None,
    metric: str | None = None,
    weights: str | os.PathLike[str] | None = "default",
    *,
    net: QualityNetwork | None = None,
    size: str | SizePolicy | None = None,
    point: tuple[float, float] | None = None,
    profiles: str = "apply",
    device: str | torch.device | None = None,
) -> Explanation:
    """Explain the score of an image by the maps inside the metric at each level.

    - A TOPIQ metric (CFANet): the mask of each level's gate, and the cross-scale attention from the deeper levels to
      each place of a level.
    - LPIPS+: each level's distance map (that of LPIPS), the semantic weights, their product, and the level's share of
      the score.
    - ``"ms_ssim"``: contrast and structure at each scale, at the last scale also luminance, and the scale's share of
      the score.

    The maps come from a separate pass through a separate network; metrics and functions keep no maps.

    Args:
        image: as `topiq_metrics.load_image` takes it, or a tensor ``(1, 3, H, W)``. A face metric takes an aligned
            face of 512 x 512 pixels.
        reference: the reference, for a full-reference metric, of the same kind and size.
        metric: a metric of the catalogue, or ``"ms_ssim"``; by default ``"topiq_fr-lite"`` with a reference,
            ``"topiq_nr-lite"`` without.
        weights: ``"default"`` for the published weights, the path of a file, or None for a network that is not
            trained.
        net: a network to use instead, as `topiq_metrics.weights.load_network` returns it; useful for many images. Its
            name determines the metric.
        size: a size policy instead of the metric's own, such as ``"max_side=2048"``. A pass needs up to 1 kB of memory
            per scored pixel.
        point: x and y in pixels of the image, from its upper left corner: adds, for each cross-scale block, the
            attention of this place of the deepest level. Only for TOPIQ metrics.
        profiles: ``"apply"`` converts colours to sRGB as `load_image` does; ``"ignore"`` reads all values, also those
            of the reference, as sRGB.
        device: where to run; by default that of ``net``, else a GPU if there is one, else the CPU.

    Returns:
        The metric's score, up to rounding, and the maps.

    Raises:
        ValueError: if an argument is not as above.
        ImageError: if an image cannot be read or scored; a subclass of ValueError.
        WeightsError: if the weights cannot be found or loaded.

    Examples:
        >>> import torch
        >>> from topiq_metrics import explain
        >>> found = explain(torch.rand(3, 64, 96, generator=torch.manual_seed(0)))
        >>> found.maps["gate-level1"].values.shape, found.maps["attention-level1"].values.shape
        ((32, 48), (2, 3))
        >>> round(float(found.maps["attention-level1"].values.sum()), 4)
        1.0
    """
    if net is not None:
        check_not_both(net, weights)
        _check_network(net)
    if metric is None:
        metric = default_metric(with_reference=reference is not None)
    name = metric if net is None else net.name or metric
    card = None if name == MS_SSIM else _card(name)
    check_reference(name, "FR" if card is None else card.mode if net is None else net.config.mode, reference)
    _check_arguments(name, net, weights, point)
    where = device_for(net, device)
    read = Reader.of(name, card, size=size, profiles=profiles, device=where)
    picture, original = read.pair(image, reference)
    inputs = [read.prepared(each).sized for each in (picture, original) if each is not None]
    place = None if point is None else _share(point, picture.height, picture.width)
    if net is None and card is not None:
        with for_all_modes():
            net = load_network(name, weights, device=where)
    with torch.inference_mode(), torch.autocast(where.type, enabled=False):
        found = _explain(net, inputs, place)
    return Explanation(
        metric=name,
        score=found.score,
        size=(inputs[0].shape[-2], inputs[0].shape[-1]),
        maps={level_map.name: level_map for level_map in sorted(found.maps, key=_order)},
        image=picture.in_bytes(),
        reference=None if original is None else original.in_bytes(),
        point=point,
        note=note_on_colors(picture.origin, None if original is None else original.origin),
    )


def _explain(net: QualityNetwork | None, inputs: list[Tensor], point: tuple[float, float] | None) -> Findings:
    if isinstance(net, CFANet):
        return explain_cfanet(net, *inputs, point=point)
    return explain_ms_ssim(*inputs) if net is None else explain_lpips(cast(LPIPSPlusNetwork, net), *inputs)


def _order(level_map: LevelMap) -> tuple[int, int]:
    return list(KINDS).index(level_map.kind), level_map.level


def _card(name: str) -> ModelCard:
    try:
        card = get_card(name)
    except ValueError as error:
        raise ValueError(f"{error} To compare with, {MS_SSIM!r} can be explained, too.") from None
    if card.is_foreign:
        raise ValueError(
            f"{name!r} is the metric of another distribution and cannot be explained. Metrics that can: "
            f"{', '.join(sorted([*CARDS, MS_SSIM]))}."
        )
    return card


def _check_arguments(
    name: str, net: QualityNetwork | None, weights: str | os.PathLike[str] | None, point: object
) -> None:
    if name == MS_SSIM and weights != "default":
        raise ValueError(f"{MS_SSIM!r} has no weights: leave them out.")
    is_cfanet = isinstance(net, CFANet) if net is not None else name != MS_SSIM and get_card(name).is_topiq
    if point is not None and not is_cfanet:
        raise ValueError(f"Argument `point` asks what a place attends to, but {name!r} has no attention.")


def _check_network(net: QualityNetwork) -> None:
    if not isinstance(net, (CFANet, LPIPSPlusNetwork)):
        raise ValueError(f"Argument `net` must be a network from `load_network`, but got {type(net).__name__}.")
    check_usable(net)
    if isinstance(net, CFANet) and not all(isinstance(glp, (GatedPoolNR, GatedPoolFR)) for glp in net.gated_pools):
        raise ValueError("Argument `net` is folded for inference: take one from `topiq_metrics.weights.load_network`.")


def _share(point: tuple[float, float], height: int, width: int) -> tuple[float, float]:
    x, y = point
    if not (0 <= x < width and 0 <= y < height):
        raise ValueError(
            f"Argument `point` must lie in the image: x from 0 to below {width}, y from 0 to below {height}, but got "
            f"({x:g}, {y:g})."
        )
    return x / width, y / height
