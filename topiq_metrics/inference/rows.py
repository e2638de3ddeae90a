"""Which rows of a network's levels depend on which rows of an image.

All of CFANet up to the pooled levels is local: a row of a level depends on a few rows of the level before it. So a
strip of rows, with a halo of further rows around it, gives exactly what the whole image gives there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from topiq_metrics.models.cfanet import CFANet

GATE_HALO_ROWS = 2
"""Rows on each side that a gate's two 3x3 convolutions look at."""

Rows: TypeAlias = "tuple[int, int]"


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


class Pyramid:
    """The heights and widths of the levels of images of one size, and what their rows depend on.

    Attributes:
        grid: rows and columns to which all levels are pooled: those of the deepest, times ``fineness``.
        heights: of a step's input at its index, of its output at the next one.
        widths: in the same way.
        factors: by how much each step divides the height.
        deepest: index of the last step.
        sources: 2 for an image and its reference, which go through the backbone together, else 1.
    """

    def __init__(self, net: CFANet, height: int, width: int, fineness: int = 1) -> None:
        self.net = net
        self.backbone = backbone = net.backbone
        self.sources = 2 if net.config.mode == "FR" else 1
        rows, columns = net.grid(height, width)
        self.grid = rows * fineness, columns * fineness
        self.heights = [-(-height // stride) for stride in (1, *backbone.strides)]
        self.widths = [-(-width // stride) for stride in (1, *backbone.strides)]
        self.factors = [b // a for a, b in zip((1, *backbone.strides), backbone.strides, strict=False)]
        self.deepest = len(backbone.strides) - 1

    def strips(self, count: int) -> Iterator[Rows]:
        """Cut the rows of the grid into strips of about one height."""
        rows = self.grid[0]
        for index in range(count):
            yield rows * index // count, rows * (index + 1) // count

    def own(self, index: int, strip: Rows) -> Rows:
        """The rows of a level that are pooled to a strip of the grid."""
        height, rows = self.heights[index + 1], self.grid[0]
        return strip[0] * height // rows, -(-strip[1] * height // rows)

    def gated(self, index: int, strip: Rows) -> Rows:
        """The rows of a level that its gate looks at for a strip of the grid."""
        start, end = self.own(index, strip)
        return max(0, start - GATE_HALO_ROWS), min(self.heights[index + 1], end + GATE_HALO_ROWS)

    def needed(self, segment: Segment, strip: Rows) -> tuple[Rows, dict[int, Rows]]:
        """For a strip of the grid, the rows of the segment's input, and those of each level that are then right."""
        levels: dict[int, Rows] = {}
        start, end = self.gated(segment.last, strip)
        for index in range(segment.last, segment.first - 1, -1):
            above, below = self.gated(index, strip)
            start, end = levels[index] = min(start, above), max(end, below)
            height, factor, halo = self.heights[index], self.factors[index], self.backbone.halo_rows[index]
            bottom = min(height, end * factor + halo)
            # A padding that depends on the height must be that of the whole image.
            start, end = max(0, start * factor - halo) // factor * factor, bottom + (height - bottom) % factor
        return (start, end), dict(sorted(levels.items()))

    def widest(self, segment: Segment) -> tuple[Rows, dict[int, Rows]]:
        """What is needed for the strip that needs most."""
        strips = list(self.strips(segment.strips))
        return self.needed(segment, strips[len(strips) // 2])
