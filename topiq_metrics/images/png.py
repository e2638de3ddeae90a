"""PNG: only what the pixels need reaches the decoder, so that nothing else can have a picture refused."""

from __future__ import annotations

import io
import struct
import zlib
from typing import IO, Any

from PIL import Image, PngImagePlugin

_HEADER = struct.Struct(">I4s")
_ANCILLARY = 0x20
_MOST_BYTES = 16_000_000
# Fewest and most bytes of the chunks that tell how pixels are meant; all others are passed over unread. Without those
# of an animation, a decoder shows the picture that is there for decoders which know of none.
_NEEDED = {
    b"cHRM": (32, 32),
    b"eXIf": (8, _MOST_BYTES),
    b"gAMA": (4, 4),
    b"iCCP": (12, _MOST_BYTES),
    b"sRGB": (1, 1),
    b"tRNS": (1, 256),
}
_COLOR_KEY_BYTES = {b"\0": 2, b"\2": 6}
_TEXTS = (b"iTXt", b"tEXt", b"zTXt")
# Texts in which programs that know no eXIf put the orientation.
_ORIENTATION_TEXTS = (b"Raw profile type exif", b"XML:com.adobe.xmp")
_MOST_TEXT = 1_000_000


def open_png(stream: IO[bytes]) -> Image.Image:
    """Read the header of a PNG, passing over ancillary chunks that are damaged or that no decoder needs.

    Raises:
        OSError: if a chunk goes on beyond the end of the file, or, later, if pixels have another checksum.
        SyntaxError: if another critical chunk has; and whatever Pillow raises.
    """
    chunks = _Chunks(stream)
    # A file of ours rather than a subclass of Pillow's reader, whose handlers of chunks are private.
    image = PngImagePlugin.PngImageFile(chunks, "")  # type: ignore[arg-type]
    if chunks.has_profile:
        # None if it cannot be read, as Pillow has it.
        image.info["icc_profile"] = chunks.profile
    image.info.update(chunks.texts)
    # Those behind the pixels are still to come.
    chunks.texts = image.info
    return image


class _Chunks:
    """A PNG without the chunks that are not needed; positions are those in the file, ``source``."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.has_profile = False
        self.profile: bytes | None = None
        self.texts: dict[Any, Any] = {}
        self.source = stream
        self._size = stream.seek(0, io.SEEK_END)
        self._color = b""
        self._kind = b""
        self._start, self._end = 0, 8
        self._sum = 0
        stream.seek(0)

    def tell(self) -> int:
        return self.source.tell()

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the current chunk: Pillow goes nowhere else."""
        return self.source.seek(position, whence)

    def read(self, size: int = -1) -> bytes:
        if self.source.tell() == self._end:
            self._pass_over()
        start = self.source.tell()
        data = self.source.read(size)
        if self._kind == b"IDAT":
            self._check(start, data)
        return data

    def _check(self, start: int, data: bytes) -> None:
        """Follow the checksum of pixels, which Pillow does not look at."""
        if start < self._end - 4:
            # The length, which comes first, is no part of it.
            self._sum = zlib.crc32(data[4:] if start == self._start else data, self._sum)
        elif len(data) == 4 and int.from_bytes(data, "big") != self._sum:
            raise OSError("wrong checksum of IDAT")

    def _pass_over(self) -> None:
        """Go to the next chunk that is needed."""
        needed = False
        while not needed:
            self._start, self._kind = self.source.tell(), b""
            header = self.source.read(8)
            if not header[4:].isalpha() or len(header) < 8:
                break
            length, self._kind = _HEADER.unpack(header)
            self._end = self._start + 12 + length
            self._sum = 0
            if self._end > self._size and self._kind[0] & _ANCILLARY:
                raise OSError(f"{self._kind.decode()} goes on beyond the end of the file")
            needed = self._is_needed(length)
            if not needed:
                self.source.seek(self._end)
        self.source.seek(self._start)

    def _is_needed(self, length: int) -> bool:
        if self._kind == b"IHDR":
            self._color = self.source.read(10)[9:]
        if not self._kind[0] & _ANCILLARY:
            return True
        if self._kind in _TEXTS:
            self._note_text(length)
            return False
        fewest, most = _NEEDED.get(self._kind, (1, 0))
        if self._kind == b"tRNS":
            fewest = _COLOR_KEY_BYTES.get(self._color, fewest)
        content = self._content(length) if fewest <= length <= most else None
        if self._kind == b"iCCP":
            self.has_profile = True
            self.profile = self.profile or (None if content is None else _profile(content))
            return False
        return content is not None

    def _note_text(self, length: int) -> None:
        keyword = self.source.read(min(length, 32)).partition(b"\0")[0]
        if keyword in _ORIENTATION_TEXTS and length <= _MOST_TEXT:
            self.source.seek(self._start + 8)
            content = self._content(length)
            text = None if content is None else _text(self._kind, content)
            if text is not None:
                self.texts[keyword.decode("ascii")] = text.decode("utf-8", "replace")

    def _content(self, length: int) -> bytes | None:
        """The content of the current chunk; None if it has another checksum."""
        content = self.source.read(length)
        return content if self.source.read(4) == zlib.crc32(self._kind + content).to_bytes(4, "big") else None


def _profile(content: bytes) -> bytes | None:
    """The ICC profile in a chunk; None if it is damaged, or of more than 16 MB, which a JPEG cannot hold either."""
    compressed = content.partition(b"\0")[2]
    return _inflate(compressed[1:], _MOST_BYTES) if compressed[:1] == b"\0" else None


def _text(kind: bytes, content: bytes) -> bytes | None:
    text = content.partition(b"\0")[2]
    if kind == b"tEXt":
        return text
    if kind == b"zTXt":
        return _inflate(text[1:], _MOST_TEXT)
    flag = text[:1]
    text = text[2:].partition(b"\0")[2].partition(b"\0")[2]
    return _inflate(text, _MOST_TEXT) if flag == b"\1" else text


def _inflate(compressed: bytes, most: int) -> bytes | None:
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(compressed, most)
    except zlib.error:
        return None
    return None if inflater.unconsumed_tail else data
