"""The quality map of an image: arrays, pictures and files."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from topiq_metrics import _outputs
from topiq_metrics._files import write_whole
from topiq_metrics.explaining.maps import Array

if TYPE_CHECKING:
    from PIL import Image

CROP, _LEAST_CROP = 224, 96
"""The side of a place, in pixels of the picture: a third of its shorter side between the two."""

PLACES = 3

_SHEET, _MAP = "quality.jpg", "quality.npz"

Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LocalQuality:
    """What a `QualityMap` is without its pictures, which may be large."""

    metric: str
    score: float
    values: Array = field(repr=False)
    image_size: tuple[int, int]
    size: tuple[int, int]
    higher_is_better: bool
    score_range: tuple[float, float]
    note: str = ""

    def on_pixels(self, height: int, width: int) -> Array:
        """The map resized to ``(height, width)``, bilinear between the centres of cells."""
        cells = torch.from_numpy(self.values)[None, None]
        pixels = F.interpolate(cells, size=(height, width), mode="bilinear", align_corners=False, antialias=True)
        array: Array = pixels[0, 0].numpy()
        return array

    def badness(self) -> Array:
        """The map with its sign changed if necessary, so that higher is worse."""
        return -self.values if self.higher_is_better else self.values

    def worst_places(self, count: int = PLACES, side: int | None = None) -> list[Box]:
        """The places with the worst mean quality, worst first, without overlap.

        Args:
            count: the most places to return: at least one, and others only if they are worse than the mean of the map.
            side: side of a place, in pixels of the image; by default a third of its shorter side, within 96 and 224.

        Returns:
            For each place, left, top, right and bottom in pixels of the image.
        """
        return worst_places([self], count, side)

    def quality_in(self, box: Box) -> float:
        """The mean of the map over the cells that a box touches.

        Args:
            box: left, top, right and bottom in pixels of the image; what is outside of the image does not count.

        Raises:
            ValueError: if no pixel of the box is in the image.
        """
        height, width = self.image_size
        rows, columns = self.values.shape
        left, top, right, bottom = max(0, box[0]), max(0, box[1]), min(width, box[2]), min(height, box[3])
        if left >= right or top >= bottom:
            raise ValueError(f"No pixel of the box {tuple(box)} is in the image of {width}x{height}.")
        inside = self.values[
            top * rows // height : -(-bottom * rows // height), left * columns // width : -(-right * columns // width)
        ]
        return float(inside.mean(dtype=np.float64))


@dataclass(frozen=True, eq=False, kw_only=True)
class QualityMap(LocalQuality):
    """Where an image is good and where it is bad, on the scale of the metric's score.

    Attributes:
        metric: name of the metric.
        score: the metric's score of the image.
        values: the score of each cell, ``(h, w)``, float32. The cells tile the image.
        image_size: height and width of the image, in pixels.
        size: height and width, in pixels, at which the image was scored.
        higher_is_better: direction of the score, and of the map.
        score_range: lowest and highest score of the metric; a cell may be outside.
        image: the image, upright, ``(H, W, 3)``, uint8.
        reference: the reference, as ``image``, or None.
        note: a remark on the score, for example that the reference has another colour profile; or an empty string.
    """

    image: NDArray[np.uint8] = field(repr=False)
    reference: NDArray[np.uint8] | None = field(default=None, repr=False)

    def sheet(self) -> Image.Image:
        """The image, its map with a scale, and its worst places at 1:1, next to those of the reference."""
        from topiq_metrics.explaining.quality_sheet import Column, draw_quality

        reference = self.reference
        column = Column("picture", self, lambda: self.image)
        return draw_quality([column], None if reference is None else lambda: reference)

    def _repr_jpeg_(self) -> bytes:
        # What a notebook shows of it.
        return as_jpeg(self.sheet())

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
        """Write the `sheet` as ``quality.jpg``, and ``quality.npz`` with the ``values`` and the ``score``.

        Args:
            folder: created if it does not exist; its parent must exist.
            overwrite: replace the files of an earlier map.

        Returns:
            The paths of the files.

        Raises:
            FileExistsError: if such files exist, without ``overwrite``.
            OSError: if files cannot be written.
        """
        folder = check_quality_folder(folder, overwrite=overwrite)
        folder.mkdir(exist_ok=True)
        contents = {_MAP: packed({"values": self.values, "score": np.array(self.score)}), _SHEET: as_jpeg(self.sheet())}
        for name, content in contents.items():
            write_whole(folder / name, content)
        return [folder / name for name in contents]


def worst_places(maps: Sequence[LocalQuality], count: int = PLACES, side: int | None = None) -> list[Box]:
    """The places that are worst in any of several versions of a picture, as `QualityMap.worst_places`.

    Raises:
        ValueError: if the pictures are not of one size, or ``count`` or ``side`` is below 1.
    """
    if count < 1 or (side is not None and side < 1):
        raise ValueError(f"Arguments `count` and `side` must be at least 1, but got {count} and {side}.")
    height, width = maps[0].image_size
    if any(found.image_size != maps[0].image_size for found in maps):
        raise ValueError("The pictures are not of one size: they have no places in common.")
    if side is None:
        side = min(CROP, max(_LEAST_CROP, min(height, width) // 3))
    side = min(side, height, width)
    # Cells of about an eighth of a place, whatever those of the maps.
    grid = max(1, round(8 * height / side)), max(1, round(8 * width / side))
    window = [min(8, cells) for cells in grid]
    worse = []
    for found in maps:
        cells = torch.from_numpy(found.badness() - found.badness().mean(dtype=np.float64))[None, None].float()
        cells = F.interpolate(cells, size=grid, mode="bilinear", align_corners=False)
        worse.append(F.avg_pool2d(cells, window, stride=1)[0, 0])
    mean = torch.stack(worse).amax(dim=0)
    boxes: list[Box] = []
    for _ in range(count):
        row, column = divmod(int(mean.argmax()), mean.shape[1])
        if mean[row, column] == -torch.inf or (boxes and mean[row, column] <= 0):
            break
        top = min(round(row * height / grid[0]), height - side)
        left = min(round(column * width / grid[1]), width - side)
        boxes.append((left, top, left + side, top + side))
        # A place that would overlap this one starts less than a window from it.
        rows, columns = (
            slice(max(0, at - size + 1), at + size) for at, size in zip((row, column), window, strict=True)
        )
        mean[rows, columns] = -torch.inf
    return boxes


def check_quality_folder(folder: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """The folder, if `QualityMap.save` can be expected to write there; nothing is changed.

    Raises:
        OSError: if not.
    """
    path = Path(folder).expanduser()
    _outputs.check_place_of_folder(path)
    for name in () if overwrite else (_MAP, _SHEET):
        _outputs.check_new(path / name, "name another folder")
    _outputs.check_writable(path if path.is_dir() else path.parent)
    return path


def packed(arrays: dict[str, NDArray[Any]]) -> bytes:
    """Arrays as the content of an ``.npz`` file."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def as_jpeg(picture: Image.Image) -> bytes:
    """A sheet as the content of a file, with colours as sharp as the rest."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=92, subsampling=0)
    return stream.getvalue()
