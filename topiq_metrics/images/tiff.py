"""TIFF: which of its pages is the picture, which files are a camera's raw ones, and what Pillow would misread."""

from __future__ import annotations

import functools
import io
import itertools
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from PIL import Image, TiffImagePlugin

from topiq_metrics.errors import CameraRawError, UnsupportedImageError

_SUBFILE, _OLD_SUBFILE = 254, 255
_BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 258, 259, 262, 266
_SAMPLES, _PLANES, _SAMPLE_FORMAT = 277, 284, 339
_SIZE = (256, 257)
_OFFSETS, _COUNTS = (273, 324, 513), (279, 325, 514)
_SUB_DIRECTORIES = 330
_DNG_VERSION = 50706
_PLACES = frozenset([*_OFFSETS, *_COUNTS])
_KINDS = frozenset(
    [_SUBFILE, _OLD_SUBFILE, *_SIZE, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _SAMPLES, _PLANES]
    + [_SAMPLE_FORMAT, _SUB_DIRECTORIES, _DNG_VERSION]
)
_TYPES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}

_MOST_PAGES = 100
_MOST_SUB_DIRECTORIES = 16
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
_ZERO_IS_WHITE, _YCBCR, _CIELAB = 0, 6, 8
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
# What libtiff may have been built without, by Pillow's names.
_OPTIONAL_CODECS = {34925: "lzma", 50000: "zstd", 50001: "webp"}


def open_tiff(stream: IO[bytes], name: str) -> Image.Image:
    """Read the header of the picture in a TIFF: its first page that is neither a reduced one nor a mask.

    Args:
        stream: seekable.
        name: what to call the file in errors.

    Raises:
        CameraRawError: if it is a camera's raw file.
        UnsupportedImageError: if the file is whole, but has no picture, or one that Pillow refuses or misreads.
        Exception: whatever Pillow raises on damaged files.
    """
    file = _Directories(stream)
    page = _picture(file, name)
    cause = file.unread or _misread(page) or _without_codec(page)
    if cause and file.holds(page):
        raise UnsupportedImageError(f"{name}: {page} is not read: {cause}.")
    source = stream if page.offset == file.first else _From(stream, file.header(page.offset))
    source.seek(0)
    try:
        image = (_ByLibtiff if _misread_uncompressed(page) else TiffImagePlugin.TiffImageFile)(source, "")
    except (SyntaxError, OSError) as error:
        if file.holds(page):
            raise UnsupportedImageError(f"{name}: {page} is not read.") from error
        raise
    _check_decoder(image, page, name)
    return image


def refuse_misread(image: Image.Image, name: str) -> None:
    """Refuse what a PIL image that Pillow has opened from a TIFF may show in the place of the picture.

    Raises:
        CameraRawError: if it is the thumbnail of a camera's raw file.
        UnsupportedImageError: if Pillow misreads its kind.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    tags = {tag: image.tag_v2.get(tag) for tag in _KINDS if tag in image.tag_v2}
    page = _Page(0, {tag: tuple(v) if isinstance(v, (tuple, bytes)) else (v,) for tag, v in tags.items()}, 0, "")
    if page.is_raw():
        raise _raw(name)
    cause = _misread(page)
    if cause is None and page.is_preview() and not image.tell():
        cause = "it is a reduced image; seek the page of full resolution"
    if cause is None and _misread_uncompressed(page):
        cause = "Pillow misreads it; pass the file itself"
    if cause:
        raise UnsupportedImageError(f"{name}: {page} is not read: {cause}.")
    if image.tile:
        _check_decoder(image, page, name)


def zero_is_white(image: Image.Image) -> bool:
    """Whether 0 is white in a TIFF, for the kinds of pixels that Pillow leaves as they are: over 8 bits and floats."""
    tags: Any = getattr(image, "tag_v2", {})
    return bool(tags.get(_PHOTOMETRIC) == _ZERO_IS_WHITE)


@dataclass(frozen=True)
class _Page:
    """The numbers in one directory, with the names of the tags left out.

    Attributes:
        offset: where it is in the file.
        tags: those of `_KINDS` that it has.
        following: where the next one is, or 0.
        order: ``"big-endian"`` or nothing.
    """

    offset: int
    tags: Mapping[int, tuple[int, ...]]
    following: int
    order: str

    def number(self, tag: int, default: int) -> int:
        return (self.tags.get(tag) or (default,))[0]

    def is_preview(self) -> bool:
        """Whether it is a reduced picture (or a mask) of another."""
        return bool(self.number(_SUBFILE, 0) & 0b101) or self.number(_OLD_SUBFILE, 0) == 2

    def is_raw(self) -> bool:
        """Whether it is as only cameras write it."""
        return (
            _DNG_VERSION in self.tags
            or self.number(_PHOTOMETRIC, 0) in _RAW_PHOTOMETRICS
            or self.number(_COMPRESSION, 1) in _RAW_COMPRESSIONS
        )

    def area(self) -> int:
        return self.number(_SIZE[0], 0) * self.number(_SIZE[1], 0)

    def __str__(self) -> str:
        samples = self.number(_SAMPLES, 1)
        bits = self.tags.get(_BITS, (1,))
        kind = _VALUES.get(self.number(_SAMPLE_FORMAT, 1), "undefined ")
        text = f"a TIFF with {samples} channel{'s'[: samples != 1]} of {kind}{'/'.join(map(str, sorted(set(bits))))}"
        compression = self.number(_COMPRESSION, 1)
        known = compression in TiffImagePlugin.COMPRESSION_INFO
        details = [
            _PHOTOMETRICS.get(self.number(_PHOTOMETRIC, 1), ""),
            _COMPRESSIONS.get(compression, "" if known else f"compression {compression}"),
            "in separate planes" if samples > 1 and self.number(_PLANES, 1) == 2 else "",
            self.order,
        ]
        return f"{text} ({', '.join(filter(None, details))})" if any(details) else text


class _Directories:
    """The directories of a file. Nothing but the numbers that are wanted is read, however large the rest is."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        self._head = stream.read(16)
        self._order = ">" if self._head[:2] == b"MM" else "<"
        self._big = b"+" in self._head[2:4]
        self.first = self._number(self._head[8:16] if self._big else self._head[4:8])
        self.unread = "Pillow takes BigTIFF in little-endian order only" if self._head[:4] == b"MM\0+" else ""

    def raw_by_signature(self) -> bool:
        """Whether it is of Canon (CR2) or Phase One (IIQ)."""
        return self._head[8:10] == b"CR" or (self._head[8:12] == b"IIII" and self._head[13:16] == b"waR")

    def header(self, first: int) -> bytes:
        """The header of a file whose first directory is at ``first``."""
        if self._big:
            return self._head[:8] + first.to_bytes(8, "little")
        return self._head[:4] + struct.pack(f"{self._order}I", first)

    def chain(self) -> Iterator[_Page]:
        seen: set[int] = set()
        offset = self.first
        while offset and offset not in seen:
            seen.add(offset)
            page = self.read(offset)
            yield page
            offset = page.following

    def read(self, offset: int, wanted: frozenset[int] = _KINDS) -> _Page:
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
        return _Page(offset, tags, following, order)

    def _values(self, code: str, entry: bytes, most: int) -> tuple[int, ...]:
        width = len(entry) // 2
        count = self._number(entry[:width])
        size = count * struct.calcsize(code)
        if size > most:
            return ()
        data = entry[width : width + size] if size <= width else self._bytes(self._number(entry[width:]), size)
        return struct.unpack(f"{self._order}{count}{code}", data) if len(data) == size else ()

    def _bytes(self, offset: int, size: int) -> bytes:
        if size > self._size - offset:
            return b""
        self._stream.seek(offset)
        return self._stream.read(size)

    def _number(self, data: bytes) -> int:
        return int.from_bytes(data, "big" if self._order == ">" else "little")

    def holds(self, page: _Page) -> bool:
        """Whether all data of a page lie in the file."""
        tags = self.read(page.offset, _PLACES).tags
        for places, sizes in zip(_OFFSETS, _COUNTS, strict=True):
            offsets = tags.get(places, ())
            if offsets:
                counts = tags.get(sizes) or (1,) * len(offsets)
                ends = [offset + size for offset, size in zip(offsets, counts, strict=False)]
                return len(counts) == len(offsets) and max(ends) <= self._size
        return False


class _From(io.RawIOBase):
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


class _ByLibtiff(TiffImagePlugin.TiffImageFile):
    """Has libtiff decode what is not compressed, too."""

    def _setup(self) -> None:
        # Whatever is not "raw" goes to libtiff, which reads from the file itself how it is compressed.
        self.tag_v2[_COMPRESSION] = 32771
        super()._setup()


def _picture(file: _Directories, name: str) -> _Page:
    pages: list[_Page] = []
    for page in itertools.islice(file.chain(), _MOST_PAGES):
        pages.append(page)
        if page.is_raw() or file.raw_by_signature():
            raise _raw(name)
        if not page.is_preview():
            within = page.tags.get(_SUB_DIRECTORIES, ())[:_MOST_SUB_DIRECTORIES]
            for other in map(file.read, within):
                if other.is_raw() or (other.area() > page.area() and not other.is_preview()):
                    raise _raw(name)
            return page
    if any(_SUB_DIRECTORIES in page.tags for page in pages):
        raise _raw(name)
    if pages:
        raise UnsupportedImageError(f"{name}: a TIFF with reduced images only: previews or masks of another file.")
    return _Page(file.first, {}, 0, "")


def _raw(name: str) -> CameraRawError:
    return CameraRawError(f"{name}: is a camera's raw file: develop it first.")


def _misread(page: _Page) -> str | None:
    """Why Pillow would show another picture than the file holds, however it is compressed."""
    if page.number(_SAMPLE_FORMAT, 1) == 2 and page.number(_BITS, 1) <= 16:
        return "values below 0 have no known scale"
    if page.number(_PHOTOMETRIC, 1) == _CIELAB and page.number(_PLANES, 1) == 2:
        return "Pillow takes CIELAB in one plane only"
    return None


def _misread_uncompressed(page: _Page) -> bool:
    """Whether Pillow's own decoder misreads it: colours at half resolution, and planes but for the plainest."""
    if page.number(_COMPRESSION, 1) != 1:
        return False
    plain = page.number(_BITS, 1) == 8 and page.number(_FILL_ORDER, 1) == 1 and page.number(_PHOTOMETRIC, 0) != 0
    return page.number(_PHOTOMETRIC, 0) == _YCBCR or (page.number(_PLANES, 1) == 2 and not plain)


def _without_codec(page: _Page) -> str | None:
    codec = _OPTIONAL_CODECS.get(page.number(_COMPRESSION, 1))
    return None if codec is None or _has_codec(codec) else "the installed Pillow was built without its codec"


@functools.lru_cache
def _has_codec(codec: str) -> bool:
    try:
        Image.new("RGB", (16, 16)).save(io.BytesIO(), "TIFF", compression=codec)
    except (OSError, ValueError):
        return False
    return True


def _check_decoder(image: Image.Image, page: _Page, name: str) -> None:
    codec, _, _, arguments = image.tile[0] if image.tile else ("", None, 0, ("",))  # type: ignore[attr-defined]
    if isinstance(image, _ByLibtiff) and codec != "libtiff":
        raise UnsupportedImageError(f"{name}: {page} is not read: Pillow misreads it.")
    if codec == "libtiff" and arguments[0].endswith(("BF", "BS")) and sys.byteorder == "little":
        # libtiff has put the bytes in order already, and Pillow would do it once more.
        raise UnsupportedImageError(f"{name}: {page} is not read: Pillow takes it uncompressed only.")
