"""Decoding to fewer pixels than a file has."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from topiq_metrics import SizePolicy, load_image
from topiq_metrics.errors import TruncatedImageError
from topiq_metrics.images.files import decode_stream
from topiq_metrics.images.jpeg2000 import droppable_levels
from topiq_metrics.images.reduced import Reduction, parse_decode
from topiq_metrics.scoring.decoded import Request
from topiq_metrics.scoring.decoders import decode_encoded

WHOLE = (("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("BMP", {}), ("GIF", {}), ("AVIF", {}))


def scene(width, height):
    """A smooth picture, of which every way to shrink makes about the same."""
    y, x = np.mgrid[0:height, 0:width] / 60
    planes = [np.sin(x + 2 * y), np.sin(2 * x - y), np.cos(x * y / 3)]
    return Image.fromarray((np.stack(planes, -1) * 100 + 128).astype(np.uint8))


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def decoded(data, least=None):
    return decode_stream(io.BytesIO(data), "a", None, least_size=None if least is None else lambda *_: least)


@pytest.mark.parametrize(
    ("size", "least", "factor"),
    [
        ((800, 640), (160, 200), 4),
        ((800, 640), (161, 200), 2),
        ((800, 640), (80, 100), 8),
        ((800, 640), (20, 20), 8),
        ((1023, 771), (300, 300), 2),
        ((1025, 772), (300, 300), 2),
        ((800, 640), (320, 400), 2),
        ((801, 641), (320, 401), 1),
        ((800, 640), None, 1),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000"])
def test_factors(kind, size, least, factor):
    image = scene(*size)
    data = encoded(image, kind, **({"quality": 95} if kind == "JPEG" else {}))
    pixels = decode_stream(io.BytesIO(data), "a", None, least_size=lambda height, width: least)
    values = np.asarray(pixels.values)
    if factor == 1:
        assert pixels.reduction is None
        assert values.shape[:2] == image.size[::-1]
        return
    assert pixels.reduction == Reduction(size[1], size[0], kind, factor)
    assert values.shape[:2] == tuple(-(-side // factor) for side in size[::-1])
    # Wavelets of the finest levels leave out every other pixel, a cosine transform the means of blocks.
    means = image.resize(values.shape[1::-1], Image.Resampling.BOX)
    expected = np.asarray(means if kind == "JPEG" else image, np.float32)
    step = 1 if kind == "JPEG" else factor
    assert np.abs(values - expected[::step, ::step]).mean() < 3


@pytest.mark.parametrize(("kind", "options"), WHOLE)
def test_other_codecs_give_all_pixels(kind, options):
    data = encoded(scene(640, 480), kind, **options)
    pixels = decoded(data, (64, 64))
    assert pixels.reduction is None
    np.testing.assert_array_equal(np.asarray(pixels.values), np.asarray(decoded(data).values))


def test_jpeg_2000_of_odd_sizes():
    """Pillow takes 256 for a quarter of 1025, and OpenJPEG 257: no error may come of it."""
    data = encoded(scene(1025, 1025), "JPEG2000")
    pixels = decoded(data, (100, 100))
    assert pixels.reduction == Reduction(1025, 1025, "JPEG2000", 2)
    assert pixels.values.shape == (513, 513, 3)


def test_jpeg_2000_of_few_levels():
    data = encoded(scene(1024, 768), "JPEG2000", num_resolutions=1)
    pixels = decoded(data, (100, 100))
    assert pixels.reduction is None
    np.testing.assert_array_equal(np.asarray(pixels.values), np.asarray(decoded(data).values))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_jpeg_2000_that_begins_beside_its_grid(mode):
    """Pillow takes a row and a column more than OpenJPEG gives, and leaves them black."""
    data = encoded(scene(801, 1203).convert(mode), "JPEG2000", offset=(1, 1), tile_size=(128, 128))
    pixels = decoded(data, (100, 100))
    assert pixels.reduction is None
    np.testing.assert_array_equal(np.asarray(pixels.values), np.asarray(decoded(data).values))


def test_jpeg_2000_with_a_palette():
    """A mean of two numbers of colours is the number of another one."""
    # A grey one to which a table of colours is added, and sRGB in the place of grey.
    data = encoded(scene(640, 480).convert("L"), "JPEG2000")
    colors = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8).tobytes()
    palette = b"\1\0\3" + b"\7" * 3 + colors
    mapping = b"".join(b"\0\0\1" + bytes([channel]) for channel in range(3))
    boxes = b"".join(
        (len(content) + 8).to_bytes(4, "big") + kind + content
        for kind, content in ((b"pclr", palette), (b"cmap", mapping))
    )
    at = data.index(b"jp2h") - 4
    size = int.from_bytes(data[at : at + 4], "big")
    header = (size + len(boxes)).to_bytes(4, "big") + data[at + 4 : at + size].replace(
        b"\1\0\0\0\0\0\x11", b"\1\0\0\0\0\0\x10"
    )
    data = data[:at] + header + boxes + data[at + size :]
    pixels = decoded(data, (100, 100))
    assert pixels.values.shape == (480, 640, 3)
    assert pixels.reduction is None


@pytest.mark.parametrize("levels", [0, 1, 2])
@pytest.mark.parametrize("options", [{}, {"no_jp2": True}, {"irreversible": True}])
def test_levels_of_jpeg_2000(levels, options):
    data = encoded(scene(640, 480), "JPEG2000", num_resolutions=levels + 1, **options)
    assert droppable_levels(io.BytesIO(data)) == levels
    pixels = decoded(data, (10, 10))
    assert (1 if pixels.reduction is None else pixels.reduction.factor) == 2**levels
    assert pixels.values.shape == (480 >> levels, 640 >> levels, 3)


def test_no_jpeg_2000():
    stream = io.BytesIO(b"something else")
    stream.seek(3)
    assert droppable_levels(stream) == 0
    assert stream.tell() == 3
    assert droppable_levels(io.BytesIO(b"\xff\x4f\xff\x51")) == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation):
    image = scene(640, 400)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(image, "JPEG", quality=95, exif=exif)
    pixels = decoded(data, (100, 160))
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert pixels.reduction == Reduction(upright.height, upright.width, "JPEG", 4)
    values = np.asarray(pixels.values)
    expected = np.asarray(upright.resize(values.shape[1::-1], Image.Resampling.BOX), np.float32)
    assert np.abs(values - expected).mean() < 3


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_modes(mode):
    data = encoded(scene(800, 600).convert(mode), "JPEG", quality=95)
    pixels, whole = decoded(data, (150, 200)), np.asarray(decoded(data).values)
    assert pixels.reduction == Reduction(600, 800, "JPEG", 4)
    values = np.asarray(pixels.values)
    assert values.ndim == whole.ndim
    expected = np.asarray(Image.fromarray(whole).resize((200, 150), Image.Resampling.BOX), np.float32)
    assert np.abs(values - expected).mean() < 3


@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000"])
def test_damaged_files_fail_as_they_do_as_a_whole(kind):
    data = encoded(scene(800, 600), kind)
    for part in (data[: len(data) // 2], data[:200]):
        with pytest.raises(TruncatedImageError) as whole:
            decoded(part)
        with pytest.raises(TruncatedImageError) as reduced:
            decoded(part, (75, 100))
        assert reduced.value.problem.partition(" (")[0] == whole.value.problem.partition(" (")[0]


@pytest.mark.parametrize("size", ["max_side=64", "native"])
def test_pillows_limit_for_files_is_not_applied_to_strips(size, monkeypatch):
    data = encoded(scene(300, 200), "JPEG")
    request = Request(None, sizes=(SizePolicy.parse(size),))
    expected = decode_encoded(data, "a", request, lambda *_: None)
    rgb = load_image(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    found = decode_encoded(data, "a", request, lambda *_: None)
    for policy, small in expected.small.items():
        np.testing.assert_array_equal(found.small[policy], small)
    np.testing.assert_array_equal(load_image(data), rgb)


def test_names_of_ways_to_decode():
    assert parse_decode("fast") == "fast"
    with pytest.raises(ValueError, match="Argument `decode` must be 'exact' or 'fast', but got 'quick'"):
        parse_decode("quick")
