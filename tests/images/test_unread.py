"""Whole files of kinds that are not read: their own reason, with what they are; damaged ones stay damaged."""

import io
import struct
import zlib

import pytest
from PIL import Image

from topiq_metrics.errors import TruncatedImageError, UnsupportedImageError
from topiq_metrics.images import load_image


def refused(data, words):
    with pytest.raises(UnsupportedImageError, match=words) as caught:
        load_image(data)
    assert caught.value.reason == "unsupported"


def bitmap(bits, compression, size=40, masks=b""):
    data = bytes(4000)
    start = 14 + size + len(masks)
    header = struct.pack("<IiiHHIIiiII", size, 20, 10, 1, bits, compression, len(data), 0, 0, 0, 0)[:size]
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header.ljust(size, b"\0") + masks + data


def test_a_pillow_image_that_its_decoder_refuses(picture, encode, monkeypatch):
    data = encode(picture, "PNG")
    with Image.open(io.BytesIO(data)) as image:

        def fail():
            raise OSError("decoder zip not available")

        monkeypatch.setattr(image, "load_prepare", fail)
        refused(image, "PNG for which the installed Pillow was built without a decoder is not supported")


class TestBitmaps:
    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (bitmap(64, 0), r"a BMP of an unusual pixel depth \(64\)"),
            (bitmap(2, 0), r"a BMP of an unusual pixel depth \(2\)"),
            (bitmap(0, 4), r"a BMP of an unusual pixel depth \(0\)"),
            (bitmap(24, 4, 64), r"a BMP of an unusual compression \(4\)"),
            (bitmap(32, 3, masks=struct.pack("<3I", 0x3FF00000, 0xFFC00, 0x3FF)), "a BMP of an unusual bitfields"),
            (bitmap(24, 0, 16), r"a BMP of an unusual header type \(16\)"),
        ],
        ids=["64 bits", "2 bits", "JPEG inside", "RLE24", "10 bits", "OS/2"],
    )
    def test_unread(self, data, words):
        refused(data, words)

    def test_damaged(self):
        for end in (30, 500):
            with pytest.raises(TruncatedImageError):
                load_image(bitmap(24, 0)[:end])


class TestJPEG:
    @pytest.fixture
    def changed(self, picture, encode):
        """Changes the frame header of a JPEG."""

        def change(place, value, marker=b"\xff\xc0"):
            data = bytearray(encode(picture, "JPEG"))
            at = data.index(b"\xff\xc0")
            data[at : at + 2] = marker
            data[at + place : at + place + len(value)] = value
            return bytes(data)

        return change

    def test_unread(self, changed):
        refused(changed(4, b"\x0c"), "a JPEG of 12 bits is not supported")
        refused(changed(9, b"\2"), "a JPEG with 2 channels is not supported")
        refused(changed(5, b"\0\0"), "a JPEG that tells its height only behind its pixels")
        refused(changed(4, b"\x08", b"\xff\xc5"), "a hierarchical JPEG of 8 bits is not supported")
        refused(changed(4, b"\x10", b"\xff\xc3"), "a lossless JPEG of 16 bits is not supported")
        refused(changed(4, b"\x08", b"\xff\xf7"), "JPEG-LS of 8 bits is not supported")

    def test_damaged(self, changed):
        data = changed(4, b"\x0c")
        with pytest.raises(TruncatedImageError):
            load_image(data[: data.index(b"\xff\xc0")])


class TestPNG:
    @pytest.mark.parametrize(
        ("depth", "color", "method"), [(3, 2, b"\0\0\0"), (16, 3, b"\0\0\0"), (8, 2, b"\0\x40\0"), (8, 5, b"\0\0\0")]
    )
    def test_unread_header(self, depth, color, method, make_png):
        data = make_png(40, 40, depth, color, bytes(50_000))
        header = data[16:26] + method
        whole = data[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + data[33:]
        refused(
            whole, f"a PNG of depth {depth}, colour type {color}, compression 0, filter {method[1]} is not supported"
        )
        with pytest.raises(TruncatedImageError):
            load_image(data[:16] + header + b"\0\0\0\0" + data[33:])

    def test_of_an_app(self, make_png):
        data = make_png(8, 8, 8, 6, bytes(33 * 8))
        packer = zlib.compressobj(wbits=-15)
        packed = packer.compress(bytes(33 * 8)) + packer.flush()
        start = data.index(b"IDAT") - 4
        pixels = b"IDAT" + packed
        app = b"\0\0\0\4CgBI" + bytes(4) + struct.pack(">I", zlib.crc32(b"CgBI" + bytes(4)))
        body = struct.pack(">I", len(packed)) + pixels + struct.pack(">I", zlib.crc32(pixels)) + data[-12:]
        refused(data[:8] + app + data[8:start] + body, "a PNG as Apple's tools write it for apps")


def test_jpeg_2000_of_five_channels(picture, encode):
    data = bytearray(encode(picture, "JPEG2000", no_jp2=True))
    data[40:42] = b"\0\5"
    refused(data, "JPEG 2000 with 5 channels is not supported")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (b"\xff\x0a\xfa\x7f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"II\xbc\x01\x08\0\0\0", "JPEG XR"),
        (b"8BPS\0\1", "Photoshop's PSD"),
        (b"v/1\x01\2\0\0\0", "OpenEXR"),
        (b"#?RADIANCE\n", "Radiance HDR"),
        (b"PF\n8 8\n-1.0\n", "PFM in colour"),
        (b"P7\nWIDTH 8\n", "PAM"),
        (b"DDS |\0\0\0", "DDS"),
    ],
)
def test_other_formats(header, name):
    refused(header.ljust(300, b"\0"), f"is {name}, which is not supported")
