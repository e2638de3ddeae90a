"""TIFF: which page is the picture, a camera's raw files, and kinds that Pillow misreads or refuses."""

import io
import struct
import zlib

import numpy as np
import PIL
import pytest
from PIL import Image

from topiq_metrics.errors import CameraRawError, ImageTooLargeError, TruncatedImageError, UnsupportedImageError
from topiq_metrics.images import load_image

PREVIEW = {254: ("I", [1])}
DNG = {50706: ("B", b"\1\4\0\0")}
SENSOR = {262: ("H", [32803])}
WHITE = {262: ("H", [0])}
DEFLATE = {259: ("H", [8])}
REVERSED = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))


def pixels(source):
    return load_image(source).permute(1, 2, 0).numpy()


def unit(array):
    return np.asarray(array, dtype=np.float32) / np.float32(255)


def opened(data):
    return Image.open(io.BytesIO(data))


@pytest.fixture
def thumbnail(picture):
    return np.ascontiguousarray(255 - picture[::4, ::4])


class TestPages:
    @pytest.mark.parametrize(
        "first",
        [{254: ("I", [1])}, {254: ("I", [3])}, {254: ("I", [4])}, {255: ("H", [2])}],
        ids=["reduced", "reduced page", "mask", "old tag"],
    )
    @pytest.mark.parametrize("compressed", [False, True])
    @pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
    def test_reduced_pages_are_passed_over(
        self, first, compressed, order, big, make_tiff, tiff_page, picture, thumbnail, tmp_path
    ):
        options = {"tags": DEFLATE, "encode": zlib.compress} if compressed else {}
        data = make_tiff(tiff_page(thumbnail, first), tiff_page(picture, **options), order=order, big=big)
        np.testing.assert_array_equal(pixels(data), unit(picture))
        (tmp_path / "a.tif").write_bytes(data)
        np.testing.assert_array_equal(pixels(tmp_path / "a.tif"), unit(picture))

    def test_several_previews(self, make_tiff, tiff_page, picture, thumbnail):
        previews = [tiff_page(thumbnail, PREVIEW)] * 3
        np.testing.assert_array_equal(pixels(make_tiff(*previews, tiff_page(picture))), unit(picture))

    def test_previews_behind_and_within(self, make_tiff, tiff_page, picture, thumbnail):
        pyramid = tiff_page(picture, subs=[tiff_page(thumbnail, PREVIEW), tiff_page(thumbnail)])
        np.testing.assert_array_equal(pixels(make_tiff(pyramid, tiff_page(thumbnail, PREVIEW))), unit(picture))

    def test_the_limit_is_that_of_the_page(self, make_tiff, tiff_page, picture, thumbnail):
        with pytest.raises(ImageTooLargeError, match="56 x 40 pixels"):
            load_image(make_tiff(tiff_page(thumbnail, PREVIEW), tiff_page(picture)), max_pixels=1000)

    def test_nothing_but_previews(self, make_tiff, tiff_page, thumbnail):
        data = make_tiff(tiff_page(thumbnail, PREVIEW), tiff_page(thumbnail, {254: ("I", [4])}))
        with pytest.raises(UnsupportedImageError, match=f"<{len(data)} bytes>: a TIFF with reduced images only"):
            load_image(data)

    def test_cut_in_the_page(self, make_tiff, tiff_page, picture, thumbnail):
        data = make_tiff(tiff_page(thumbnail, PREVIEW), tiff_page(picture))
        for end in range(len(data) - len(picture.tobytes()), len(data) - 6, 997):
            with pytest.raises(TruncatedImageError):
                load_image(data[:end])

    def test_opened_by_pillow(self, make_tiff, tiff_page, picture, thumbnail):
        image = opened(make_tiff(tiff_page(thumbnail, PREVIEW), tiff_page(picture)))
        with pytest.raises(UnsupportedImageError, match="it is a reduced image; seek the page of full resolution"):
            load_image(image)
        image.seek(1)
        np.testing.assert_array_equal(pixels(image), unit(picture))

    def test_a_chain_without_an_end(self, make_tiff, tiff_page, thumbnail):
        data = bytearray(make_tiff(tiff_page(thumbnail, PREVIEW)))
        start = struct.unpack_from("<I", data, 4)[0]
        struct.pack_into("<I", data, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], start)
        with pytest.raises(UnsupportedImageError):
            load_image(data)

    def test_a_chain_of_previews_that_is_too_long(self):
        links = range(8, 8 + 18 * 5000, 18)
        pages = [struct.pack("<HHHIII", 1, 254, 4, 1, 1, link + 18) for link in links]
        with pytest.raises(UnsupportedImageError):
            load_image(b"II*\0\x08\0\0\0" + b"".join(pages) + b"\0" * 20)


class TestCameraRaw:
    @pytest.mark.parametrize("kind", ["dng", "sub-IFD", "sub-IFD of a picture", "sensor", "larger within", "maker"])
    def test_refused(self, kind, make_tiff, tiff_page, picture, thumbnail, tmp_path):
        page = {
            "dng": lambda: tiff_page(picture, DNG),
            "sub-IFD": lambda: tiff_page(thumbnail, PREVIEW, [tiff_page(picture)]),
            "sub-IFD of a picture": lambda: tiff_page(picture, subs=[tiff_page(thumbnail[..., 0], SENSOR)]),
            "sensor": lambda: tiff_page(picture[..., 0], SENSOR),
            "larger within": lambda: tiff_page(thumbnail, subs=[tiff_page(picture)]),
            "maker": lambda: tiff_page(picture[..., 0], {259: ("H", [34713])}),
        }[kind]()
        (tmp_path / "a.dng").write_bytes(make_tiff(page))
        with pytest.raises(CameraRawError, match=r"a\.dng: is a camera's raw file: develop it first") as caught:
            load_image(tmp_path / "a.dng")
        assert caught.value.reason == "camera-raw"

    @pytest.mark.parametrize(
        "header",
        [
            b"II*\0\x10\0\0\0CR\2\0",
            b"II*\0\x10\0\0\0IIIITwaR",
            b"IIRO\x08\0\0\0",
            b"IIU\0\x18\0\0\0",
            b"FUJIFILMCCD-RAW 0201",
            b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
            b"\0MRM\0\0\0\0",
            b"FOVb\0\0\2\0",
        ],
    )
    def test_by_signature(self, header):
        with pytest.raises(CameraRawError):
            load_image(header.ljust(400, b"\0"))

    def test_opened_by_pillow(self, make_tiff, tiff_page, picture, thumbnail):
        page = tiff_page(thumbnail, PREVIEW | DNG, [tiff_page(picture)])
        with pytest.raises(CameraRawError):
            load_image(opened(make_tiff(page)))


class TestPlanes:
    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("compressed", [False, True])
    @pytest.mark.parametrize("dtype", ["u1", "u2"])
    @pytest.mark.parametrize("rows", [None, 7])
    def test_as_one_plane(self, dtype, rows, compressed, order, make_tiff, tiff_page, picture, tmp_path):
        scale = 257 if dtype == "u2" else 1
        options = {"tags": DEFLATE, "encode": zlib.compress} if compressed else {}
        page = tiff_page((picture.astype(f"{order}{dtype}") * scale), planes=True, rows=rows, **options)
        (tmp_path / "a.tif").write_bytes(make_tiff(page, order=order))
        np.testing.assert_array_equal(pixels(tmp_path / "a.tif"), unit(picture))
        np.testing.assert_array_equal(pixels((tmp_path / "a.tif").read_bytes()), unit(picture))

    @pytest.mark.parametrize("dtype", ["<u1", "<u2"])
    def test_alpha(self, dtype, make_tiff, tiff_page, picture):
        scale = 257 if dtype == "<u2" else 1
        rgba = np.dstack([picture, np.full_like(picture[..., 0], 51)]).astype(dtype) * scale
        data = make_tiff(tiff_page(rgba, {338: ("H", [2])}, planes=True))
        np.testing.assert_allclose(pixels(data), unit(picture) * 0.2 + 0.8, atol=1e-6)

    def test_unspecified_planes_are_passed_over(self, make_tiff, tiff_page, picture, monkeypatch):
        data = make_tiff(tiff_page(np.dstack([picture, picture[..., :2]]), {338: ("H", [0, 0])}, planes=True))
        if tuple(map(int, PIL.__version__.split(".")[:2])) >= (12, 2):
            np.testing.assert_array_equal(pixels(data), unit(picture))
        monkeypatch.setattr("topiq_metrics.images.tiff._OLD_PILLOW", True)
        with pytest.raises(UnsupportedImageError, match=r"planes that mean nothing need Pillow 12\.2"):
            load_image(data)

    def test_bits_in_reverse(self, make_tiff, tiff_page, picture):
        page = tiff_page(picture, {266: ("H", [2])}, planes=True, encode=lambda data: data.translate(REVERSED))
        np.testing.assert_array_equal(pixels(make_tiff(page)), unit(picture))

    def test_grey_with_alpha_is_refused(self, make_tiff, tiff_page, picture):
        with pytest.raises(UnsupportedImageError, match="of planes with alpha, Pillow takes RGBA only"):
            load_image(make_tiff(tiff_page(picture[..., :2], {338: ("H", [2])}, planes=True)))

    def test_opened_by_pillow(self, make_tiff, tiff_page, picture):
        deep = make_tiff(tiff_page(picture.astype("<u2") * 257, planes=True))
        with pytest.raises(UnsupportedImageError, match="Pillow misreads it; pass the file itself"):
            load_image(opened(deep))
        plain = make_tiff(tiff_page(picture, planes=True))
        np.testing.assert_array_equal(pixels(opened(plain)), unit(picture))


@pytest.mark.parametrize("compressed", [False, True])
def test_colours_at_half_resolution(compressed, make_tiff, tiff_page):
    light = np.random.default_rng(0).integers(0, 256, (20, 28, 4), dtype=np.uint8)
    blocks = np.dstack([light, np.full((20, 28, 2), 128, dtype=np.uint8)])
    page = tiff_page(blocks, encode=zlib.compress if compressed else bytes)
    page["tags"] |= {256: ("H", [56]), 257: ("H", [40]), 258: ("H", [8, 8, 8]), 262: ("H", [6]), 277: ("H", [3])}
    page["tags"] |= {278: ("H", [40]), 339: ("H", [1, 1, 1]), 530: ("H", [2, 2])} | (DEFLATE if compressed else {})
    grey = light.reshape(20, 28, 2, 2).transpose(0, 2, 1, 3).reshape(40, 56, 1)
    np.testing.assert_allclose(pixels(make_tiff(page)), np.repeat(unit(grey), 3, axis=2), atol=0.01)


class TestPalettes:
    @pytest.mark.parametrize("bits", [8, 4])
    @pytest.mark.parametrize("depth", [8, 16])
    @pytest.mark.parametrize("compressed", [False, True])
    def test_of_eight_or_sixteen_bits(self, bits, depth, compressed, make_tiff, tiff_page):
        rng = np.random.default_rng(0)
        colors = rng.integers(0, 256, (1 << bits, 3), dtype=np.uint8)
        indices = rng.integers(0, 1 << bits, (12, 16), dtype=np.uint8)
        stored = indices if bits == 8 else indices[:, ::2] << 4 | indices[:, 1::2]
        page = tiff_page(stored, encode=zlib.compress if compressed else bytes)
        entries = colors.T.ravel().astype(int) * (1 if depth == 8 else 257)
        page["tags"] |= {256: ("H", [16]), 258: ("H", [bits]), 262: ("H", [3]), 320: ("H", entries.tolist())}
        page["tags"] |= DEFLATE if compressed else {}
        data = make_tiff(page)
        loaded = opened(data)
        loaded.load()
        for source in (data, opened(data), loaded, loaded):
            np.testing.assert_array_equal(pixels(source), unit(colors[indices]))
        turned = make_tiff(page | {"tags": page["tags"] | {274: ("H", [6])}})
        np.testing.assert_array_equal(pixels(turned), unit(np.rot90(colors[indices], -1)))

    def test_another_palette_stays(self, make_tiff, tiff_page):
        page = tiff_page(np.zeros((8, 9), dtype=np.uint8))
        page["tags"] |= {262: ("H", [3]), 320: ("H", [9] * 768)}
        image = opened(make_tiff(page))
        image.putpalette([200, 100, 50] * 256)
        np.testing.assert_array_equal(pixels(image)[0, 0], unit([200, 100, 50]))


class TestZeroIsWhite:
    @pytest.mark.parametrize("dtype", ["<u1", "<u2", "<f4"])
    @pytest.mark.parametrize("compressed", [False, True])
    @pytest.mark.parametrize("planes", [False, True])
    def test_inverted(self, dtype, compressed, planes, make_tiff, tiff_page, picture):
        grey = picture[..., 0].astype(np.float64) / 255
        full = {"<u1": 255, "<u2": 65535, "<f4": 1}[dtype]
        values = (full - (grey * full).round(0 if full > 1 else 9)).astype(dtype)
        tags = WHITE | (DEFLATE if compressed else {})
        data = make_tiff(tiff_page(values, tags, planes=planes, encode=zlib.compress if compressed else bytes))
        np.testing.assert_allclose(pixels(data)[..., 1], grey, atol=1e-5)
        if not planes:
            np.testing.assert_allclose(pixels(opened(data))[..., 1], grey, atol=1e-5)

    def test_big_endian_is_refused(self, make_tiff, tiff_page, picture):
        data = make_tiff(tiff_page(picture[..., 0].astype(">u2"), WHITE), order=">")
        with pytest.raises(
            UnsupportedImageError, match=r"1 channel of uint16 \(0 is white, big-endian\) is not supported"
        ):
            load_image(data)


class TestUnread:
    @pytest.mark.parametrize(
        ("dtype", "channels", "tags", "words"),
        [
            ("<f4", 3, {}, "a TIFF with 3 channels of float32 is not supported"),
            ("<f2", 3, {}, "a TIFF with 3 channels of float16 is not supported"),
            ("<f8", 1, {}, "a TIFF with 1 channel of float64 is not supported"),
            ("<u4", 3, {}, "a TIFF with 3 channels of uint32 is not supported"),
            ("<u1", 5, {}, "a TIFF with 5 channels of uint8 is not supported"),
            ("<u1", 30, {}, "a TIFF with 30 channels of uint8 is not supported"),
            ("<u2", 2, {338: ("H", [2])}, "a TIFF with 2 channels of uint16 is not supported"),
            ("<u1", 3, {259: ("H", [50002])}, r"a TIFF with 3 channels of uint8 \(JPEG XL\) is not supported"),
            ("<u1", 3, {259: ("H", [34712])}, r"a TIFF with 3 channels of uint8 \(JPEG 2000\) is not supported"),
            ("<u1", 3, {259: ("H", [12345])}, r"uint8 \(compression 12345\) is not supported"),
            ("<u1", 1, {262: ("H", [9])}, r"uint8 \(ICCLAB\) is not supported"),
            ("<i1", 1, {}, "int8 is not supported: values below 0 have no known scale"),
            ("<i2", 1, {}, "int16 is not supported: values below 0 have no known scale"),
        ],
    )
    def test_said_and_not_called_damaged(self, dtype, channels, tags, words, make_tiff, tiff_page):
        values = np.ones((8, 9) if channels == 1 else (8, 9, channels), dtype=dtype)
        data = make_tiff(tiff_page(values, tags))
        with pytest.raises(UnsupportedImageError, match=words) as caught:
            load_image(data)
        assert caught.value.reason == "unsupported"
        place = struct.unpack_from("<I", data, 4)[0]
        for end in (place - 40, place + 30, 20):
            with pytest.raises(TruncatedImageError):
                load_image(data[:end])

    def test_data_beyond_the_end_are_damage(self, make_tiff, tiff_page):
        page = tiff_page(np.ones((8, 9, 3), dtype="<f4"))
        page["tags"] |= {273: ("I", [10**6]), 279: ("I", [864])}
        page["strips"] = []
        with pytest.raises(TruncatedImageError):
            load_image(make_tiff(page))

    def test_big_endian_bigtiff(self, make_tiff, tiff_page, picture):
        with pytest.raises(UnsupportedImageError, match="Pillow takes BigTIFF in little-endian order only"):
            load_image(make_tiff(tiff_page(picture), order=">", big=True))

    def test_big_endian_floats(self, make_tiff, tiff_page, picture):
        grey = (picture[..., 0] / 255).astype(">f4")
        np.testing.assert_allclose(pixels(make_tiff(tiff_page(grey), order=">"))[..., 0], grey)
        packed = make_tiff(tiff_page(grey, DEFLATE, encode=zlib.compress), order=">")
        for source in (packed, opened(packed)):
            with pytest.raises(UnsupportedImageError, match="Pillow takes it uncompressed only"):
                load_image(source)

    def test_a_codec_that_pillow_was_built_without(self, make_tiff, tiff_page, monkeypatch):
        monkeypatch.setattr("topiq_metrics.images.tiff._has_codec", lambda name: name != "webp")
        data = make_tiff(tiff_page(np.ones((8, 9, 3), dtype="u1"), {259: ("H", [50001])}))
        for source in (data, opened(data)):
            with pytest.raises(UnsupportedImageError, match=r"\(WebP\) is not supported: the installed Pillow was"):
                load_image(source)

    @pytest.mark.parametrize("extra", [1, 2])
    @pytest.mark.parametrize("compressed", [False, True])
    def test_planes_with_alpha(self, extra, compressed, make_tiff, tiff_page, picture):
        """Pillow's own decoder refuses those whose colours have been multiplied by it."""
        values = np.dstack([picture, np.full(picture.shape[:2], 255, dtype=np.uint8)])
        tags = {338: ("H", [extra])} | (DEFLATE if compressed else {})
        data = make_tiff(tiff_page(values, tags, planes=True, encode=zlib.compress if compressed else bytes))
        np.testing.assert_array_equal(pixels(data), unit(picture))
        if extra == 2 or compressed:
            np.testing.assert_array_equal(pixels(opened(data)), unit(picture))
        else:
            with pytest.raises(UnsupportedImageError, match=r"\(in separate planes\) is not .*; pass the file itself"):
                load_image(opened(data))


@pytest.mark.parametrize(
    "tags",
    [
        {700: ("s", b"<x:xmpmeta/>\0")},
        {700: ("H", [1, 2, 3])},
        {34665: ("i", [-9])},
        {34853: ("i", [-9])},
        {34665: ("I", [2**31])},
        {282: ("H", [0]), 283: ("H", [0])},
    ],
    ids=["text as XMP", "numbers as XMP", "EXIF before the file", "GPS before the file", "EXIF behind it", "0 dpi"],
)
def test_odd_metadata(tags, make_tiff, tiff_page, picture):
    np.testing.assert_array_equal(pixels(make_tiff(tiff_page(picture, tags))), unit(picture))


def test_orientation_in_xmp(make_tiff, tiff_page, picture):
    turned = np.ascontiguousarray(picture[::-1, ::-1])
    xmp = b'<rdf:Description tiff:Orientation="3"/>\0'
    np.testing.assert_array_equal(pixels(make_tiff(tiff_page(turned, {700: ("s", xmp)}))), unit(picture))
