"""Pictures of maps, which say what their colours mean."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from topiq_metrics.explaining.colors import colorize
from topiq_metrics.explaining.maps import KINDS, Array, LevelMap

if TYPE_CHECKING:
    from topiq_metrics.explaining.explanation import Explanation

LEAST_SIDE, MOST_SIDE = 448, 1024
"""The longer side of an overlay's picture, in pixels."""

_TILE, _LEAST_TILE = 260, 200
"""The longer side of a picture of the sheet, and the narrowest column."""

_GAP = 12
_OPACITY = 0.65
_INK, _PAPER = (20, 20, 20), (255, 255, 255)


def draw_overlay(found: Explanation, level_map: LevelMap) -> Image.Image:
    """One map over the picture, and below it what it is, in words and with a scale."""
    kind = KINDS[level_map.kind]
    rows, columns = level_map.values.shape
    tile = _over(_fit(found.image, LEAST_SIDE, MOST_SIDE), level_map, found)
    canvas = Image.new("RGB", (max(tile.width, LEAST_SIDE), tile.height + 90), _PAPER)
    canvas.paste(tile, (0, 0))
    _write(canvas, (6, tile.height + 4), f"{_title(level_map)} ({columns} x {rows} cells)", 15)
    _write(canvas, (6, tile.height + 25), kind.meaning, 13)
    _write(canvas, (6, tile.height + 44), f"{found.metric}: {found.score:.4f}", 13)
    _scale(canvas, (6, tile.height + 66), LEAST_SIDE - 12, level_map)
    return canvas


def draw_sheet(found: Explanation) -> Image.Image:
    """The picture and all maps: a row for each kind, a column for each level; the first row has what is single."""
    picture = _fit(found.image, _TILE, _TILE)
    rows = {kind: [m for m in found.maps.values() if m.kind == kind] for kind in KINDS}
    single = [level_map for row in rows.values() if len(row) == 1 for level_map in row]
    rows = {kind: row for kind, row in rows.items() if len(row) > 1}
    originals = [("image", found.image), ("reference", found.reference)]
    tops = [(name, _fit(pixels, _TILE, _TILE)) for name, pixels in originals if pixels is not None]
    width = max(picture.width, _LEAST_TILE) + _GAP
    height = picture.height + 84
    columns = max(len(tops) + len(single), *(m.level for m in found.maps.values()))
    canvas = Image.new("RGB", (columns * width + _GAP, 40 + (len(rows) + 1) * height), _PAPER)
    size = f"{found.image.shape[1]} x {found.image.shape[0]} px"
    scored = f", scored at {found.size[1]} x {found.size[0]}" if found.size != found.image.shape[:2] else ""
    _write(canvas, (_GAP, 8), f"{found.metric}: {found.score:.4f} ({size}{scored})", 17)
    for column, (name, original) in enumerate(tops):
        _write(canvas, (_GAP + column * width, 36), name, 12)
        canvas.paste(original, (_GAP + column * width, 54))
    for column, level_map in enumerate(single, start=len(tops)):
        _tile(canvas, (_GAP + column * width, 36), width - _GAP, picture, level_map, found, _title(level_map))
    for index, (kind, row) in enumerate(rows.items(), start=1):
        top = 20 + index * height
        _write(canvas, (_GAP, top), f"{KINDS[kind].title}: {KINDS[kind].meaning}", 14)
        for level_map in row:
            left = _GAP + (level_map.level - 1) * width
            _tile(canvas, (left, top + 20), width - _GAP, picture, level_map, found, f"level {level_map.level}")
    return canvas


def draw_comparison(found: Sequence[Explanation], titles: Sequence[str]) -> Image.Image:
    """The sheets of several pictures below each other, each with a title."""
    sheets = [draw_sheet(explanation) for explanation in found]
    tops = list(itertools.accumulate((sheet.height + 40 for sheet in sheets), initial=0))
    canvas = Image.new("RGB", (max(sheet.width for sheet in sheets), tops[-1]), _PAPER)
    for sheet, title, top in zip(sheets, titles, tops[:-1], strict=True):
        _write(canvas, (_GAP, top + 12), title, 20)
        canvas.paste(sheet, (0, top + 40))
    return canvas


def _tile(
    canvas: Image.Image,
    corner: tuple[int, int],
    width: int,
    picture: Image.Image,
    level_map: LevelMap,
    found: Explanation,
    label: str,
) -> None:
    """A map of the sheet: the label, the picture, the scale."""
    left, top = corner
    _write(canvas, corner, label + ("" if level_map.share is None else f", counts {level_map.share:.1%}"), 12)
    canvas.paste(_over(picture, level_map, found), (left, top + 18))
    _scale(canvas, (left, top + 22 + picture.height), width, level_map)


def heat_on(level_map: LevelMap, height: int, width: int) -> Array:
    """What a picture shows of a map on ``height`` x ``width`` pixels: bilinear between cells, NaN where there are none.

    The cells tile the map's box (as ``align_corners=False`` has it), whether or not their sides are whole pixels.
    """
    left, top, right, bottom = level_map.box
    rows, columns = (
        slice(round(start * side), max(round(start * side) + 1, round(end * side)))
        for start, end, side in ((top, bottom, height), (left, right, width))
    )
    cells = torch.from_numpy(level_map.heat)[None, None]
    size = rows.stop - rows.start, columns.stop - columns.start
    whole = np.full((height, width), np.nan, dtype=np.float32)
    whole[rows, columns] = F.interpolate(cells, size=size, mode="bilinear", align_corners=False, antialias=True)[0, 0]
    return whole


def limits(level_map: LevelMap) -> tuple[float, float]:
    """The values of the darkest and of the brightest colour."""
    return 0.0, max(KINDS[level_map.kind].least_top, float(level_map.heat.max())) or 1.0


def _over(picture: Image.Image, level_map: LevelMap, found: Explanation) -> Image.Image:
    """A map in colour over the picture in grey."""
    heat = heat_on(level_map, picture.height, picture.width)
    low, high = limits(level_map)
    grey = np.asarray(picture.convert("L").convert("RGB"), dtype=np.float32)
    colors = colorize(((heat - low) / (high - low)).clip(0, 1))
    mixed = np.where(np.isnan(heat)[..., None], grey, (1 - _OPACITY) * grey + _OPACITY * colors)
    tile = Image.fromarray(mixed.round().astype(np.uint8))
    if level_map.kind == "focus" and found.point is not None:
        scale = picture.width / found.image.shape[1], picture.height / found.image.shape[0]
        x, y = (value * factor for value, factor in zip(found.point, scale, strict=True))
        draw = ImageDraw.Draw(tile)
        for radius, color in ((7, (0, 0, 0)), (6, (0, 255, 200)), (5, (0, 255, 200)), (4, (0, 0, 0))):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=color)
    return tile


def _fit(pixels: NDArray[np.uint8], least: int, most: int) -> Image.Image:
    """A picture whose longer side is between the two."""
    height, width = pixels.shape[:2]
    long = max(height, width)
    factor = min(max(long, least), most) / long
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def _title(level_map: LevelMap) -> str:
    return f"{KINDS[level_map.kind].title}, level {level_map.level}"


def _scale(canvas: Image.Image, corner: tuple[int, int], width: int, level_map: LevelMap) -> None:
    """A bar of all colours, and the values at its ends."""
    left, top = corner
    suffix = KINDS[level_map.kind].suffix
    low, high = (f"{value:.3g}{suffix}" for value in limits(level_map))
    font = ImageFont.load_default(12)
    margins = [round(font.getlength(text)) + 6 for text in (low, high)]
    bar = max(10, width - sum(margins))
    colors = colorize(np.linspace(0, 1, bar, dtype=np.float32))[None].repeat(10, axis=0)
    canvas.paste(Image.fromarray(colors.round().astype(np.uint8)), (left + margins[0], top + 3))
    _write(canvas, corner, low, 12)
    _write(canvas, (left + margins[0] + bar + 6, top), high, 12)


def _write(canvas: Image.Image, corner: tuple[int, int], text: str, size: int) -> None:
    ImageDraw.Draw(canvas).text(corner, text, _INK, ImageFont.load_default(size))
