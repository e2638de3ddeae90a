"""Small pictures for a page: pixels only, whatever else the image's file holds."""

from __future__ import annotations

import base64
import io
import os
from functools import cached_property
from typing import TYPE_CHECKING

from PIL import Image

from topiq_metrics.errors import ImageError
from topiq_metrics.images import SizePolicy
from topiq_metrics.images.loader import ImageSource, open_image
from topiq_metrics.images.profiles import Profiles

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

THUMBNAIL_SIDE = 160
"""The longer side of a thumbnail, in pixels, at most."""

_POLICY = SizePolicy("max_side", THUMBNAIL_SIDE)
# A report must not fail for want of memory once the job is done.
_MAX_PIXELS = 100_000_000
_MAX_KEPT_BYTES = 1 << 20
_QUALITY = 82


class Picture:
    """An image that may be shown later."""

    def __init__(self, image: ImageSource, profiles: Profiles = "apply") -> None:
        self._image = image
        self._profiles = profiles

    def keep(self) -> None:
        """Called for an image that is held for long: of bytes that are many, the thumbnail stays alone."""
        image = self._image
        is_small = isinstance(image, bytes) and len(image) <= _MAX_KEPT_BYTES
        if not is_small and not isinstance(image, (str, os.PathLike)):
            _ = self.uri
            self._image = b""

    @cached_property
    def uri(self) -> str | None:
        """The thumbnail as a ``data:`` URI; None where the image cannot be read, or is not on this machine."""
        # Only regular files: a name must not lead to a pipe that is waited for, or to a device that never ends.
        if isinstance(self._image, (str, os.PathLike)) and not _is_file(self._image):
            return None
        try:
            small = open_image(self._image, max_pixels=_MAX_PIXELS, profiles=self._profiles).sized(_POLICY)[0]
        # Whatever torch and Pillow say where memory is short.
        except (ImageError, MemoryError, RuntimeError):
            return None
        return jpeg_uri(small.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy(), THUMBNAIL_SIDE, _QUALITY)


def jpeg_uri(pixels: NDArray[np.uint8], side: int, quality: int) -> str:
    """Pixels ``(H, W, 3)`` as a JPEG in a ``data:`` URI, no longer than ``side``."""
    picture = Image.fromarray(pixels)
    # A size policy leaves long, thin pictures longer.
    picture.thumbnail((side, side))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def _is_file(path: str | os.PathLike[str]) -> bool:
    try:
        return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises where a parent may not be read
    except ValueError:
        return False
