"""Uploaded files to pixels, in a process that they may crash."""

from __future__ import annotations

from torch import Tensor

from topiq_metrics.images.arrays import pixels_to_rgb
from topiq_metrics.images.profiles import Origin
from topiq_metrics.scoring.decoded import Request
from topiq_metrics.scoring.decoders import Decoder


def decode_whole(data: bytes, name: str, decoder: Decoder, max_pixels: int) -> tuple[Tensor, Origin]:
    """All pixels of a file, ``(3, H, W)`` in [0, 1], and what their colours were; raises as the decoder does."""
    decoded = decoder.decode(data, name, Request(max_pixels), lambda *_: None)
    # Without size rules, all pixels are given.
    assert decoded.whole is not None  # noqa: S101
    return pixels_to_rgb(decoded.whole, name), decoded.origin
