"""Uploaded files to pixels, in a process that they may crash."""

from __future__ import annotations

from topiq_metrics.images.opened import OpenedImage
from topiq_metrics.scoring.decoded import Request
from topiq_metrics.scoring.decoders import Decoder


def decode_whole(data: bytes, name: str, decoder: Decoder, max_pixels: int) -> OpenedImage:
    """All pixels of a file; raises as the decoder does."""
    decoded = decoder.decode(data, name, Request(max_pixels), lambda *_: None)
    # Without size rules, all pixels are given.
    assert decoded.whole is not None  # noqa: S101
    return OpenedImage.of_pixels(decoded.whole, name)
