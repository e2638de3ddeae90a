"""What a file says of its colours where Pillow does not: boxes of AVIF, HEIF and JPEG 2000, headers of PNG and BMP."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TypeAlias

_PNG = b"\x89PNG\r\n\x1a\n"
_JP2 = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
_MOST_CHUNKS = 10_000
_LARGEST_TABLE = 1 << 20
_LARGEST_PROFILE = 64 << 20
_VISUAL_SAMPLE_ENTRY = 78


@dataclass(frozen=True)
class Tags:
    """What was found.

    Attributes:
        where: in the file, for people.
        code_points: primaries and transfer characteristics of H.273.
        profile: an ICC profile.
        is_narrow: whether black and white are 16 and 235 of 255, as in video, and the decoder leaves them there.
    """

    where: str
    code_points: tuple[int, int] | None = None
    profile: bytes = b""
    is_narrow: bool = False


_Span: TypeAlias = "tuple[int, int]"


def read_tags(stream: IO[bytes]) -> Tags | None:
    """Read the colour tags of a file whose pixels Pillow decodes; None where there are none, or they are damaged.

    Args:
        stream: seekable, anywhere; is left where it was.
    """
    try:
        place = stream.tell()
        try:
            stream.seek(0, 2)
            end = stream.tell()
            stream.seek(0)
            head = stream.read(12)
            if head.startswith(_PNG):
                return _of_png(stream)
            if head.startswith(b"BM"):
                return _of_bmp(stream)
            if head == _JP2:
                return _of_jpeg_2000(stream, (0, end))
            if head[4:8] == b"ftyp":
                return _of_heif(stream, (0, end), is_sequence=head[8:12] == b"avis")
        finally:
            stream.seek(place)
    except (OSError, ValueError, struct.error, IndexError, AttributeError):
        return None
    return None


def _of_png(stream: IO[bytes]) -> Tags | None:
    stream.seek(len(_PNG))
    for _ in range(_MOST_CHUNKS):
        length, kind = struct.unpack(">I4s", stream.read(8))
        if kind == b"IDAT":
            break
        if kind == b"cICP" and length == 4:
            content = stream.read(4)
            if stream.read(4) == zlib.crc32(kind + content).to_bytes(4, "big"):
                primaries, transfer, _, is_full = content
                return Tags("cICP", (primaries, transfer), is_narrow=not is_full)
        else:
            stream.seek(length + 4, 1)
    return None


def _of_bmp(stream: IO[bytes]) -> Tags | None:
    stream.seek(14)
    header = stream.read(124)
    if int.from_bytes(header[:4], "little") >= 124 and header[56:60] == b"DEBM":
        offset, length = struct.unpack_from("<II", header, 112)
        stream.seek(14 + offset)
        return Tags("ICC", profile=stream.read(min(length, _LARGEST_PROFILE)))
    return None


def _of_jpeg_2000(stream: IO[bytes], file: _Span) -> Tags | None:
    found = None
    for header in _named(stream, file, b"jp2h"):
        for start, end in _named(stream, header, b"colr"):
            stream.seek(start)
            method = stream.read(3)[0]
            if method in (2, 3):
                return Tags("ICC", profile=stream.read(min(end - start - 3, _LARGEST_PROFILE)))
            if method == 5:
                primaries, transfer, _, flags = struct.unpack(">3HB", stream.read(7))
                found = found or Tags("CICP", (primaries, transfer), is_narrow=not flags >> 7)
    return found


def _of_heif(stream: IO[bytes], file: _Span, *, is_sequence: bool) -> Tags | None:
    items = [tag for meta in _named(stream, file, b"meta") for tag in _of_first_item(stream, (meta[0] + 4, meta[1]))]
    tracks = _of_tracks(stream, file)
    return _best(tracks) or _best(items) if is_sequence else _best(items) or _best(tracks)


def _best(found: list[Tags]) -> Tags | None:
    """A profile says more than code points; those of HDR are told beside it."""
    profile = next((tag.profile for tag in found if tag.profile), b"")
    points = next((tag.code_points for tag in found if tag.code_points), None)
    return Tags("ICC" if profile else "nclx", points, profile) if profile or points else None


def _of_first_item(stream: IO[bytes], meta: _Span) -> list[Tags]:
    """The colours of the primary item; of the pictures that it is made of, where it has none itself."""
    boxes = {kind: (start, end) for kind, start, end in _boxes(stream, meta)}
    if b"pitm" not in boxes or b"iprp" not in boxes:
        return []
    primary = _table(stream, boxes[b"pitm"])
    item = int.from_bytes(primary[4 : 6 if primary[0] == 0 else 8], "big")
    parts = {kind: (start, end) for kind, start, end in _boxes(stream, boxes[b"iprp"])}
    properties = list(_boxes(stream, parts[b"ipco"])) if b"ipco" in parts else []
    owners = _owners(_table(stream, parts[b"ipma"])) if b"ipma" in parts else {}
    items = [item, *(_tiles(_table(stream, boxes[b"iref"]), item) if b"iref" in boxes else [])]
    for each in items:
        own = [properties[index - 1] for index in owners.get(each, []) if 0 < index <= len(properties)]
        found = [tag for kind, start, end in own if kind == b"colr" for tag in _of_colr(stream, (start, end))]
        if found:
            return found
    return []


def _owners(table: bytes) -> dict[int, list[int]]:
    """The numbers of each item's properties, from the content of ``ipma``."""
    version, flags = table[0], table[3]
    (count,) = struct.unpack_from(">I", table, 4)
    place, owners = 8, {}
    for _ in range(min(count, len(table))):
        width = 2 if version < 1 else 4
        item = int.from_bytes(table[place : place + width], "big")
        number = table[place + width]
        place += width + 1
        step = 2 if flags & 1 else 1
        mask = 0x7FFF if flags & 1 else 0x7F
        ends = range(place, place + number * step, step)
        owners[item] = [int.from_bytes(table[at : at + step], "big") & mask for at in ends]
        place += number * step
    return owners


def _tiles(table: bytes, item: int) -> list[int]:
    """The items that ``item`` is derived from, from the content of ``iref``."""
    width, place, tiles = 2 if table[0] == 0 else 4, 4, []
    while place + 8 <= len(table):
        size, kind = struct.unpack_from(">I4s", table, place)
        if size < 8:
            break
        start = place + 8
        source = int.from_bytes(table[start : start + width], "big")
        count = int.from_bytes(table[start + width : start + width + 2], "big")
        if kind == b"dimg" and source == item:
            first = start + width + 2
            tiles += [int.from_bytes(table[first + i * width : first + (i + 1) * width], "big") for i in range(count)]
        place += size
    return tiles


def _of_tracks(stream: IO[bytes], file: _Span) -> list[Tags]:
    """The colours of a sequence."""
    spans = [file]
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"):
        spans = [inner for span in spans for inner in _named(stream, span, kind)]
    entries = [entry for start, end in spans for entry in _boxes(stream, (start + 8, end))]
    colors = [box for _, start, end in entries for box in _named(stream, (start + _VISUAL_SAMPLE_ENTRY, end), b"colr")]
    return [tag for color in colors for tag in _of_colr(stream, color)]


def _of_colr(stream: IO[bytes], box: _Span) -> Iterator[Tags]:
    start, end = box
    stream.seek(start)
    kind = stream.read(4)
    if kind == b"nclx":
        yield Tags("nclx", struct.unpack(">HH", stream.read(4)))
    elif kind in (b"prof", b"rICC"):
        yield Tags("ICC", profile=stream.read(min(end - start - 4, _LARGEST_PROFILE)))


def _named(stream: IO[bytes], span: _Span, name: bytes) -> list[_Span]:
    return [(start, end) for kind, start, end in _boxes(stream, span) if kind == name]


def _boxes(stream: IO[bytes], span: _Span) -> Iterator[tuple[bytes, int, int]]:
    """Type and content of the boxes of the ISO base media file format that lie side by side."""
    place, end = span
    while place + 8 <= end:
        stream.seek(place)
        head = stream.read(16)
        size, kind, content = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:
            size, content = int.from_bytes(head[8:16], "big"), 16
        elif size == 0:
            size = end - place
        if size < content or place + size > end:
            return
        yield kind, place + content, place + size
        place += size


def _table(stream: IO[bytes], span: _Span) -> bytes:
    start, end = span
    stream.seek(start)
    return stream.read(min(end - start, _LARGEST_TABLE))
