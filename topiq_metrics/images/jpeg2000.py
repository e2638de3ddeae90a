"""JPEG 2000: what its main header says of levels."""

from __future__ import annotations

from typing import IO

CODESTREAM = b"\xff\x4f\xff\x51"
"""How a codestream begins, in a file of its own or in a box: its start and the marker of the sizes."""

_DEFAULTS, _OF_A_COMPONENT, _TILE = 0x52, 0x53, 0x90
_ORIGIN = slice(16, 24)
_HEADER_BYTES = 1 << 16
_MANY_COMPONENTS = 257


def droppable_levels(stream: IO[bytes]) -> int:
    """How many of the finest levels of wavelets can be left out in decoding.

    None where the picture does not begin at its grid's origin: Pillow takes another size for what is left than
    OpenJPEG, and leaves a border black.

    Args:
        stream: seekable; stays where it is.
    """
    place = stream.tell()
    stream.seek(0)
    header = stream.read(_HEADER_BYTES)
    stream.seek(place)
    start = header.find(CODESTREAM)
    if start < 0 or any(header[start:][_ORIGIN]):
        return 0
    wide = int.from_bytes(header[start + 40 : start + 42], "big") >= _MANY_COMPONENTS
    # Where the number of levels stands, behind a marker.
    places = {_DEFAULTS: 9, _OF_A_COMPONENT: 7 if wide else 6}
    levels: list[int] = []
    at = start + 2
    while at + 4 <= len(header) and header[at] == 0xFF and header[at + 1] != _TILE:
        if (offset := places.get(header[at + 1])) is not None:
            levels += header[at + offset : at + offset + 1]
        at += 2 + int.from_bytes(header[at + 2 : at + 4], "big")
    return min(levels, default=0)
