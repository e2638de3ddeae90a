"""Good files of kinds that are not read: what they are, so that nobody takes them for damaged."""

from __future__ import annotations

import zlib
from typing import IO

from topiq_metrics.images.jpeg import segments
from topiq_metrics.images.jpeg2000 import components, main_header

_RAW_SIGNATURES = (
    b"IIRO",
    b"IIRS",
    b"MMOR",
    b"IIU\0",
    b"FUJIFILMCCD-RAW",
    b"\0MRM",
    b"FOVb",
    b"II\x1a\0\0\0HEAPCCDR",
)
_SIGNATURES = {
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"II\xbc\x01": "JPEG XR",
    b"8BPS": "Photoshop's PSD",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"#?RGBE": "Radiance HDR",
    b"DDS ": "DDS",
    b"SDPX": "DPX",
    b"XPDS": "DPX",
    b"BPG\xfb": "BPG",
    b"P7\n": "PAM",
    b"PF\n": "PFM in colour",
    b"gimp xcf": "GIMP's XCF",
    b"SIMPLE  =": "FITS",
}
_JPEG_FRAMES = {
    0xC3: "a lossless JPEG",
    0xC5: "a hierarchical JPEG",
    0xC6: "a hierarchical JPEG",
    0xC7: "a hierarchical JPEG",
    0xCB: "a lossless JPEG with arithmetic coding",
    0xCD: "a hierarchical JPEG",
    0xCE: "a hierarchical JPEG",
    0xCF: "a hierarchical JPEG",
    0xF7: "JPEG-LS",
}
_JPEG_TABLES = frozenset([0xC4, 0xC8, 0xCC])
_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_AVIF_WORDS = ("No codec available", "Not implemented", "Unsupported")


def is_raw(header: bytes) -> bool:
    """Whether a file that begins with ``header`` is a camera's raw file, and no TIFF."""
    return header.startswith(_RAW_SIGNATURES) or header[4:12] == b"ftypcrx "


def other_format(header: bytes) -> str | None:
    """The name of a format of images that is not read; None where the first bytes tell of none."""
    return next((name for signature, name in _SIGNATURES.items() if header.startswith(signature)), None)


def unread_kind(kind: str, stream: IO[bytes], error: Exception) -> str | None:
    """What a file is that Pillow has refused for its kind; None where it may be damaged.

    Args:
        kind: the format, as `topiq_metrics.images.decoding.sniff` calls it.
        stream: the file, seekable.
        error: what Pillow has raised.
    """
    text = str(error)
    if text.startswith("decoder ") and text.endswith(" not available"):
        return f"{kind} for which the installed Pillow was built without a decoder"
    if "unknown raw mode" in text:
        return f"{kind} with pixels stored in a way that Pillow does not know"
    if kind == "JPEG":
        return _jpeg(stream)
    if kind == "PNG":
        return _png(stream)
    if kind == "JPEG 2000":
        return _jpeg_2000(stream)
    if kind == "BMP" and text.startswith("Unsupported BMP"):
        return text.replace("Unsupported BMP", "a BMP of an unusual", 1)
    if (kind == "AVIF" and any(word in text for word in _AVIF_WORDS)) or (
        kind == "HEIF" and isinstance(error, SyntaxError)
    ):
        return f"{kind} of a kind that its decoder does not read ({text})"
    return None


def _jpeg(stream: IO[bytes]) -> str | None:
    for marker, content in segments(stream):
        if (0xC0 <= marker <= 0xCF and marker not in _JPEG_TABLES) or marker in _JPEG_FRAMES:
            if len(content) < 6:
                return None
            bits, height, channels = content[0], int.from_bytes(content[1:3], "big"), content[5]
            if marker in _JPEG_FRAMES:
                return f"{_JPEG_FRAMES[marker]} of {bits} bits"
            if bits != 8:
                return f"a JPEG of {bits} bits"
            if channels not in (1, 3, 4):
                return f"a JPEG with {channels} channels"
            return None if height else "a JPEG that tells its height only behind its pixels"
    return None


def _png(stream: IO[bytes]) -> str | None:
    stream.seek(8)
    chunk = stream.read(25)
    if chunk[4:8] == b"CgBI":
        return "a PNG as Apple's tools write it for apps (CgBI)"
    whole = chunk[:8] == b"\0\0\0\x0dIHDR" and zlib.crc32(chunk[4:21]).to_bytes(4, "big") == chunk[21:]
    if not whole:
        return None
    depth, color, compression, filters, interlace = chunk[16:21]
    if depth in _PNG_DEPTHS.get(color, ()) and not compression and not filters and interlace < 2:
        return None
    return f"a PNG of depth {depth}, colour type {color}, compression {compression}, filter {filters}"


def _jpeg_2000(stream: IO[bytes]) -> str | None:
    channels = components(main_header(stream))
    return f"JPEG 2000 with {channels} channels" if channels > 4 else None
