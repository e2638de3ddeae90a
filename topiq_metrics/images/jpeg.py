"""JPEG: segments that its pixels do not need, and that Pillow stumbles over."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO

from PIL import Image, JpegImagePlugin

_START_OF_SCAN = 0xDA
_WITHOUT_CONTENT = frozenset([0x01, *range(0xD0, 0xD9)])
_JFIF, _EXIF, _ICC, _ADOBE = 0xE0, 0xE1, 0xE2, 0xEE
_EXIF_NAME = b"Exif\0\0"
# Shorter ones are passed over by libjpeg.
_LEAST = {_JFIF: (b"JFIF", 14), _ICC: (b"ICC_PROFILE\0", 15), _ADOBE: (b"Adobe", 12)}
_PHOTOSHOP, _COMMENT = 0xED, 0xFE


def open_jpeg(stream: IO[bytes]) -> Image.Image:
    """Read the header of a JPEG; where Pillow refuses it, once more without the segments that may be at fault."""
    try:
        return JpegImagePlugin.JpegImageFile(stream, "")
    except SyntaxError:
        parts = [b"\xff\xd8"]
        exif = b""
        for marker, content in segments(stream):
            if marker == _EXIF and content.startswith(_EXIF_NAME):
                exif += content[len(_EXIF_NAME) if exif else 0 :]
            elif not _may_be_at_fault(marker, content):
                parts.append(bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content)
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(b"".join(parts) + stream.read()), "")
    if exif:
        image.info["exif"] = exif
    return image


def segments(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Marker and content of the segments before the pixels; in the end, ``stream`` is at the one that has no more."""
    stream.seek(2)
    while True:
        start = stream.tell()
        mark = stream.read(1)
        marker = mark
        while marker == b"\xff":
            marker = stream.read(1)
        if mark == b"\xff" and marker and marker[0] in _WITHOUT_CONTENT:
            continue
        size = int.from_bytes(stream.read(2), "big") - 2
        content = stream.read(max(0, size))
        if mark != b"\xff" or not marker or marker[0] == _START_OF_SCAN or not 0 <= size == len(content):
            stream.seek(start)
            return
        yield marker[0], content


def _may_be_at_fault(marker: int, content: bytes) -> bool:
    name, least = _LEAST.get(marker, (b"", 0))
    return marker in (_PHOTOSHOP, _COMMENT) or (content.startswith(name) and len(content) < least)
