"""The quality of each place of a picture, on the scale of the score.

Backbone, gates and pooling are local, and take most of a score's time; attention and head, which are not, are cheap.
So the former see the picture once, and the latter score small windows of what they made of it, many at a time, as if
each were a picture of its own. Where there is no reference, and a read-out for the weights, it takes their place.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from topiq_metrics.catalog import ModelCard, default_metric, get_card
from topiq_metrics.explaining.inputs import Picture, Reader, check_reference, check_usable, device_for
from topiq_metrics.explaining.local_quality import LocalQuality, QualityMap
from topiq_metrics.explaining.maps import Array
from topiq_metrics.explaining.readout import FINENESS, readout_for
from topiq_metrics.images import SizePolicy
from topiq_metrics.images.loader import ImageSource
from topiq_metrics.images.profiles import note_on_colors
from topiq_metrics.inference.memory import DEFAULT_MAX_MEMORY, parse_memory, plan
from topiq_metrics.inference.rows import Pyramid
from topiq_metrics.inference.strips import has_strips, levels_by_strips, score_within
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.models.heads import AnchoredHead
from topiq_metrics.models.lpips import LPIPSPlusNetwork
from topiq_metrics.models.network import QualityNetwork
from topiq_metrics.models.pooling import GatedPool
from topiq_metrics.weights import shared_network
from topiq_metrics.weights.load import check_not_both


@dataclass(frozen=True)
class Windows:
    """How a picture is cut.

    Attributes:
        fineness: cells along a side of one of the deepest level's.
        side: of a window, in cells.
    """

    fineness: int
    side: int


WINDOWS = {"NR": Windows(1, 2), "FR": Windows(2, 2)}
"""By the mode of a network: what found damage best (`benchmarks/local_maps.py`), on other pictures than it reports."""

_TOKENS = 8192
"""Cells of windows that go through the attention together."""

_ROWS = 256
"""Of an image, whose difference from its reference is held at a time."""


def quality_map(
    image: ImageSource,
    reference: ImageSource | None = None,
    metric: str | None = None,
    weights: str | os.PathLike[str] | None = "default",
    *,
    net: QualityNetwork | None = None,
    size: str | SizePolicy | None = None,
    profiles: str = "apply",
    device: str | torch.device | None = None,
    max_memory: str | int | None = DEFAULT_MAX_MEMORY,
) -> QualityMap:
    """Compute a quality map: where an image is good and where it is bad, on the scale of its score.

    - A TOPIQ metric: the value of a place is the mean score of the small windows that contain it. With
      ``"topiq_fr-lite"``, it is 1 where the image equals its reference. With a reference, the mean of the map is close
      to the score if the image is damaged everywhere. If it is damaged in one place only, the score is closer to the
      value of that place, which counts for more than its area. Without a reference, the bundled weights of
      ``"topiq_nr-lite"`` have a small network that was trained to find damage, in the place of windows; with others,
      windows show content more than damage. The map is shifted so that its mean is the score.
    - LPIPS+: the value of a place is its contribution to the distance; the mean is the score. Lower is better.

    Args:
        image: as `topiq_metrics.load_image` takes it, or a tensor ``(1, 3, H, W)``. A face metric takes an aligned
            face of 512 x 512 pixels.
        reference: the reference, for a full-reference metric, of the same kind and size.
        metric: a metric of the catalogue; by default ``"topiq_fr-lite"`` with a reference, ``"topiq_nr-lite"`` without.
        weights: ``"default"`` for the published weights, the path of a file, or None for a network that is not
            trained.
        net: a network to use instead, as `topiq_metrics.weights.load_network` returns it. Its name determines the
            metric.
        size: a size policy instead of the metric's own; ``"native"`` also shows damage that resizing would hide.
        profiles: ``"apply"`` converts colours to sRGB as `load_image` does; ``"ignore"`` reads all values, also those
            of the reference, as sRGB.
        device: where to run; by default that of ``net``, else a GPU if there is one, else the CPU.
        max_memory: in addition to weights and images, as for `topiq_metrics.score_images`; LPIPS+ and networks on Swin
            ignore it.

    Returns:
        The map, with the metric's score, up to rounding.

    Raises:
        ValueError: if an argument is not as above.
        ImageError: if an image cannot be read or scored; a subclass of ValueError.
        WeightsError: if the weights cannot be found or loaded.

    Examples:
        >>> import torch
        >>> from topiq_metrics import quality_map
        >>> found = quality_map(torch.rand(3, 64, 96, generator=torch.manual_seed(0)))
        >>> found.values.shape
        (4, 6)
    """
    memory = parse_memory(max_memory)
    if net is not None:
        check_not_both(net, weights)
        if not isinstance(net, (CFANet, LPIPSPlusNetwork)):
            raise ValueError(f"Argument `net` must be a network from `load_network`, but got {type(net).__name__}.")
        check_usable(net)
    if metric is None:
        metric = default_metric(with_reference=reference is not None)
    name = metric if net is None else net.name or metric
    card = card_to_map(name)
    check_reference(name, card.mode if net is None else net.config.mode, reference)
    where = device_for(net, device)
    read = Reader.of(name, card, size=size, profiles=profiles, device=where)
    opened = [each for each in read.pair(image, reference) if each is not None]
    pictures = [read.prepared(each) for each in opened]
    # Before the network runs: as bytes they are small.
    pixels = [each.in_bytes() for each in opened]
    del opened
    if net is None:
        net = shared_network(name, weights, device=where)
    found = map_picture(net, card, pictures[0], pictures[1] if reference is not None else None, memory)
    return QualityMap(**vars(found), image=pixels[0], reference=pixels[1] if reference is not None else None)


def card_to_map(name: str) -> ModelCard:
    """The card of a metric that has quality maps.

    Raises:
        ValueError: if there is no such metric, or it is of another distribution.
    """
    card = get_card(name)
    if card.is_foreign:
        raise ValueError(f"{name!r} is the metric of another distribution, which has no quality map.")
    return card


def map_picture(
    net: QualityNetwork, card: ModelCard, image: Picture, reference: Picture | None, max_memory: int | None
) -> LocalQuality:
    """`quality_map` of pictures that are read; the card is that of the network, and ``max_memory`` in bytes."""
    inputs = [each.sized for each in (image, reference) if each is not None]
    with torch.inference_mode(), torch.autocast(inputs[0].device.type, enabled=False):
        if isinstance(net, CFANet):
            score, values = _scores(net, inputs, max_memory)
        else:
            score, values = _distances(cast(LPIPSPlusNetwork, net), inputs)
    return LocalQuality(
        metric=card.name,
        score=score,
        values=values,
        image_size=(image.height, image.width),
        size=(inputs[0].shape[-2], inputs[0].shape[-1]),
        higher_is_better=card.higher_is_better,
        score_range=card.score_range,
        note=note_on_colors(image.origin, None if reference is None else reference.origin),
    )


def _scores(net: CFANet, images: list[Tensor], max_memory: int | None) -> tuple[float, Array]:
    """The score of an image ``(1, 3, H, W)``, and of each of its places."""
    score = score_within(net, *images, max_memory=max_memory).item()
    readout = readout_for(net)
    if readout is None:
        local = local_scores(net, images, WINDOWS[net.config.mode], max_memory)
        if isinstance(net.head, AnchoredHead):
            local = _refined(local, images)
    else:
        local = readout(pooled_levels(net, images, FINENESS, max_memory))[0]
    if net.config.mode == "NR":
        local += score - local.mean()
    values: Array = local.float().cpu().numpy()
    return score, values


def local_scores(net: CFANet, images: list[Tensor], windows: Windows, max_memory: int | None = None) -> Tensor:
    """For each cell, the mean score of the windows that it is in: ``(h, w)``.

    Args:
        net: the network.
        images: one image ``(1, 3, H, W)``, and its reference for a network that needs one.
        windows: how it is cut.
        max_memory: in bytes; None for no bound.
    """
    levels = pooled_levels(net, images, windows.fineness, max_memory)
    rows, columns = levels[0].shape[-2:]
    # A narrow picture is no wider than a window.
    side = min(windows.side, rows, columns)
    across = columns - side + 1
    differences = _differences(images, (rows, columns)) if isinstance(net.head, AnchoredHead) else None
    total, count = (levels[0].new_zeros(rows, columns) for _ in range(2))
    # Rows of windows that go through the attention together.
    several = max(1, _TOKENS // (side * side * across))
    for top in range(0, rows - side + 1, several):
        down = min(several, rows - side + 1 - top)
        strip = slice(top, top + down + side - 1)
        output = net.regress([_cut(level[:, :, strip], side) for level in levels])
        scores = net.head.score(output)
        if differences is not None:
            mean = F.avg_pool2d(differences[None, None, strip], side, stride=1).flatten()
            scores = cast(AnchoredHead, net.head).anchored(scores, mean)
        # Each cell's sum over the windows around it, and their number.
        spread = F.pad(scores.view(1, 1, down, across), [side - 1] * 4)
        total[strip] += F.avg_pool2d(spread, side, stride=1, divisor_override=1)[0, 0]
        ones = F.pad(torch.ones_like(scores).view(1, 1, down, across), [side - 1] * 4)
        count[strip] += F.avg_pool2d(ones, side, stride=1, divisor_override=1)[0, 0]
    return total / count


def _refined(local: Tensor, images: list[Tensor]) -> Tensor:
    """Cells of half the side, where what equals the reference scores 1, as equal images do; elsewhere interpolated."""
    rows, columns = (2 * side for side in local.shape)
    between = F.interpolate(local[None, None], size=(rows, columns), mode="bilinear", align_corners=False)[0, 0]
    return 1 - AnchoredHead.differs(_differences(images, (rows, columns))) * (1 - between)


def pooled_levels(net: CFANet, images: list[Tensor], fineness: int, max_memory: int | None) -> list[Tensor]:
    """As `CFANet.levels`, on a grid that may be finer than the deepest level's."""
    height, width = images[0].shape[-2:]
    if has_strips(net):
        pyramid = Pyramid(net, height, width, fineness)
        floats = (1 << 62) if max_memory is None else max_memory // images[0].element_size()
        return levels_by_strips(pyramid, images, plan(pyramid, floats, floats).segments)
    rows, columns = net.grid(height, width)
    grid = rows * fineness, columns * fineness
    levels = []
    for maps, glp, reduce in zip(net.features(*images), net.gated_pools, net.reduce, strict=True):
        pooled = [F.adaptive_avg_pool2d(x, grid) for x in cast(GatedPool, glp).gated(*maps)]
        levels.append(reduce(torch.cat(pooled, dim=1)))
    return levels


def _cut(level: Tensor, side: int) -> Tensor:
    """All windows of a level ``(1, D, h, w)``, along the rows: ``(N, D, side, side)``."""
    windows = level.unfold(2, side, 1).unfold(3, side, 1)
    return windows[0].permute(1, 2, 0, 3, 4).flatten(0, 1)


def _differences(images: list[Tensor], grid: tuple[int, int]) -> Tensor:
    """The mean absolute difference of an image and its reference in each cell of a grid."""
    image, reference = images
    strips = zip(torch.split(image, _ROWS, dim=2), torch.split(reference, _ROWS, dim=2), strict=True)
    difference = torch.cat([(a - b).abs().mean(dim=1) for a, b in strips], dim=1)
    return F.adaptive_avg_pool2d(difference, grid)[0]


def _distances(net: LPIPSPlusNetwork, images: list[Tensor]) -> tuple[float, Array]:
    """The distance of two images, and what each place of the second level's grid adds to it."""
    levels = list(net.maps(*images))
    grid = levels[1][0].shape[-2:]
    local = images[0].new_zeros(grid)
    score = 0.0
    for distance, weights in levels:
        counted = distance if weights is None else distance * (weights / weights.mean())
        added = counted.mean()
        there = F.interpolate(counted, size=grid, mode="bilinear", align_corners=False, antialias=True)[0, 0]
        # Interpolation keeps the mean but for the borders.
        local += there * (added / there.mean()) if there.mean() > 0 else there
        score += added.item()
    values: Array = local.float().cpu().numpy()
    return score, values
