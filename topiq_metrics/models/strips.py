"""Scores in bounded memory: images in small groups, and those that are too large in strips of rows.

All of CFANet up to the pooled levels is local: a row of a level depends on a few rows of the level before it. So a
strip of rows, with a halo of further rows around it, gives exactly what the whole image gives there. What comes after
works on the deepest grid, which is small.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeGuard, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from topiq_metrics.models.backbones import Backbone
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.models.network import QualityNetwork
from topiq_metrics.models.pooling import GatedPool

DEFAULT_MAX_MEMORY = "1.5GB"

GATE_HALO = 2
"""Rows on each side that a gate's two 3x3 convolutions look at."""

Rows: TypeAlias = "tuple[int, int]"


_LEAST_MEMORY = 50_000_000
_MEMORY = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]i?)?B?", re.IGNORECASE)


def parse_memory(max_memory: str | int | None) -> int | None:
    """Bytes, from such as ``"2GB"``, ``"512 MiB"`` or a number of bytes; None and ``"none"`` are without a bound.

    Raises:
        ValueError: if it is anything else, or less than 50 MB, in which no image is scored: then a unit was forgotten.
    """
    if max_memory is None or max_memory == "none":
        return None
    if isinstance(max_memory, str) and (match := _MEMORY.fullmatch(max_memory.strip())):
        unit = (match[2] or "").upper()
        power = "KMGT".index(unit[0]) + 1 if unit else 0
        size = int(float(match[1]) * (1024 if unit.endswith("I") else 1000) ** power)
    else:
        size = max_memory if type(max_memory) is int else 0
    if size <= 0:
        raise ValueError(
            f"Argument `max_memory` must be such as '2GB' or '512MiB', a whole number of bytes, or 'none', but got "
            f"{max_memory!r}."
        )
    if size < _LEAST_MEMORY:
        raise ValueError(f"Argument `max_memory` must be at least 50 MB, but got {max_memory!r}{_meant(max_memory)}.")
    return size


def _meant(max_memory: str | int) -> str:
    """What a number without a unit may be short for, as a question."""
    text = str(max_memory).strip()
    if not re.fullmatch(r"[0-9.]+", text) or float(text) >= 10_000:
        return " bytes" if text.isdecimal() else ""
    return f" bytes: {text}{'GB' if float(text) < 50 else 'MB'}?"


def score_within(
    net: QualityNetwork, image: Tensor, reference: Tensor | None = None, *, max_memory: int | None
) -> Tensor:
    """Score images ``(N, 3, H, W)`` as ``net`` does, in about ``max_memory`` bytes beside the images and the weights.

    Where even the thinnest strips need more than that, they are taken. Networks without strips (LPIPS+, and those on
    Swin, whose images are small) run as they are, and so does what is to be differentiated, whose graph holds
    everything anyway.
    """
    images = [image] if reference is None else [image, reference]
    is_recorded = torch.is_grad_enabled() and any(x.requires_grad for x in (*images, *net.parameters()))
    is_traced = torch.compiler.is_compiling()
    if max_memory is None or is_recorded or is_traced or not has_strips(net):
        scores: Tensor = net(*images)
        return scores
    net.check_inputs(reference)
    pyramid = _Pyramid(net, image.shape[-2], image.shape[-1])
    group = max_memory if image.device.type != "cpu" else _CPU_GROUP
    plan = pyramid.plan(max_memory // image.element_size(), group // image.element_size())
    outputs = []
    for several in zip(*(torch.split(x, plan.regressed) for x in images), strict=True):
        groups = zip(*(torch.split(x, plan.images) for x in several), strict=True)
        levels = zip(*(pyramid.levels(group, plan.segments) for group in groups), strict=True)
        outputs.append(net.regress([torch.cat(parts) for parts in levels]))
    return net.score(torch.cat(outputs), _difference(net, images))


def _difference(net: CFANet, images: Sequence[Tensor]) -> Tensor | None:
    """As `CFANet.difference` of images ``(N, 3, H, W)`` and their references, by strips of rows."""
    if not net.config.anchored:
        return None
    height = images[0].shape[-2]
    strips = zip(*(torch.split(x, _ROWS, dim=2) for x in images), strict=True)
    return torch.stack([cast(Tensor, net.difference(*x)) * (x[0].shape[2] / height) for x in strips]).sum(dim=0)


def has_strips(net: QualityNetwork) -> TypeGuard[CFANet]:
    """Whether an image may be taken in strips of rows."""
    return isinstance(net, CFANet) and bool(cast(Backbone, net.backbone).halos)


def floats_of(net: CFANet, height: int, width: int) -> int:
    """The most numbers that are held at a time for one whole image, and its reference."""
    pyramid = _Pyramid(net, height, width)
    return pyramid.held(Segment(0, pyramid.deepest, 1))


@dataclass(frozen=True)
class Segment:
    """Steps of the backbone that are run strip by strip; only the last one's map is ever whole.

    Attributes:
        first: index of the first step.
        last: index of the last step.
        strips: how many; 1 is the whole image.
    """

    first: int
    last: int
    strips: int


@dataclass(frozen=True)
class Plan:
    """How images of one size are scored.

    Attributes:
        images: how many at a time go through the backbone.
        regressed: how many at a time go through the attention.
        segments: the backbone's steps.
    """

    images: int
    regressed: int
    segments: tuple[Segment, ...]


class _Pyramid:
    """The pooled levels of images of ``height`` x ``width``."""

    def __init__(self, net: CFANet, height: int, width: int) -> None:
        self.net = net
        self.backbone = backbone = cast(Backbone, net.backbone)
        self.sources = 2 if net.config.mode == "FR" else 1
        self.grid = net.grid(height, width)
        # Of a step's input at its index, of its output at the next one.
        self.heights = [-(-height // stride) for stride in (1, *backbone.strides)]
        self.widths = [-(-width // stride) for stride in (1, *backbone.strides)]
        self.factors = [b // a for a, b in zip((1, *backbone.strides), backbone.strides, strict=False)]
        self.deepest = len(backbone.strides) - 1

    def levels(self, images: Sequence[Tensor], segments: Sequence[Segment]) -> list[Tensor]:
        """As `CFANet.levels` of images ``(N, 3, H, W)`` and their references."""
        steps = self.backbone.steps()
        reduced: list[Tensor | None] = [None] * len(steps)
        maps: Tensor | None = None
        for segment in segments:
            whole: Tensor | None = None
            for strip in _strips(self.grid[0], segment.strips):
                (top, bottom), needs = self._rows(segment, strip)
                if maps is None:
                    x = torch.cat([self.net.normalize(image[:, :, top:bottom]) for image in images])
                else:
                    x = maps[:, :, top:bottom]
                for index, (start, end) in needs.items():
                    top //= self.factors[index]
                    x = steps[index](x)[:, :, start - top : end - top]
                    top = start
                    reduced[index] = _put(reduced[index], self._reduced(index, x, top, strip), strip, self.grid[0])
                if segment.last < self.deepest:
                    own = self._own(segment.last, strip)
                    whole = _put(whole, x[:, :, own[0] - top : own[1] - top], own, self.heights[segment.last + 1])
                del x
            maps = whole
        return cast("list[Tensor]", reduced)

    def _reduced(self, index: int, x: Tensor, top: int, strip: Rows) -> Tensor:
        """The strip of a level's gated, pooled and reduced map; ``x`` starts at row ``top`` of the level."""
        start, end = self._own(index, strip)
        above, below = self._gated(index, strip)
        glp = cast(GatedPool, self.net.gated_pools[index])
        gated = glp.gated(*x[:, :, above - top : below - top].chunk(self.sources))
        pooled = [self._pool(part[:, :, start - above : end - above], index, strip) for part in gated]
        out: Tensor = self.net.reduce[index](torch.cat(pooled, dim=1))
        return out

    def _pool(self, x: Tensor, index: int, strip: Rows) -> Tensor:
        """Pool the rows of a level that belong to a strip of the grid, with the windows of adaptive average pooling."""
        height, (rows, columns) = self.heights[index + 1], self.grid
        if strip == (0, rows) or height % rows == 0:
            return F.adaptive_avg_pool2d(x, (strip[1] - strip[0], columns))
        top, _ = self._own(index, strip)
        windows = [self._own(index, (row, row + 1)) for row in range(*strip)]
        return torch.cat([F.adaptive_avg_pool2d(x[:, :, a - top : b - top], (1, columns)) for a, b in windows], dim=2)

    def _own(self, index: int, strip: Rows) -> Rows:
        """The rows of a level that are pooled to a strip of the grid."""
        height, rows = self.heights[index + 1], self.grid[0]
        return strip[0] * height // rows, -(-strip[1] * height // rows)

    def _gated(self, index: int, strip: Rows) -> Rows:
        start, end = self._own(index, strip)
        return max(0, start - GATE_HALO), min(self.heights[index + 1], end + GATE_HALO)

    def _rows(self, segment: Segment, strip: Rows) -> tuple[Rows, dict[int, Rows]]:
        """For a strip of the grid, the rows of the segment's input, and those of each level that are then right."""
        needs: dict[int, Rows] = {}
        needed: Rows | None = None
        for index in range(segment.last, segment.first - 1, -1):
            start, end = self._gated(index, strip)
            if needed is not None:
                start, end = min(start, needed[0]), max(end, needed[1])
            needs[index] = start, end
            height, factor, halo = self.heights[index], self.factors[index], self.backbone.halos[index]
            bottom = min(height, end * factor + halo)
            # A padding that depends on the height must be that of the whole image.
            needed = max(0, start * factor - halo) // factor * factor, bottom + (height - bottom) % factor
        return cast(Rows, needed), dict(sorted(needs.items()))

    def plan(self, floats: int, group_floats: int) -> Plan:
        """The cheapest way that holds no more than so many numbers; if there is none, one near the least."""
        ends = range(self.deepest + 1)
        ways = [[(0, end), *((index, index) for index in ends[end + 1 :])] for end in ends]
        thinnest = [max(self.held(Segment(*part, self.grid[0])) for part in way) for way in ways]
        floats = max(floats, int(1.5 * min(thinnest)))
        plans = [
            tuple(self._segment(*part, floats) for part in way)
            for way, least in zip(ways, thinnest, strict=True)
            if least <= floats
        ]
        segments = min(plans, key=lambda plan: sum(self._cost(segment) for segment in plan))
        held = max(self.held(segment) for segment in segments)
        tokens = self.grid[0] * self.grid[1] * self.net.config.dim * _FLOATS_PER_TOKEN
        images = max(1, min(floats, group_floats) // held)
        return Plan(images, max(images, floats // tokens), segments)

    def _segment(self, first: int, last: int, floats: int) -> Segment:
        segment = Segment(first, last, 1)
        while self.held(segment) > floats and segment.strips < self.grid[0]:
            segment = Segment(first, last, min(self.grid[0], segment.strips + max(1, segment.strips // 4)))
        return segment

    def held(self, segment: Segment) -> int:
        """The most numbers that are held at a time for one image and its reference."""
        (top, bottom), needs = self._widest(segment)
        held = 0
        for index, (start, end) in needs.items():
            step = (bottom - top) * self.widths[index] * self.backbone.floats[index] * self.sources
            channels, pixels = self.backbone.channels[index], (end - start) * self.widths[index + 1]
            gate = pixels * (6 * channels if self.sources == 2 else 3 * channels + 2 * self.net.config.gate_width)
            held = max(held, step, gate)
            top, bottom = start, end
        if segment.strips > 1:
            for index in (segment.first - 1, segment.last):
                if 0 <= index < self.deepest:
                    pixels = self.heights[index + 1] * self.widths[index + 1]
                    held += pixels * self.backbone.channels[index] * self.sources
        return held

    def _cost(self, segment: Segment) -> float:
        """Rows that are computed, as a multiple of those that there are, summed over the steps."""
        (top, bottom), needs = self._widest(segment)
        cost = 0.0
        for index, (start, end) in needs.items():
            cost += segment.strips * (bottom - top) / self.heights[index]
            top, bottom = start, end
        return cost

    def _widest(self, segment: Segment) -> tuple[Rows, dict[int, Rows]]:
        strips = list(_strips(self.grid[0], segment.strips))
        return self._rows(segment, strips[len(strips) // 2])


_ROWS = 256
"""Of an image, whose difference from its reference is held at a time."""

_CPU_GROUP = 128 << 20
"""Bytes for images that go through the backbone together on a CPU: large maps cost more to get than to compute."""

_FLOATS_PER_TOKEN = 22
"""Multiples of D that the attention holds for each cell of the grid."""


def _strips(rows: int, count: int) -> Iterator[Rows]:
    """Cut rows into strips of about one height."""
    for index in range(count):
        yield rows * index // count, rows * (index + 1) // count


def _put(whole: Tensor | None, part: Tensor, rows: Rows, height: int) -> Tensor:
    """Write a part into the rows of a map, which is made if there is none."""
    if part.shape[2] == height:
        return part
    if whole is None:
        whole = part.new_empty(*part.shape[:2], height, part.shape[3]).to(memory_format=torch.channels_last)
    whole[:, :, slice(*rows)] = part
    return whole
