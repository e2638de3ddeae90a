"""The directories of a TIFF: the numbers that tell what a page is, and where."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO

from PIL import TiffImagePlugin

SUBFILE, OLD_SUBFILE = 254, 255
BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 258, 259, 262, 266
SAMPLES, PLANES, EXTRA_SAMPLES, SAMPLE_FORMAT = 277, 284, 338, 339
_SIZE = (256, 257)
_OFFSETS, _COUNTS = (273, 324, 513), (279, 325, 514)
SUB_DIRECTORIES = 330
_DNG_VERSION = 50706
_PLACES = frozenset([*_OFFSETS, *_COUNTS])
_OF_PAGES = frozenset([SUBFILE, OLD_SUBFILE, SUB_DIRECTORIES, _DNG_VERSION])
_OF_PIXELS = frozenset([BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, SAMPLES, PLANES, EXTRA_SAMPLES, SAMPLE_FORMAT])
KINDS = frozenset(_SIZE) | _OF_PAGES | _OF_PIXELS
_TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}

_MOST_BYTES = 1 << 20
_MOST_PLACES = 1 << 24

_RAW_COMPRESSIONS = frozenset([32767, 32769, 32770, 34713, 65000, 65535])
_RAW_PHOTOMETRICS = frozenset([32803, 34892])
_PHOTOMETRICS = {
    0: "0 is white",
    3: "palette",
    4: "mask",
    5: "CMYK",
    6: "YCbCr",
    8: "CIELAB",
    9: "ICCLAB",
    10: "ITULAB",
    32844: "LogL",
    32845: "LogLuv",
}
_VALUES = {1: "uint", 2: "int", 3: "float", 5: "complex int", 6: "complex float"}
_COMPRESSIONS = {
    22610: "JPEG XR",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34887: "LERC",
    34925: "LZMA",
    34933: "PNG",
    34934: "JPEG XR",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}


@dataclass(frozen=True)
class Page:
    """The numbers in one directory, with the names of the tags left out.

    Attributes:
        offset: where it is in the file.
        tags: those of `KINDS` that it has.
        following: where the next one is, or 0.
        order: ``"big-endian"`` or nothing.
    """

    offset: int
    tags: Mapping[int, tuple[int, ...]]
    following: int
    order: str

    def number(self, tag: int, default: int) -> int:
        return (self.tags.get(tag) or (default,))[0]

    def in_planes(self) -> bool:
        return self.number(PLANES, 1) == 2

    def is_preview(self) -> bool:
        """Whether it is a reduced picture (or a mask) of another."""
        return bool(self.number(SUBFILE, 0) & 0b101) or self.number(OLD_SUBFILE, 0) == 2

    def is_raw(self) -> bool:
        """Whether it is as only cameras write it."""
        return (
            _DNG_VERSION in self.tags
            or self.number(PHOTOMETRIC, 0) in _RAW_PHOTOMETRICS
            or self.number(COMPRESSION, 1) in _RAW_COMPRESSIONS
        )

    def area(self) -> int:
        return self.number(_SIZE[0], 0) * self.number(_SIZE[1], 0)

    def __str__(self) -> str:
        samples = self.number(SAMPLES, 1)
        bits = self.tags.get(BITS, (1,))
        kind = _VALUES.get(self.number(SAMPLE_FORMAT, 1), "undefined ")
        text = f"a TIFF with {samples} channel{'s'[: samples != 1]} of {kind}{'/'.join(map(str, sorted(set(bits))))}"
        compression = self.number(COMPRESSION, 1)
        known = compression in TiffImagePlugin.COMPRESSION_INFO
        details = [
            _PHOTOMETRICS.get(self.number(PHOTOMETRIC, 1), ""),
            _COMPRESSIONS.get(compression, "" if known else f"compression {compression}"),
            "in separate planes" if samples > 1 and self.in_planes() else "",
            self.order,
        ]
        return f"{text} ({', '.join(filter(None, details))})" if any(details) else text


class Directories:
    """The directories of a file. Nothing but the numbers that are wanted is read, however large the rest is."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        self._head = stream.read(16)
        self._order = ">" if self._head[:2] == b"MM" else "<"
        self._big = b"+" in self._head[2:4]
        self.first = self._number(self._head[8:16] if self._big else self._head[4:8])

    def is_big_endian_bigtiff(self) -> bool:
        return self._big and self._order == ">"

    def is_raw(self) -> bool:
        """Whether it is of Canon (CR2) or Phase One (IIQ)."""
        return self._head[8:10] == b"CR" or (self._head[8:12] == b"IIII" and self._head[13:16] == b"waR")

    def header(self, first: int) -> bytes:
        """The header of a file whose first directory is at ``first``."""
        if self._big:
            return self._head[:8] + first.to_bytes(8, "little")
        return self._head[:4] + struct.pack(f"{self._order}I", first)

    def chain(self) -> Iterator[Page]:
        seen: set[int] = set()
        offset = self.first
        while offset and offset not in seen:
            seen.add(offset)
            page = self.read(offset)
            yield page
            offset = page.following

    def read(self, offset: int, wanted: frozenset[int] = KINDS) -> Page:
        """Read the directory at ``offset``, or what there is of it."""
        order, following, tags = "big-endian" if self._order == ">" else "", 0, {}
        count_bytes, entry = (8, 20) if self._big else (2, 12)
        count = min(self._number(self._bytes(offset, count_bytes)), 65535)
        entries = self._bytes(offset + count_bytes, count * entry)
        for start in range(0, len(entries) - entry + 1, entry):
            tag, kind = struct.unpack_from(f"{self._order}HH", entries, start)
            if tag in wanted and kind in _TYPES and tag not in tags:
                most = _MOST_PLACES if tag in _PLACES else _MOST_BYTES
                tags[tag] = self._values(_TYPES[kind], entries[start + 4 : start + entry], most)
        if len(entries) == count * entry:
            following = self._number(self._bytes(offset + count_bytes + len(entries), 8 if self._big else 4))
        return Page(offset, tags, following, order)

    def _values(self, code: str, entry: bytes, most: int) -> tuple[int, ...]:
        width = len(entry) // 2
        count = self._number(entry[:width])
        size = count * struct.calcsize(code)
        if size > most:
            return ()
        data = entry[width : width + size] if size <= width else self._bytes(self._number(entry[width:]), size)
        return struct.unpack(f"{self._order}{count}{code}", data) if len(data) == size else ()

    def _bytes(self, offset: int, size: int) -> bytes:
        if offset < 0 or size > self._size - offset:
            return b""
        self._stream.seek(offset)
        return self._stream.read(size)

    def _number(self, data: bytes) -> int:
        return int.from_bytes(data, "big" if self._order == ">" else "little")

    def holds(self, page: Page) -> bool:
        """Whether all data of a page lie in the file."""
        tags = self.read(page.offset, _PLACES).tags
        for places, sizes in zip(_OFFSETS, _COUNTS, strict=True):
            offsets = tags.get(places, ())
            if offsets:
                counts = tags.get(sizes) or (1,) * len(offsets)
                ends = [offset + size for offset, size in zip(offsets, counts, strict=False)]
                return len(counts) == len(offsets) and max(ends) <= self._size
        return False


class WithHeader(io.RawIOBase):
    """A file with another header."""

    def __init__(self, stream: IO[bytes], header: bytes) -> None:
        self._stream = stream
        self._header = header

    def read(self, size: int = -1) -> bytes:
        start = self._stream.tell()
        data = self._stream.read(size)
        return self._header[start : start + len(data)] + data[max(0, len(self._header) - start) :]

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(position, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def fileno(self) -> int:
        """Of the file itself: libtiff is told where the directory is."""
        return self._stream.fileno()
