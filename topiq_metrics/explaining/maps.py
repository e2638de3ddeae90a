"""One map of one level, and what its numbers mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Kind:
    """What the maps of one name have in common.

    Attributes:
        title: for a picture.
        meaning: what is bright in a picture.
        least_top: brightest value of a picture in which nothing is higher, so that small differences look small.
        is_share: the values add up to 1; a picture shows them as multiples of an even share.
        is_similarity: a picture shows what is missing to 1.
        suffix: of the numbers in a picture.
    """

    title: str
    meaning: str
    least_top: float = 0.0
    is_share: bool = False
    is_similarity: bool = False
    suffix: str = ""


KINDS = {
    "gate": Kind("gates", "bright: the gate lets through what this level sees here", least_top=1),
    "attention": Kind(
        "cross-scale attention",
        "bright: the deeper levels look here; 1x is an even share",
        2,
        is_share=True,
        suffix="x",
    ),
    "focus": Kind(
        "attention of the ringed place",
        "bright: the ringed place looks here; 1x is an even share",
        2,
        is_share=True,
        suffix="x",
    ),
    "distance": Kind("distances", "bright: the features of image and reference differ here"),
    "semantic": Kind(
        "semantic weights", "bright: a distance here counts; 1x is an even share", 2, is_share=True, suffix="x"
    ),
    "weighted": Kind("weighted distances", "bright: this place adds to the score"),
    "contrast-structure": Kind(
        "1 - contrast and structure", "bright: contrast or structure differ here", 0.1, is_similarity=True
    ),
    "luminance": Kind("1 - luminance", "bright: brightness differs here", 0.1, is_similarity=True),
    "similarity": Kind(
        "1 - structural similarity", "bright: brightness, contrast or structure differ", 0.1, is_similarity=True
    ),
}
"""By the name of a map's kind."""


@dataclass(frozen=True, eq=False)
class LevelMap:
    """One map of one level of a network.

    Attributes:
        kind: ``gate``, ``attention``, ``focus``, ``distance``, ``semantic``, ``weighted``, ``contrast-structure``,
            ``luminance`` or ``similarity``.
        level: from 1, the shallowest.
        stride: pixels of the scored image per cell, along a side.
        values: ``(h, w)``, float32.
        box: the part of the image that the cells cover: left, top, right, bottom, as fractions of its width and height.
        share: for the map whose mean is the contribution of the level to an LPIPS+ score, or its factor in MS-SSIM: the
            level's fraction of the score (for MS-SSIM, of its logarithm). The shares of an explanation add up to 1, or
            are 0 for equal images. None for other maps.
    """

    kind: str
    level: int
    stride: int
    values: Array
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    share: float | None = None

    @property
    def name(self) -> str:
        """Kind and level, such as ``gate-level1``."""
        return f"{self.kind}-level{self.level}"

    @property
    def heat(self) -> Array:
        """The values as pictures show them, from 0: shares as multiples of an even share, similarities as 1 − value."""
        kind = KINDS[self.kind]
        heat = self.values
        if kind.is_share:
            heat = heat * np.float32(heat.size)
        if kind.is_similarity:
            heat = np.maximum(1 - heat, np.float32(0))
        return heat

    @property
    def half_area(self) -> float:
        """The smallest fraction of the cells that holds half of the heat: 0.5 for an even map, near 0 for one spot."""
        falling = np.sort(self.heat, axis=None)[::-1].astype(np.float64)
        total = falling.cumsum()
        if total[-1] <= 0:
            return 0.5
        return float(np.searchsorted(total, total[-1] / 2) + 1) / falling.size
