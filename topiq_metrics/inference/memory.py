"""How much memory one call may take, and how images are scored within it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from topiq_metrics.inference.rows import Pyramid, Segment
from topiq_metrics.models.cfanet import CFANet

DEFAULT_MAX_MEMORY = "1.5GB"

_FLOATS_PER_TOKEN = 22
"""Multiples of D that the attention holds for each cell of the grid."""

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


def plan(pyramid: Pyramid, floats: int, group_floats: int) -> Plan:
    """The cheapest way that holds no more than so many numbers; if there is none, one near the least.

    Args:
        pyramid: of the images.
        floats: that may be held at a time.
        group_floats: that may be held at a time of the images that go through the backbone together.
    """
    ends = range(pyramid.deepest + 1)
    ways = [[(0, end), *((index, index) for index in ends[end + 1 :])] for end in ends]
    thinnest = [max(held(pyramid, Segment(*part, pyramid.grid[0])) for part in way) for way in ways]
    floats = max(floats, int(1.5 * min(thinnest)))
    plans = [
        tuple(_segment(pyramid, *part, floats) for part in way)
        for way, least in zip(ways, thinnest, strict=True)
        if least <= floats
    ]
    segments = min(plans, key=lambda plan: sum(cost(pyramid, segment) for segment in plan))
    most = max(held(pyramid, segment) for segment in segments)
    tokens = pyramid.grid[0] * pyramid.grid[1] * pyramid.net.config.dim * _FLOATS_PER_TOKEN
    images = max(1, min(floats, group_floats) // most)
    return Plan(images, max(images, floats // tokens), segments)


def held(pyramid: Pyramid, segment: Segment) -> int:
    """The most numbers that a segment holds at a time for one image and its reference."""
    (top, bottom), needs = pyramid.widest(segment)
    backbone, sources = pyramid.backbone, pyramid.sources
    most = 0
    for index, (start, end) in needs.items():
        step = (bottom - top) * pyramid.widths[index] * backbone.floats_per_pixel[index] * sources
        channels, pixels = backbone.channels[index], (end - start) * pyramid.widths[index + 1]
        gate = pixels * (6 * channels if sources == 2 else 3 * channels + 2 * pyramid.net.config.gate_width)
        most = max(most, step, gate)
        top, bottom = start, end
    if segment.strips > 1:
        for index in (segment.first - 1, segment.last):
            if 0 <= index < pyramid.deepest:
                pixels = pyramid.heights[index + 1] * pyramid.widths[index + 1]
                most += pixels * backbone.channels[index] * sources
    return most


def floats_of(net: CFANet, height: int, width: int) -> int:
    """The most numbers that are held at a time for one whole image, and its reference."""
    pyramid = Pyramid(net, height, width)
    return held(pyramid, Segment(0, pyramid.deepest, 1))


def cost(pyramid: Pyramid, segment: Segment) -> float:
    """Rows that are computed, as a multiple of those that there are, summed over the steps."""
    (top, bottom), needs = pyramid.widest(segment)
    total = 0.0
    for index, (start, end) in needs.items():
        total += segment.strips * (bottom - top) / pyramid.heights[index]
        top, bottom = start, end
    return total


def _segment(pyramid: Pyramid, first: int, last: int, floats: int) -> Segment:
    """As few strips as hold no more than so many numbers."""
    segment = Segment(first, last, 1)
    while held(pyramid, segment) > floats and segment.strips < pyramid.grid[0]:
        segment = Segment(first, last, min(pyramid.grid[0], segment.strips + max(1, segment.strips // 4)))
    return segment
