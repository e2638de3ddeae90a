"""Pictures made on the spot, and the ICC profiles that Pillow cannot make."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

SRGB = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
D65 = (0.3127, 0.3290)
D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@pytest.fixture
def picture():
    """A smooth 40 x 56 RGB array that differs from each of its own flips and turns."""
    y, x = np.mgrid[0:40, 0:56]
    red, green, blue = 4 * x + 20, 5 * y + 30, 2 * x + 3 * y
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


@pytest.fixture
def noise():
    """A 40 x 56 RGB array with every level in it, for lossless formats."""
    return np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)


@pytest.fixture
def encode():
    def encode_image(image, kind, **options):
        image = image if isinstance(image, Image.Image) else Image.fromarray(image)
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    return encode_image


@pytest.fixture
def make_png():
    """Writes a PNG chunk by chunk: Pillow saves no 16-bit colour and no lies."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def make(width, height, depth, color, rows=b"", extra=()):
        header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
        body = b"".join(chunk(*item) for item in extra)
        return (
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", header)
            + body
            + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b"")
        )

    return make


@pytest.fixture
def make_tiff():
    """Writes a TIFF tag by tag: `tiff_page` tells what a page is made of."""

    def number(value, size, order):
        return value.to_bytes(size, "little" if order == "<" else "big")

    def directory(page, start, order, big):
        entries = dict(page["tags"])
        width, value = (8, 20) if big else (4, 12)
        data, body, places = start, b"", []
        for strip in page["strips"]:
            places.append(data + len(body))
            body += strip + b"\0" * (len(strip) % 2)
        if page["strips"]:
            entries[273], entries[279] = ("I", places), ("I", [len(strip) for strip in page["strips"]])
        subs = []
        for sub in page["subs"]:
            place, block = directory(sub, start + len(body), order, big)
            subs.append(place)
            body += block
        if subs:
            entries[330] = ("I", subs)
        place = start + len(body)
        count = number(len(entries), 8 if big else 2, order)
        after = place + len(count) + value * len(entries) + width
        table, outside = count, b""
        for tag, (code, values) in sorted(entries.items()):
            packed = values if isinstance(values, bytes) else struct.pack(f"{order}{len(values)}{code}", *values)
            kind = {"B": 1, "s": 2, "H": 3, "I": 4, "i": 9}[code]
            table += struct.pack(f"{order}HH", tag, kind) + number(len(values), width, order)
            if len(packed) > width:
                table += number(after + len(outside), width, order)
                outside += packed + b"\0" * (len(packed) % 2)
            else:
                table += packed.ljust(width, b"\0")
        return place, body + table + b"\0" * width + outside

    def make(*pages, order="<", big=False):
        width = 8 if big else 4
        head = (b"II" if order == "<" else b"MM") + number(43 if big else 42, 2, order)
        head += number(8, 2, order) + b"\0\0" if big else b""
        data, link = head + b"\0" * width, len(head)
        for page in pages:
            place, block = directory(page, len(data), order, big)
            data = data[:link] + number(place, width, order) + data[link + width :] + block
            link = place + (8 if big else 2) + (20 if big else 12) * number_of_entries(data, place, order, big)
        return data

    def number_of_entries(data, place, order, big):
        return int.from_bytes(data[place : place + (8 if big else 2)], "little" if order == "<" else "big")

    return make


@pytest.fixture
def tiff_page():
    """One page for `make_tiff`: ``(H, W)`` or ``(H, W, C)`` values as they are stored, and tags beside the usual."""

    def page(values, tags=(), subs=(), *, planes=False, rows=None, encode=bytes):
        height, width = values.shape[:2]
        channels = values[0, 0].size
        bands = [values[..., i] for i in range(channels)] if planes and channels > 1 else [values]
        rows = rows or height
        strips = [encode(band[i : i + rows].tobytes()) for band in bands for i in range(0, height, rows)]
        kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
        usual = {
            256: ("H", [width]),
            257: ("H", [height]),
            258: ("H", [values.dtype.itemsize * 8] * channels),
            259: ("H", [1]),
            262: ("H", [1 if channels < 3 else 2]),
            277: ("H", [channels]),
            278: ("H", [rows]),
            284: ("H", [2 if planes else 1]),
            339: ("H", [kind] * channels),
        }
        return {"tags": usual | dict(tags), "strips": strips, "subs": list(subs)}

    return page


@pytest.fixture
def primaries_to_xyz():
    """The matrix from linear RGB of given primaries, with a D65 white, to XYZ relative to D65."""

    def matrix(primaries):
        columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
        white = np.array([D65[0] / D65[1], 1, (1 - D65[0] - D65[1]) / D65[1]])
        return columns * np.linalg.solve(columns, white)

    return matrix


@pytest.fixture
def matrix_profile(primaries_to_xyz):
    """Makes an RGB profile from primaries and a curve, a gamma or ``"srgb"``, and with a name."""

    def make(primaries, curve, name=""):
        white = np.array([D65[0] / D65[1], 1, (1 - D65[0] - D65[1]) / D65[1]])
        cones = BRADFORD @ white, BRADFORD @ D50
        adapt = np.linalg.inv(BRADFORD) @ np.diag(cones[1] / cones[0]) @ BRADFORD
        columns = (adapt @ primaries_to_xyz(primaries)).T
        tags = {name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)}
        if name:
            tags[b"desc"] = struct.pack(">4s4xI", b"desc", len(name) + 1) + name.encode() + bytes(79)
        return _profile(b"mntr", b"RGB ", b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(curve)))

    return make


@pytest.fixture
def grey_profile():
    def make(gamma):
        return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": _curve(gamma)})

    return make


@pytest.fixture
def cmyk_profile():
    """A CMYK profile in which ``corners`` says what CIELAB colour each mix of full inks has; the rest is neutral."""

    def make(corners):
        nodes = np.indices((2, 2, 2, 2)).reshape(4, -1).T
        lab = [corners.get(tuple(node), (100 - 25 * sum(node), 0, 0)) for node in nodes.tolist()]
        table = b"".join(
            struct.pack(">3H", round(light * 652.8), round((a + 128) * 256), round((b + 128) * 256))
            for light, a, b in lab
        )
        identity = struct.pack(">2H", 0, 65535)
        lut = struct.pack(">4s4x4B", b"mft2", 4, 3, 2, 0)
        lut += struct.pack(">9i", *(np.eye(3).reshape(-1) * 65536).astype(int).tolist())
        lut += struct.pack(">2H", 2, 2) + identity * 4 + table + identity * 3
        return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": lut})

    return make


def _xyz(values):
    return struct.pack(">4s4x3i", b"XYZ ", *(round(float(v) * 65536) for v in values))


def _curve(curve):
    if curve == "srgb":
        level = np.linspace(0, 1, 4096)
        linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
        points = np.round(linear * 65535).astype(int).tolist()
    else:
        points = [round(curve * 256)]
    return struct.pack(f">4s4xI{len(points)}H", b"curv", len(points), *points)


def _profile(kind, space, connection, tags):
    tags = {b"wtpt": _xyz(D50), b"cprt": struct.pack(">4s4x4s", b"text", b"none"), **tags}
    offset = 132 + 12 * len(tags)
    index, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        index += struct.pack(">4sII", name, offset + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    head = struct.pack(">I4xI4s4s4s12x4s", offset + len(body), 0x02400000, kind, space, connection, b"acsp")
    head += b"\0" * (68 - len(head)) + struct.pack(">3i", *(round(float(v) * 65536) for v in D50))
    return head.ljust(128, b"\0") + index + body
