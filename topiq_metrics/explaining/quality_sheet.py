"""A page to look at: pictures, their local quality on one scale, and their worst places at 1:1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from topiq_metrics.explaining.colors import colorize
from topiq_metrics.explaining.local_quality import Box, LocalQuality, worst_places

_GAP, _TILE = 12, 360
"""Between pictures, and the longer side of a picture, in pixels."""

_CAPTION = 30
"""Between crops, for the words above each."""

_LEAST_WIDTH = 560
"""Of a page, for its words."""

_LEAST_SPAN = 0.25
"""The share of the score's range that the colours span at least, so that small differences look small."""

_OPACITY = 0.6
_INK, _PAPER, _RING = (20, 20, 20), (255, 255, 255), (0, 255, 200)


PixelSource: TypeAlias = "Callable[[], NDArray[np.uint8]]"
"""Gives a picture, ``(H, W, 3)``; called when it is drawn, so that not all have to be in memory."""


@dataclass(frozen=True)
class Column:
    """A picture of a page.

    Attributes:
        title: its name.
        found: its map.
        pixels: the picture.
    """

    title: str
    found: LocalQuality
    pixels: PixelSource


def draw_quality(
    columns: Sequence[Column], reference: PixelSource | None = None, *, among: Sequence[LocalQuality] | None = None
) -> Image.Image:
    """A column for each picture, the reference's before them: the picture, its map, and its worst places.

    Pictures of one size are taken for versions of one picture, whose places are the same; others have their own.

    Args:
        columns: pictures with maps of one metric.
        reference: that of all of them, if they have one.
        among: the maps of all pages, which share scale and places; by default those of ``columns``.
    """
    found = [column.found for column in columns]
    everything = found if among is None else among
    versions = len({each.image_size for each in everything}) == 1
    places = [worst_places(everything)] * len(found) if versions else [worst_places([each]) for each in found]
    low, high = limits(everything)
    side = max(right - left for boxes in places for left, _, right, _ in boxes)
    width = max(_TILE, side)
    tall = max(_fitted_size(*each.image_size)[1] for each in found)
    first = 0 if reference is None else 1
    rows = max(map(len, places))
    tops = [70, 70 + tall + 44]
    crops = tops[1] + tall + 62
    across = max(_LEAST_WIDTH, (len(found) + first) * (width + _GAP) + _GAP)
    canvas = Image.new("RGB", (across, crops + rows * (side + _CAPTION)), _PAPER)
    _write(canvas, (_GAP, 8), f"{found[0].metric}: quality of each place, {_direction(found[0])}", 17)
    if reference is not None:
        _heading(canvas, _GAP, "reference", width)
        picture, cuts = _parts(reference(), places[0])
        canvas.paste(_ringed(picture, places[0], found[0].image_size), (_GAP, tops[0]))
        _crops(canvas, (_GAP, crops), side, cuts, ["reference, 1:1"] * len(cuts))
    _scale(canvas, (_GAP, tops[1] + tall + 8), min(canvas.width - 2 * _GAP, 520), low, high)
    for index, (column, boxes) in enumerate(zip(columns, places, strict=True)):
        each, left = column.found, _GAP + (index + first) * (width + _GAP)
        picture, cuts = _parts(column.pixels(), boxes)
        _heading(canvas, left, f"{column.title}: {each.score:.4f}", width)
        canvas.paste(_ringed(picture, boxes, each.image_size), (left, tops[0]))
        _write(canvas, (left, tops[1] - 18), _extremes(each), 12)
        canvas.paste(_ringed(_colored(picture, each, low, high), boxes, each.image_size), (left, tops[1]))
        _crops(canvas, (left, crops), side, cuts, [f"{each.quality_in(box):.3f}" for box in boxes])
    _write(canvas, (_GAP, crops - 20), "The worst places, at 1:1, with their mean quality", 14)
    return canvas


def limits(found: Sequence[LocalQuality]) -> tuple[float, float]:
    """The values of the worst and of the best colour: one scale for all."""
    low = min(float(each.values.min()) for each in found)
    high = max(float(each.values.max()) for each in found)
    bottom, top = found[0].score_range
    missing = max(0.0, _LEAST_SPAN * (top - bottom) - (high - low)) / 2
    low, high = low - missing, high + missing
    return (low, high) if found[0].higher_is_better else (high, low)


def _parts(pixels: NDArray[np.uint8], boxes: Sequence[Box]) -> tuple[Image.Image, list[Image.Image]]:
    """What is shown of a picture: all of it, small, and places of it at 1:1."""
    picture = Image.fromarray(pixels)
    small = picture.resize(_fitted_size(*pixels.shape[:2]), Image.Resampling.BICUBIC, reducing_gap=3)
    return small, [picture.crop(box) for box in boxes]


def _crops(
    canvas: Image.Image, corner: tuple[int, int], side: int, cuts: Sequence[Image.Image], captions: Sequence[str]
) -> None:
    """Numbered places of a picture, one below the other."""
    left, top = corner
    for number, (cut, caption) in enumerate(zip(cuts, captions, strict=True), start=1):
        _write(canvas, (left, top), f"{number}: {caption}", 13)
        canvas.paste(cut, (left, top + 18))
        top += side + _CAPTION


def _colored(picture: Image.Image, found: LocalQuality, low: float, high: float) -> Image.Image:
    """A map in colour over the picture in grey: bright where it is bad."""
    grey = np.asarray(picture.convert("L").convert("RGB"), dtype=np.float32)
    values = found.on_pixels(picture.height, picture.width)
    colors = colorize(((high - values) / (high - low)).clip(0, 1))
    return Image.fromarray(((1 - _OPACITY) * grey + _OPACITY * colors).round().astype(np.uint8))


def _ringed(picture: Image.Image, boxes: Sequence[Box], size: tuple[int, int]) -> Image.Image:
    """A picture with numbered frames around places of the picture that it was made of, of ``size``."""
    tile = picture.copy()
    pen = ImageDraw.Draw(tile)
    factor = tile.width / size[1], tile.height / size[0]
    for number, (left, top, right, bottom) in enumerate(boxes, start=1):
        corners = (left * factor[0], top * factor[1], right * factor[0] - 1, bottom * factor[1] - 1)
        pen.rectangle(corners, outline=(0, 0, 0), width=3)
        pen.rectangle(corners, outline=_RING, width=1)
        pen.text(
            (corners[0] + 5, corners[1] + 3), str(number), _RING, ImageFont.load_default(15),
            stroke_width=2, stroke_fill=(0, 0, 0),
        )  # fmt: skip
    return tile


def _scale(canvas: Image.Image, corner: tuple[int, int], width: int, low: float, high: float) -> None:
    """A bar of all colours, worst to best, and what its ends mean."""
    left, top = corner
    words = f"bright: bad, {low:.2f}", f"dark: good, {high:.2f}"
    font = ImageFont.load_default(13)
    margin = round(font.getlength(words[0])) + 8
    bar = max(40, width - margin - round(font.getlength(words[1])) - 8)
    colors = colorize(np.linspace(1, 0, bar, dtype=np.float32))[None].repeat(12, axis=0)
    _write(canvas, corner, words[0], 13)
    canvas.paste(Image.fromarray(colors.round().astype(np.uint8)), (left + margin, top + 3))
    _write(canvas, (left + margin + bar + 8, top), words[1], 13)


def _direction(found: LocalQuality) -> str:
    return "higher is better" if found.higher_is_better else "lower is better"


def _extremes(found: LocalQuality) -> str:
    height, width = found.size
    return f"map: {found.values.min():.3f} to {found.values.max():.3f}, scored at {width} x {height}"


def _heading(canvas: Image.Image, left: int, title: str, width: int) -> None:
    """A title, without its beginning if it is too long for the column."""
    font = ImageFont.load_default(15)
    shown = title
    while len(shown) > 1 and font.getlength(shown) > width:
        shown = "…" + shown[2:] if shown.startswith("…") else "…" + shown[1:]
    _write(canvas, (left, 44), shown, 15)


def _fitted_size(height: int, width: int) -> tuple[int, int]:
    """Width and height of a picture on the page."""
    factor = _TILE / max(height, width)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _write(canvas: Image.Image, corner: tuple[int, int], text: str, size: int) -> None:
    ImageDraw.Draw(canvas).text(corner, text, _INK, ImageFont.load_default(size))
