"""Small pictures for browsers that do not show a file's format."""

from __future__ import annotations

import numpy as np

from topiq_metrics.errors import ImageError
from topiq_metrics.images import SizePolicy
from topiq_metrics.images.arrays import pixels_to_rgb
from topiq_metrics.pages.thumbnails import jpeg_uri
from topiq_metrics.scoring.decoded import Request
from topiq_metrics.scoring.decoders import Decoder

_QUALITY = 90


def preview(data: bytes, name: str, side: int, *, decoder: Decoder, max_pixels: int) -> str | None:
    """A picture as a JPEG in a ``data:`` URI, in sRGB and upright; None where it cannot be read.

    Args:
        data: the file.
        name: of it, for errors.
        side: its longer side in pixels, at most, at least 32.
        decoder: decodes it.
        max_pixels: the most pixels that it may have.
    """
    policy = SizePolicy("max_side", side)
    try:
        decoded = decoder.decode(data, name, Request(max_pixels, sizes=(policy,)), lambda *_: None)
        planes = decoded.small[policy] if decoded.whole is None else pixels_to_rgb(decoded.whole, name).numpy()
    except ImageError:
        return None
    values = (np.broadcast_to(planes, (3, *planes.shape[1:])).clip(0, 1) * 255).round().astype(np.uint8)
    return jpeg_uri(np.ascontiguousarray(values.transpose(1, 2, 0)), side, _QUALITY)
