"""Colours that a file tells of without an ICC profile, and HDR, against a computation from the primaries."""

import contextlib
import io
import pickle
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from topiq_metrics.errors import HDRImageError, ImageError, UnsupportedImageError
from topiq_metrics.images import load_image
from topiq_metrics.images.loader import load_with_origin
from topiq_metrics.images.profiles import note_on_colors
from topiq_metrics.images.tags import read_tags

SRGB = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE_RGB = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060))
BT2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
D65 = (0.3127, 0.3290)


def encode_srgb(linear):
    linear = linear.clip(0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def decode_srgb(values):
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


@pytest.fixture
def converted(primaries_to_xyz):
    """The levels of sRGB for levels of other primaries and another curve."""

    def convert(levels, primaries=SRGB, gamma=None):
        to_srgb = np.linalg.solve(primaries_to_xyz(SRGB), primaries_to_xyz(primaries))
        values = np.asarray(levels) / 255
        light = decode_srgb(values) if gamma is None else values**gamma
        return encode_srgb(light @ to_srgb.T) * 255

    return convert


def levels(source, **options):
    return load_image(source, **options).permute(1, 2, 0).numpy() * 255


@pytest.fixture
def png(encode):
    def make(image, **chunks):
        info = PngImagePlugin.PngInfo()
        for name, content in chunks.items():
            info.add(name.encode(), content)
        return encode(image, "PNG", pnginfo=info)

    return make


def cicp(primaries, transfer):
    return bytes([primaries, transfer, 0, 1])


def gama(gamma):
    return struct.pack(">I", round(gamma * 100000))


def chrm(primaries, white=D65):
    return struct.pack(">8I", *(round(value * 100000) for point in (white, *primaries) for value in point))


def with_nclx(data, primaries, transfer):
    """The same file with other code points; libavif and libheif write those of sRGB."""
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


@pytest.fixture
def avif(picture, encode):
    return encode(picture, "AVIF", quality=95, subsampling="4:4:4")


@pytest.fixture
def heic(picture):
    heif = pytest.importorskip("pillow_heif", reason="needs the extra `heic`")
    buffer = io.BytesIO()
    heif.from_pillow(Image.fromarray(picture)).save(buffer, quality=95, chroma=444)
    return buffer.getvalue()


@pytest.fixture(params=["avif", "heic"])
def boxed(request):
    return request.getfixturevalue(request.param)


class TestCodePoints:
    @pytest.mark.parametrize(
        ("points", "primaries", "gamma"),
        [
            ((12, 13), DISPLAY_P3, None),
            ((12, 1), DISPLAY_P3, None),
            ((9, 14), BT2020, None),
            ((1, 8), SRGB, 1.0),
            ((1, 4), SRGB, 2.2),
            ((9, 5), BT2020, 2.8),
        ],
    )
    def test_nclx(self, points, primaries, gamma, boxed, converted):
        stored = levels(boxed)
        result = levels(with_nclx(boxed, *points))
        np.testing.assert_allclose(result, converted(stored, primaries, gamma), atol=2)
        assert abs(result - stored).mean() > 1

    @pytest.mark.parametrize("points", [(1, 13), (1, 1), (1, 6), (2, 2), (1, 2)])
    def test_those_of_srgb_or_of_nothing(self, points, boxed):
        np.testing.assert_array_equal(load_image(with_nclx(boxed, *points)), load_image(boxed))

    @pytest.mark.parametrize("points", [(0, 0), (1, 200), (200, 13)])
    def test_those_of_nobody(self, points, avif):
        np.testing.assert_array_equal(load_image(with_nclx(avif, *points)), load_image(avif))

    def test_of_a_sequence(self, picture, encode, converted):
        frames = [Image.fromarray(picture)] * 2
        data = encode(frames[0], "AVIF", quality=95, save_all=True, append_images=frames[1:])
        assert data.count(b"colrnclx") == 2
        at = data.rindex(b"colrnclx")
        assert b"trak" in data[:at]
        result = levels(data[:at] + with_nclx(data[at:], 12, 13))
        np.testing.assert_allclose(result, converted(levels(data), DISPLAY_P3), atol=2)

    def test_of_the_primary_item_only(self, boxed):
        # A gain map or a thumbnail has code points of its own, which no primary item refers to.
        at = boxed.index(b"ipma")
        (count,) = struct.unpack(">I", boxed[at + 8 : at + 12])
        assert count == 1
        other = boxed[: at + 12] + struct.pack(">H", 99) + boxed[at + 14 :]
        assert read_tags(io.BytesIO(boxed)).code_points == (1, 13)
        assert read_tags(io.BytesIO(other)) is None

    def test_a_profile_is_preferred(self, picture, encode, matrix_profile, converted):
        profile = matrix_profile(ADOBE_RGB, 2.19921875)
        data = encode(picture, "AVIF", quality=95, icc_profile=profile)
        plain = levels(encode(picture, "AVIF", quality=95))
        np.testing.assert_allclose(levels(with_nclx(data, 12, 13)), converted(plain, ADOBE_RGB, 563 / 256), atol=2)

    def test_cicp_is_preferred_to_a_profile(self, picture, matrix_profile, encode, converted):
        info = PngImagePlugin.PngInfo()
        info.add(b"cICP", cicp(12, 13))
        data = encode(picture, "PNG", pnginfo=info, icc_profile=matrix_profile(ADOBE_RGB, 2.2))
        np.testing.assert_allclose(levels(data), converted(picture, DISPLAY_P3), atol=1.6)

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
    def test_cicp(self, mode, picture, png, converted):
        image = Image.fromarray(picture)
        image = image.quantize(8) if mode == "P" else image.convert(mode)
        stored = np.array(image.convert("RGB"))
        np.testing.assert_allclose(levels(png(image, cICP=cicp(9, 14))), converted(stored, BT2020), atol=1.6)

    def test_junk_in_the_boxes(self, boxed):
        rng = np.random.default_rng(0)
        start, end = boxed.index(b"meta"), boxed.index(b"mdat")
        for _ in range(60):
            damaged = bytearray(boxed)
            damaged[rng.integers(start, end)] = rng.integers(256)
            with contextlib.suppress(ImageError):
                load_image(bytes(damaged), max_pixels=10**6)

    def test_a_pillow_image_of_an_open_file(self, picture, png, converted):
        with Image.open(io.BytesIO(png(picture, cICP=cicp(12, 13)))) as image:
            np.testing.assert_allclose(levels(image), converted(picture, DISPLAY_P3), atol=1.6)

    @pytest.mark.parametrize("kind", ["PNG", "AVIF"])
    def test_a_pillow_image_twice(self, kind, picture, png, avif):
        """Pillow closes the file with the first loading."""
        wide = png(picture, cICP=cicp(12, 13)) if kind == "PNG" else with_nclx(avif, 12, 13)
        image = Image.open(io.BytesIO(wide))
        assert load_image(image).equal(load_image(wide))
        assert load_image(image).equal(load_image(wide))
        bright = png(picture, cICP=cicp(9, 16)) if kind == "PNG" else with_nclx(avif, 9, 16)
        image = Image.open(io.BytesIO(bright))
        for _ in range(2):
            load_image(image, profiles="ignore")
            with pytest.raises(HDRImageError, match="is HDR"):
                load_image(image)

    @pytest.mark.parametrize("kind", ["png", "avif"])
    def test_a_pillow_image_of_a_file_that_was_loaded_before(self, kind, picture, png, avif, tmp_path):
        path = tmp_path / f"a.{kind}"
        path.write_bytes(png(picture, cICP=cicp(9, 16)) if kind == "png" else with_nclx(avif, 9, 16))
        with Image.open(path) as image:
            image.load()
        with pytest.raises(HDRImageError, match="is HDR"):
            load_image(image)
        path.unlink()
        with pytest.raises(HDRImageError, match="is HDR"):
            load_image(image)

    def test_a_pillow_image_that_was_loaded_before(self, picture, png):
        image = Image.open(io.BytesIO(png(picture, cICP=cicp(9, 16))))
        image.load()
        with pytest.raises(HDRImageError, match="is HDR"):
            load_image(image)

    def test_a_wrong_checksum(self, picture, png):
        """A chunk that no decoder needs is dropped, and another that is right may follow."""
        damaged = bytearray(png(picture, cICP=cicp(9, 16)))
        damaged[damaged.index(b"cICP") + 8] ^= 1
        np.testing.assert_array_equal(levels(bytes(damaged)).round(), picture)
        assert read_tags(io.BytesIO(damaged)) is None
        whole = png(picture, cICP=cicp(12, 13))
        at, start = whole.index(b"cICP") - 4, damaged.index(b"cICP") - 4
        both = bytes(damaged[: start + 16]) + whole[at : at + 16] + bytes(damaged[start + 16 :])
        assert load_image(both).equal(load_image(whole))

    @pytest.mark.parametrize("points", [(1, 13), (12, 13), (2, 2)])
    def test_narrow_range(self, points, picture, png, encode):
        data = png(picture, cICP=bytes([*points, 0, 0]))
        for source in (data, Image.open(io.BytesIO(data))):
            with pytest.raises(
                UnsupportedImageError, match=r"is of narrow range \(cICP\), in which .* write it with full range"
            ):
                load_image(source)
        np.testing.assert_array_equal(levels(data, profiles="ignore").round(), picture)
        with pytest.raises(HDRImageError, match="is HDR"):
            load_image(png(picture, cICP=bytes([9, 16, 0, 0])))

    def test_a_pillow_image_of_pillow_heif(self, picture, converted):
        image = Image.fromarray(picture)
        image.info["nclx_profile"] = {"color_primaries": 12, "transfer_characteristics": 13}
        np.testing.assert_allclose(levels(image), converted(picture, DISPLAY_P3), atol=1.6)


class TestGamma:
    @pytest.mark.parametrize("gamma", [1.0, 1 / 1.8, 1 / 2.6])
    def test_gama(self, gamma, noise, png, converted):
        np.testing.assert_allclose(levels(png(noise, gAMA=gama(gamma))), converted(noise, gamma=1 / gamma), atol=1.6)

    @pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
    def test_grey(self, mode, png):
        ramp = np.arange(256, dtype=np.uint8)[None]
        image = Image.fromarray(ramp.astype(np.uint16) * 257 if mode == "I;16" else ramp)
        image = image.convert("LA") if mode == "LA" else image
        exact = encode_srgb(ramp[0] / 255) * 255
        tolerance = 1e-3 if mode == "I;16" else 0.51
        np.testing.assert_allclose(levels(png(image, gAMA=gama(1)))[0, :, 1], exact, atol=tolerance)

    def test_a_sixteen_bit_key_stays_transparent(self, make_png):
        rows = b"\0" + struct.pack(">2H", 0x1234, 0x8000)
        extra = [(b"gAMA", gama(1)), (b"tRNS", struct.pack(">H", 0x1234))]
        result = load_image(make_png(2, 1, 16, 0, rows, extra))
        np.testing.assert_allclose(result[0, 0], [1, encode_srgb(np.array(0x8000 / 65535))], atol=1e-5)

    @pytest.mark.parametrize(("depth", "row"), [(1, 0b01000000), (2, 0b01100000), (4, 0b00100101), (8, None)])
    def test_a_key_of_few_bits_is_transparent(self, make_png, depth, row):
        key = {1: 1, 2: 2, 4: 5, 8: 5}[depth]
        rows = b"\0" + (bytes([row]) if row is not None else bytes([2, key]))
        result = load_image(make_png(2, 1, depth, 0, rows, [(b"tRNS", struct.pack(">H", key))]))
        other = {1: 0, 2: 1 / 3, 4: 2 / 15, 8: 2 / 255}[depth]
        np.testing.assert_allclose(sorted(result[0, 0].tolist()), [other, 1], atol=1e-6)

    def test_the_key_of_a_picture_in_memory_stays_as_it_is(self, make_png):
        image = Image.open(io.BytesIO(make_png(2, 1, 2, 0, b"\0\x60", [(b"tRNS", struct.pack(">H", 2))])))
        once, twice = load_image(image), load_image(image)
        assert image.info["transparency"] == 2
        assert once.equal(twice)
        assert once.max() == 1

    @pytest.mark.parametrize("gamma", [0.45455, 0.44, 0.47, 0.0, 1e-5, 42949.0])
    def test_that_of_srgb_or_of_nobody(self, gamma, noise, png):
        np.testing.assert_array_equal(load_image(png(noise, gAMA=gama(gamma))), load_image(noise))

    @pytest.mark.parametrize("chunks", [{}, {"gAMA": gama(0.45455)}])
    def test_chromaticities(self, chunks, noise, png, converted):
        data = png(noise, **chunks, cHRM=chrm(DISPLAY_P3))
        np.testing.assert_allclose(levels(data), converted(noise, DISPLAY_P3), atol=1.6)

    def test_both(self, noise, png, converted):
        data = png(noise, gAMA=gama(1), cHRM=chrm(DISPLAY_P3))
        np.testing.assert_allclose(levels(data), converted(noise, DISPLAY_P3, 1), atol=1.6)

    @pytest.mark.parametrize("points", [bytes(32), chrm(SRGB), chrm(((0.3, 0.3),) * 3), chrm(SRGB, (0.3, 0))])
    def test_chromaticities_of_srgb_or_of_no_space(self, points, noise, png):
        np.testing.assert_array_equal(load_image(png(noise, cHRM=points)), load_image(noise))

    def test_the_chunk_srgb_is_preferred(self, noise, png):
        data = png(noise, sRGB=b"\0", gAMA=gama(1), cHRM=chrm(DISPLAY_P3))
        np.testing.assert_array_equal(load_image(data), load_image(noise))

    def test_a_profile_is_preferred(self, noise, png, encode, matrix_profile):
        info = PngImagePlugin.PngInfo()
        info.add(b"gAMA", gama(1))
        data = encode(noise, "PNG", pnginfo=info, icc_profile=matrix_profile(SRGB, "srgb"))
        np.testing.assert_array_equal(load_image(data), load_image(noise))


class TestOtherFormats:
    def test_tiff(self, noise, encode, converted):
        tags = {318: D65, 319: tuple(value for point in DISPLAY_P3 for value in point)}
        np.testing.assert_allclose(levels(encode(noise, "TIFF", tiffinfo=tags)), converted(noise, DISPLAY_P3), atol=1.6)

    @pytest.mark.parametrize(
        ("space", "index", "is_wide"), [(65535, "R03", True), (1, "R03", False), (65535, "R98", False)]
    )
    def test_adobe_rgb_of_a_camera(self, space, index, is_wide, picture, encode, converted):
        exif = Image.Exif()
        exif[0x8769] = {0xA001: space, 0xA005: {1: index}}
        stored = levels(encode(picture, "JPEG", quality=95))
        expected = converted(stored, ADOBE_RGB, 563 / 256) if is_wide else stored
        np.testing.assert_allclose(levels(encode(picture, "JPEG", quality=95, exif=exif)), expected, atol=1.6)

    @pytest.mark.parametrize("kind", ["ICC", "CICP", "narrow CICP"])
    def test_jpeg_2000(self, kind, noise, encode, matrix_profile, converted):
        data = encode(noise, "JPEG2000")
        plain = struct.pack(">I4s3sI", 15, b"colr", b"\1\0\0", 16)
        assert plain in data
        content = (
            b"\2\0\0" + matrix_profile(DISPLAY_P3, "srgb")
            if kind == "ICC"
            else b"\5\0\0" + struct.pack(">3HB", 12, 13, 0, 128 if kind == "CICP" else 0)
        )
        box = struct.pack(">I4s", 8 + len(content), b"colr") + content
        at = data.index(b"jp2h") - 4
        (size,) = struct.unpack_from(">I", data, at)
        data = data[:at] + struct.pack(">I", size + len(box)) + data[at + 4 :]
        data = data.replace(plain, box + plain)
        if kind == "narrow CICP":
            with pytest.raises(UnsupportedImageError, match="narrow range"):
                load_image(data)
            return
        np.testing.assert_allclose(levels(data), converted(noise, DISPLAY_P3), atol=1.6)

    def test_bmp_with_a_profile(self, noise, encode, matrix_profile, converted):
        plain = encode(noise, "BMP")
        profile = matrix_profile(DISPLAY_P3, "srgb")
        pixels = plain[54:]
        header = struct.pack("<I", 124) + plain[18:54] + struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0) + b"DEBM"
        header += bytes(48) + struct.pack("<4I", 4, 124 + len(pixels), len(profile), 0)
        data = plain[:10] + struct.pack("<I", 14 + 124) + header + pixels + profile
        np.testing.assert_allclose(levels(data), converted(noise, DISPLAY_P3), atol=1.6)


class TestHDR:
    @pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
    def test_nclx(self, transfer, name, boxed):
        data = with_nclx(boxed, 9, transfer)
        with pytest.raises(
            HDRImageError, match=rf"is HDR: BT\.2020 {name} \(nclx\)\. .* tone-map it .* --profiles ignore"
        ):
            load_image(data)
        image, origin = load_with_origin(data, profiles="ignore")
        assert image.equal(load_image(boxed))
        assert origin.hdr == f"BT.2020 {name} (nclx)"

    @pytest.mark.parametrize("mode", ["RGB", "L", "I;16"])
    def test_png(self, mode, picture, png):
        image = Image.fromarray(picture[..., 0].astype(np.uint16) if mode == "I;16" else picture)
        image = image.convert(mode)
        with pytest.raises(HDRImageError, match=r"is HDR: BT\.2020 PQ \(cICP\)"):
            load_image(png(image, cICP=cicp(9, 16)))

    def test_beside_a_profile(self, picture, encode, matrix_profile):
        data = with_nclx(encode(picture, "AVIF", icc_profile=matrix_profile(BT2020, 2.2)), 9, 16)
        with pytest.raises(HDRImageError, match="PQ"):
            load_image(data)

    @pytest.mark.parametrize(("transfer", "is_hdr"), [(16, True), (18, True), (13, False)])
    def test_code_points_in_a_profile(self, transfer, is_hdr, picture, encode, matrix_profile):
        profile = matrix_profile(BT2020, "srgb")
        (count,) = struct.unpack_from(">I", profile, 128)
        # One more tag moves all others by the length of its entry.
        entries = [struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(count)]
        entries = [(name, offset + 12, size) for name, offset, size in entries]
        entries.append((b"cicp", len(profile) + 12, 12))
        table = b"".join(struct.pack(">4sII", *entry) for entry in entries)
        body = profile[132 + 12 * count :] + b"cicp\0\0\0\0" + bytes([9, transfer, 0, 1])
        profile = struct.pack(">I", len(profile) + 24) + profile[4:128] + struct.pack(">I", count + 1) + table + body
        data = encode(picture, "PNG", icc_profile=profile)
        if is_hdr:
            with pytest.raises(HDRImageError, match=r"is HDR: unnamed \(ICC, "):
                load_image(data)
        else:
            assert load_with_origin(data)[1].grid

    @pytest.mark.parametrize(
        ("name", "hdr"), [("ITUR_2100_PQ_FULL", "PQ"), ("Rec. ITU-R BT.2100 HLG", "HLG"), ("Wide Gamut PQR", "")]
    )
    def test_the_name_of_a_profile(self, name, hdr, picture, encode, matrix_profile):
        data = encode(picture, "PNG", icc_profile=matrix_profile(BT2020, 2.2, name))
        if hdr:
            with pytest.raises(HDRImageError, match=rf"is HDR: {name} \(ICC, {hdr}\)"):
                load_image(data)
        else:
            assert load_with_origin(data)[1].name == name

    def test_its_reason(self):
        assert HDRImageError.reason == "hdr"
        assert issubclass(HDRImageError, ImageError)


class TestIgnored:
    def test_values_stay_as_they_are(self, noise, png, encode, matrix_profile):
        profile = matrix_profile(ADOBE_RGB, 2.2)
        for data in (
            encode(noise, "PNG", icc_profile=profile),
            png(noise, gAMA=gama(1)),
            png(noise, cICP=cicp(12, 13)),
        ):
            np.testing.assert_array_equal(load_image(data, profiles="ignore"), load_image(noise))
            assert not load_image(data).equal(load_image(noise))

    @pytest.mark.parametrize("profiles", ["", "none", "Apply", None, True])
    def test_other_words(self, profiles, noise):
        with pytest.raises(ValueError, match=r"Argument `profiles` must be 'apply' or 'ignore', but got "):
            load_image(noise, profiles=profiles)


class TestOrigin:
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
    def test_a_profile_that_cannot_be_read(self, kind, noise, encode):
        origin = load_with_origin(encode(noise, kind, icc_profile=b"garbage" * 30))[1]
        plain = load_with_origin(noise)[1]
        assert origin.unused == "a colour profile that cannot be read"
        assert not origin.is_like(plain)
        assert "the image has a colour profile that cannot be read, its reference no colour" in note_on_colors(
            origin, plain
        )
        assert note_on_colors(origin, origin) == ""

    @pytest.mark.parametrize(
        ("kind", "opened"), [("too large", False), ("checksum", False), ("cut", False), ("cut", True)]
    )
    def test_a_profile_that_a_png_does_not_hold_whole(self, kind, opened, noise, png, matrix_profile):
        """More than 16 MB are not read; what else is said of the colours counts then."""
        whole = matrix_profile(ADOBE_RGB, 2.2)
        profile = whole + bytes(17_000_000 if kind == "too large" else 0)
        packed = zlib.compress(profile)
        content = b"iCCPa\0\0" + (packed[:100] if kind == "cut" else packed)
        checksum = 0 if kind == "checksum" else zlib.crc32(content)
        chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", checksum)
        plain = png(noise)
        data = plain[:33] + chunk + plain[33:]
        source = Image.open(io.BytesIO(data)) if opened else data
        image, origin = load_with_origin(source)
        np.testing.assert_array_equal(image, load_image(noise))
        assert origin.unused == "a colour profile that cannot be read"
        if not opened:
            linear = data[:33] + png(noise, gAMA=gama(1))[33:49] + data[33:]
            assert load_image(linear).equal(load_image(png(noise, gAMA=gama(1))))

    @pytest.mark.parametrize(
        ("kind", "mode", "why"),
        [
            ("JPEG", "L", "of RGB, the picture is grey"),
            ("PNG", "L", "of RGB, the picture is grey"),
            ("PNG", "I;16", "the picture is grey of 16 bits"),
            ("TIFF", "F", "the picture is of floats"),
        ],
    )
    def test_a_profile_of_other_pixels(self, kind, mode, why, noise, encode, matrix_profile):
        profile = matrix_profile(ADOBE_RGB, 2.2, "Adobe")
        grey = noise[..., 0].astype({"I;16": np.uint16, "F": np.float32}.get(mode, np.uint8))
        picture = Image.fromarray(grey / np.float32(255) if mode == "F" else grey)
        origin = load_with_origin(encode(picture, kind, icc_profile=profile))[1]
        assert origin.unused == f"the colour profile 'Adobe', which was not applied ({why})"
        colored = load_with_origin(encode(noise, "PNG", icc_profile=profile))[1]
        note = note_on_colors(origin, colored)
        assert f"the image has {origin.unused}, its reference the colour profile 'Adobe', and each was conv" in note
        assert note.endswith("by its own as far as it can be applied")
        # What is sRGB's by another name is as if it had been applied.
        origin = load_with_origin(encode(picture, kind, icc_profile=matrix_profile(SRGB, "srgb")))[1]
        assert note_on_colors(origin, load_with_origin(noise)[1]) == ""

    def test_a_grey_profile_of_colours(self, noise, encode, grey_profile, cmyk_profile):
        origin = load_with_origin(encode(noise, "TIFF", icc_profile=grey_profile(1.0)))[1]
        assert origin.unused.endswith("(of grey, the picture is RGB)")
        for image in (noise, noise[..., 0]):
            origin = load_with_origin(encode(image, "TIFF", icc_profile=cmyk_profile({})))[1]
            assert "of CMYK, the picture is" in origin.unused

    def test_alike_by_what_colours_become(self, noise, png, encode, matrix_profile):
        by_profile = load_with_origin(encode(noise, "PNG", icc_profile=matrix_profile(DISPLAY_P3, "srgb")))[1]
        by_points = load_with_origin(png(noise, cICP=cicp(12, 13)))[1]
        adobe = load_with_origin(encode(noise, "PNG", icc_profile=matrix_profile(ADOBE_RGB, 2.2, "Adobe; RGB\n")))[1]
        srgb = load_with_origin(encode(noise, "PNG", icc_profile=matrix_profile(SRGB, "srgb")))[1]
        nothing = load_with_origin(noise)[1]
        assert by_profile.is_like(by_points)
        assert srgb.is_like(nothing)
        assert not adobe.is_like(by_points)
        assert not adobe.is_like(nothing)
        assert not nothing.is_like(adobe)
        assert adobe.name == "Adobe, RGB"
        assert pickle.loads(pickle.dumps(adobe)).is_like(adobe)
