"""Whole pixels beside odd metadata: PNG chunks that no decoder needs, JPEG segments that Pillow stumbles over."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from topiq_metrics.errors import TruncatedImageError
from topiq_metrics.images import load_image

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
BOMB = zlib.compress(bytes(50_000_000))
EXIF = b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 0x0112, 3, 1, 3) + b"\0\0\0\0"
XMP = b'<rdf:Description tiff:Orientation="3"/>'
PROFILE_TEXT = b"\nexif\n" + f"{len(EXIF) + 6:8d}\n".encode() + (b"Exif\0\0" + EXIF).hex().encode() + b"\n"


def pixels(source):
    return load_image(source).permute(1, 2, 0).numpy()


def unit(array):
    return np.asarray(array, dtype=np.float32) / np.float32(255)


def chunk(kind, data, checksum=None):
    checksum = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


@pytest.fixture
def png(noise, encode):
    """Puts chunks before or behind the pixels of a PNG."""

    def make(*chunks, behind=False, array=noise):
        data = encode(array, "PNG")
        at = len(data) - 12 if behind else 33
        return data[:at] + b"".join(chunks) + data[at:]

    return make


class TestChunksThatNoDecoderNeeds:
    @pytest.mark.parametrize("behind", [False, True])
    @pytest.mark.parametrize(
        "extra",
        {
            "large text": chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b"abcdefgh" * 300_000)),
            "large international text": chunk(b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(b"a" * 3_000_000)),
            "text of another method": chunk(b"zTXt", b"a\0\7b"),
            "checksum of text": chunk(b"tEXt", b"Comment\0hello", 0),
            "checksum of EXIF": chunk(b"eXIf", EXIF, 0),
            "checksum of a private chunk": chunk(b"prVt", b"a", 0),
            "checksum of a profile": chunk(b"iCCP", b"a\0\0" + zlib.compress(SRGB), 0),
            "checksum of a colour key": chunk(b"tRNS", bytes(6), 0),
            "short pHYs": chunk(b"pHYs", b"\0\0"),
            "short gAMA": chunk(b"gAMA", b"\0"),
            "short cHRM": chunk(b"cHRM", b"\0"),
            "empty sRGB": chunk(b"sRGB", b""),
            "short colour key": chunk(b"tRNS", b"\0"),
            "profile of another method": chunk(b"iCCP", b"a\0\1abcdefghijkl"),
            "profile without a name": chunk(b"iCCP", b"abcdefghijkl"),
            "profile that is damaged": chunk(b"iCCP", b"a\0\0" + zlib.compress(SRGB)[:100]),
            "profile that is a bomb": chunk(b"iCCP", b"a\0\0" + BOMB),
            "short animation": chunk(b"acTL", b"\0"),
            "frame of no size": chunk(b"acTL", b"\0\0\0\2\0\0\0\0") + chunk(b"fcTL", bytes(26)),
        }.items(),
        ids=lambda item: item[0],
    )
    def test_read(self, extra, behind, png, noise):
        np.testing.assert_array_equal(pixels(png(extra[1], behind=behind)), unit(noise))

    @pytest.mark.parametrize(
        "extra",
        [
            lambda: chunk(b"zTXt", b"a\0\0" + BOMB),
            lambda: chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + BOMB),
            lambda: chunk(b"iCCP", b"a\0\0" + BOMB),
            lambda: chunk(b"tEXt", b"a\0" + bytes(40_000_000)),
        ],
        ids=["text", "XMP", "profile", "plain text"],
    )
    def test_memory_is_bounded(self, extra, png, tmp_path):
        (tmp_path / "a.png").write_bytes(png(extra()))
        tracemalloc.start()
        try:
            load_image(tmp_path / "a.png")
            assert tracemalloc.get_traced_memory()[1] < 36_000_000
        finally:
            tracemalloc.stop()

    def test_first_picture_of_an_animation(self, noise):
        frames = [Image.fromarray(noise), Image.fromarray(255 - noise)]
        stream = io.BytesIO()
        frames[0].save(stream, "PNG", save_all=True, append_images=frames[1:])
        np.testing.assert_array_equal(pixels(stream.getvalue()), unit(noise))

    def test_large_profile_is_applied(self, png, picture, matrix_profile):
        swapped = matrix_profile(((0.30, 0.60), (0.64, 0.33), (0.15, 0.06)), "srgb")
        large = swapped + np.random.default_rng(0).bytes(2_000_000)
        large = struct.pack(">I", len(large)) + large[4:]
        data = png(chunk(b"iCCP", b"a\0\0" + zlib.compress(large)), array=picture)
        np.testing.assert_allclose(pixels(data), unit(picture[..., [1, 0, 2]]), atol=2 / 255)

    @pytest.mark.parametrize("behind", [False, True])
    @pytest.mark.parametrize(
        "extra",
        [
            chunk(b"eXIf", EXIF),
            chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
            chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP)),
            chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(PROFILE_TEXT)),
            chunk(b"tEXt", b"Raw profile type exif\0" + PROFILE_TEXT),
        ],
        ids=["EXIF", "XMP", "compressed XMP", "compressed text", "text"],
    )
    def test_orientation_is_still_found(self, extra, behind, png, noise):
        np.testing.assert_array_equal(pixels(png(extra, behind=behind)), unit(noise[::-1, ::-1]))


class TestChunksThatADecoderNeeds:
    @pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"IDAT"])
    def test_wrong_checksum(self, kind, encode):
        image = Image.effect_noise((40, 40), 50).quantize(16)
        data = bytearray(encode(image, "PNG"))
        assert load_image(data).shape == (3, 40, 40)
        at = data.index(kind)
        data[at + 4 + int.from_bytes(data[at - 4 : at], "big")] ^= 1
        with pytest.raises(TruncatedImageError, match="checksum"):
            load_image(data)

    @pytest.mark.parametrize("behind", [False, True])
    def test_cut_in_a_text(self, behind, png):
        text = chunk(b"tEXt", b"Comment\0" + b"hello" * 1000)
        data = png(text, behind=behind)
        with pytest.raises(TruncatedImageError):
            load_image(data[: data.index(b"hello") + 100])

    def test_pixels_in_many_chunks(self, png, noise):
        data = png()
        at = data.index(b"IDAT")
        packed = data[at + 4 : at + 4 + int.from_bytes(data[at - 4 : at], "big")]
        parts = [chunk(b"IDAT", packed[i : i + 999]) for i in range(0, len(packed), 999)]
        many = data[: at - 4] + b"".join([parts[0], chunk(b"IDAT", b""), *parts[1:]]) + chunk(b"IEND", b"")
        np.testing.assert_array_equal(pixels(many), unit(noise))


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


# A resolution without a number, for which Pillow refuses the file.
ODD_EXIF = struct.pack(">HHIHH", 0x0112, 3, 1, 3, 0) + struct.pack(">HHII", 0x011A, 2, 1, 0)
ODD_EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\3" + ODD_EXIF + struct.pack(">HHIHH", 0x0128, 3, 1, 2, 0) + b"\0\0\0\0"


class TestSegments:
    @pytest.mark.parametrize(
        "extra",
        [
            segment(0xE0, b"JFIF"),
            segment(0xE0, b"JFIF\0"),
            segment(0xEE, b"Adobe"),
            segment(0xEE, b"Adobe\0"),
            segment(0xE2, b"ICC_PROFILE\0"),
            segment(0xE2, b"ICC_PROFILE\0\1"),
            segment(0xED, b"Photoshop 3.0\0008BIM\3\xed"),
            segment(0xE1, b""),
            segment(0xE1, b"Exif\0\0"),
            segment(0xFE, b""),
            b"\xff\xff" + segment(0xE0, b"JFIF"),
        ],
        ids=lambda extra: extra.hex(),
    )
    def test_odd_ones_are_passed_over(self, extra, picture, encode):
        data = encode(picture, "JPEG")
        np.testing.assert_array_equal(load_image(data[:2] + extra + data[2:]), load_image(data))

    @pytest.mark.parametrize("extra", [b"", segment(0xEE, b"Adobe")])
    def test_orientation_is_still_found(self, extra, picture, encode):
        data = encode(picture, "JPEG")
        turned = load_image(data[:2] + segment(0xE1, ODD_EXIF) + extra + data[2:])
        np.testing.assert_array_equal(turned, load_image(data).flip(1, 2))

    def test_profile_is_still_applied(self, picture, encode, matrix_profile):
        swapped = matrix_profile(((0.30, 0.60), (0.64, 0.33), (0.15, 0.06)), "srgb")
        data = encode(picture, "JPEG", icc_profile=swapped)
        odd = load_image(data[:2] + segment(0xE0, b"JFIF") + data[2:])
        np.testing.assert_array_equal(odd, load_image(data))
        assert not np.array_equal(odd, load_image(encode(picture, "JPEG")))

    def test_colours_as_the_whole_segment_tells(self, picture, encode):
        inks = Image.fromarray(picture).convert("CMYK")
        data = encode(inks, "JPEG")
        np.testing.assert_array_equal(load_image(data[:2] + segment(0xE0, b"JFIF") + data[2:]), load_image(data))

    def test_cut_short(self, noise, encode):
        data = encode(noise, "JPEG")
        odd = data[:2] + segment(0xE0, b"JFIF") + data[2:]
        for cut in np.linspace(2, len(odd) * 0.97, 30).astype(int).tolist():
            with pytest.raises(TruncatedImageError):
                load_image(odd[: max(cut, 3)])
