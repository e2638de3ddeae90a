"""The explanation of one image's score: arrays, pictures and files."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from topiq_metrics import _outputs
from topiq_metrics._files import write_whole
from topiq_metrics.explaining.maps import LevelMap
from topiq_metrics.explaining.naming import MAPS, SHEET, overlays_in

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, eq=False)
class Explanation:
    """A score, and the maps inside the metric that lead to it.

    Attributes:
        metric: name of the metric.
        score: the metric's score of the image.
        size: height and width, in pixels, at which the image was scored.
        maps: the maps by name, such as ``gate-level1``; level 1 is the shallowest.
        image: the image, upright, ``(H, W, 3)``, uint8.
        reference: the reference, as ``image``, or None.
        point: the point that was asked about, x and y in pixels of the image, or None.
        note: a remark on the score, for example that the reference has another colour profile; or an empty string.
    """

    metric: str
    score: float
    size: tuple[int, int]
    maps: dict[str, LevelMap] = field(repr=False)
    image: NDArray[np.uint8] = field(repr=False)
    reference: NDArray[np.uint8] | None = field(default=None, repr=False)
    point: tuple[float, float] | None = None
    note: str = ""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The values of every map by name, float32 ``(h, w)``, and the ``score``."""
        return {**{name: level_map.values for name, level_map in self.maps.items()}, "score": np.array(self.score)}

    def overlay(self, name: str) -> Image.Image:
        """The map ``name`` in colour over the image in grey, with a scale; 448 to 1024 pixels a side.

        Raises:
            ValueError: if there is no such map.
        """
        from topiq_metrics.explaining.overlays import draw_overlay

        if name not in self.maps:
            raise ValueError(f"There is no map {name!r}, but {', '.join(self.maps)}.")
        return draw_overlay(self, self.maps[name])

    def sheet(self) -> Image.Image:
        """The image and every map, side by side: a row for each kind, a column for each level."""
        from topiq_metrics.explaining.overlays import draw_sheet

        return draw_sheet(self)

    def _repr_png_(self) -> bytes:
        # What a notebook shows of it.
        return _png(self.sheet())

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
        """Write ``maps.npz`` (see `arrays`), ``sheet.png`` and an ``overlay-….png`` for each map.

        Args:
            folder: created if it does not exist; its parent must exist.
            overwrite: replace the files of an earlier explanation; its other overlays are removed.

        Returns:
            The paths of the files.

        Raises:
            FileExistsError: if such files exist, without ``overwrite``.
            OSError: if files cannot be written.
        """
        folder = check_explanation_folder(folder, overwrite=overwrite)
        folder.mkdir(exist_ok=True)
        stream = io.BytesIO()
        np.savez_compressed(stream, **self.arrays())  # type: ignore[arg-type]
        contents = {MAPS: stream.getvalue(), SHEET: _png(self.sheet())}
        contents |= {f"overlay-{name}.png": _png(self.overlay(name)) for name in self.maps}
        for name, content in contents.items():
            write_whole(folder / name, content)
        for path in overlays_in(folder):
            if path.name not in contents:
                path.unlink()
        return [folder / name for name in contents]


def check_explanation_folder(folder: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """The folder, if `Explanation.save` can be expected to write there; nothing is changed.

    Raises:
        OSError: if not.
    """
    path = Path(folder).expanduser()
    _outputs.check_place_of_folder(path)
    for earlier in () if overwrite else (path / MAPS, path / SHEET, *overlays_in(path)):
        _outputs.check_new(earlier, "name another folder")
    _outputs.check_writable(path if path.is_dir() else path.parent)
    return path


def _png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()
