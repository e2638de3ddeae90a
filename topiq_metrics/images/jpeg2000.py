"""JPEG 2000: what its main header says of levels."""

from __future__ import annotations

from typing import IO

# How a codestream begins, in a file of its own or in a box: its start and the marker of the sizes.
_START = b"\xff\x4f\xff\x51"
_DEFAULTS, _OF_A_COMPONENT, _TILE = 0x52, 0x53, 0x90
_ORIGIN, _COMPONENTS = slice(16, 24), slice(40, 42)
_HEADER_BYTES = 1 << 16
_MANY_COMPONENTS = 257


def main_header(stream: IO[bytes]) -> bytes:
    """The first bytes of a codestream, empty if there is none; ``stream`` is seekable, and stays where it is."""
    place = stream.tell()
    stream.seek(0)
    head = stream.read(_HEADER_BYTES)
    stream.seek(place)
    start = head.find(_START)
    return head[start:] if start >= 0 else b""


def components(header: bytes) -> int:
    """How many components a picture has, such as 3 for RGB; 0 if there is no header."""
    return int.from_bytes(header[_COMPONENTS], "big")


def droppable_levels(stream: IO[bytes]) -> int:
    """How many of the finest levels of wavelets can be left out in decoding.

    None where the picture does not begin at its grid's origin: Pillow takes another size for what is left than
    OpenJPEG, and leaves a border black.

    Args:
        stream: seekable; stays where it is.
    """
    header = main_header(stream)
    if any(header[_ORIGIN]):
        return 0
    # Where the number of levels stands, behind a marker.
    places = {_DEFAULTS: 9, _OF_A_COMPONENT: 7 if components(header) >= _MANY_COMPONENTS else 6}
    levels: list[int] = []
    at = 2
    while at + 4 <= len(header) and header[at] == 0xFF and header[at + 1] != _TILE:
        if (offset := places.get(header[at + 1])) is not None:
            levels += header[at + offset : at + offset + 1]
        at += 2 + int.from_bytes(header[at + 2 : at + 4], "big")
    return min(levels, default=0)
