"""A page to look at: pictures, their local quality on one scale, and their worst places at 1:1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from topiq_metrics.explaining.colors import colorize
from topiq_metrics.explaining.local_map import Box, QualityMap, worst_places

_GAP, _TILE = 12, 360
"""Between pictures, and the longer side of a picture, in pixels."""

_LEAST_WIDTH = 560
"""Of a page, for its words."""

_LEAST_SPAN = 0.25
"""The share of the score's range that the colours span at least, so that small differences look small."""

_OPACITY = 0.6
_INK, _PAPER, _RING = (20, 20, 20), (255, 255, 255), (0, 255, 200)


def draw_quality(
    found: Sequence[QualityMap], titles: Sequence[str], *, among: Sequence[QualityMap] | None = None
) -> Image.Image:
    """A column for each picture, the reference's before them: the picture, its map, and its worst places.

    Pictures of one size are taken for versions of one picture, whose places are the same; others have their own.

    Args:
        found: maps of one metric.
        titles: a name for each.
        among: those of all pages, which share scale and places; by default ``found``.
    """
    everything = found if among is None else among
    versions = len({each.image.shape for each in everything}) == 1
    places = [worst_places(everything)] * len(found) if versions else [worst_places([each]) for each in found]
    reference = found[0].reference
    low, high = limits(everything)
    side = max(right - left for boxes in places for left, _, right, _ in boxes)
    width = max(_TILE, side)
    pictures = [_fitted(each.image) for each in found]
    tall = max(picture.height for picture in pictures)
    first = 0 if reference is None else 1
    rows = max(map(len, places))
    tops = [70, 70 + tall + 44]
    crops = tops[1] + tall + 62
    across = max(_LEAST_WIDTH, (len(found) + first) * (width + _GAP) + _GAP)
    canvas = Image.new("RGB", (across, crops + rows * (side + 30)), _PAPER)
    _write(canvas, (_GAP, 8), f"{found[0].metric}: quality of each place, {_direction(found[0])}", 17)
    if reference is not None:
        _column(canvas, _GAP, "reference", width)
        canvas.paste(_ringed(_fitted(reference), places[0], reference), (_GAP, tops[0]))
    _scale(canvas, (_GAP, tops[1] + tall + 8), min(canvas.width - 2 * _GAP, 520), low, high)
    for index, (each, title, picture, boxes) in enumerate(zip(found, titles, pictures, places, strict=True)):
        left = _GAP + (index + first) * (width + _GAP)
        _column(canvas, left, f"{title}: {each.score:.4f}", width)
        canvas.paste(_ringed(picture, boxes, each.image), (left, tops[0]))
        _write(canvas, (left, tops[1] - 18), _extremes(each), 12)
        canvas.paste(_ringed(_colored(picture, each, low, high), boxes, each.image), (left, tops[1]))
        for row, box in enumerate(boxes):
            top = crops + row * (side + 30)
            _write(canvas, (left, top), f"{row + 1}: {each.quality_in(box):.3f}", 13)
            canvas.paste(Image.fromarray(each.image).crop(box), (left, top + 18))
            if index == 0 and reference is not None:
                _write(canvas, (_GAP, top), f"{row + 1}: reference, 1:1", 13)
                canvas.paste(Image.fromarray(reference).crop(box), (_GAP, top + 18))
    _write(canvas, (_GAP, crops - 20), "The worst places, at 1:1, with their mean quality", 14)
    return canvas


def limits(found: Sequence[QualityMap]) -> tuple[float, float]:
    """The values of the worst and of the best colour: one scale for all."""
    low = min(float(each.values.min()) for each in found)
    high = max(float(each.values.max()) for each in found)
    bottom, top = found[0].score_range
    missing = max(0.0, _LEAST_SPAN * (top - bottom) - (high - low)) / 2
    low, high = low - missing, high + missing
    return (low, high) if found[0].higher_is_better else (high, low)


def _colored(picture: Image.Image, found: QualityMap, low: float, high: float) -> Image.Image:
    """A map in colour over the picture in grey: bright where it is bad."""
    grey = np.asarray(picture.convert("L").convert("RGB"), dtype=np.float32)
    values = found.on_pixels(picture.height, picture.width)
    colors = colorize(((high - values) / (high - low)).clip(0, 1))
    return Image.fromarray(((1 - _OPACITY) * grey + _OPACITY * colors).round().astype(np.uint8))


def _ringed(picture: Image.Image, boxes: Sequence[Box], pixels: NDArray[np.uint8]) -> Image.Image:
    """A picture with numbered frames around places of the picture that it was made of."""
    tile = picture.copy()
    pen = ImageDraw.Draw(tile)
    factor = tile.width / pixels.shape[1], tile.height / pixels.shape[0]
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


def _direction(found: QualityMap) -> str:
    return "higher is better" if found.higher_is_better else "lower is better"


def _extremes(found: QualityMap) -> str:
    height, width = found.size
    return f"map: {found.values.min():.3f} to {found.values.max():.3f}, scored at {width} x {height}"


def _column(canvas: Image.Image, left: int, title: str, width: int) -> None:
    """A title, without its beginning if it is too long for the column."""
    font = ImageFont.load_default(15)
    shown = title
    while len(shown) > 1 and font.getlength(shown) > width:
        shown = "…" + shown[2:] if shown.startswith("…") else "…" + shown[1:]
    _write(canvas, (left, 44), shown, 15)


def _fitted(pixels: NDArray[np.uint8]) -> Image.Image:
    height, width = pixels.shape[:2]
    factor = _TILE / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC, reducing_gap=3)


def _write(canvas: Image.Image, corner: tuple[int, int], text: str, size: int) -> None:
    ImageDraw.Draw(canvas).text(corner, text, _INK, ImageFont.load_default(size))
