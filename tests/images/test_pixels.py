"""Pixel values of every mode: depth, alpha, palettes, frames and orientation."""

import io
import struct

import numpy as np
import pytest
import torch
from PIL import Image

from topiq_metrics.errors import ImageError, ImageNotFoundError
from topiq_metrics.images import load_image
from topiq_metrics.images.files import read_size

pytestmark = pytest.mark.quick


def pixels(source):
    return load_image(source).permute(1, 2, 0).numpy()


def unit(array):
    return np.asarray(array, dtype=np.float32) / np.float32(255)


# What the camera's sensor saw, as numpy puts it, for each value of the EXIF tag.
SENSOR = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


class TestOrientation:
    @pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_upright(self, orientation, kind, picture, encode):
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}, "AVIF": {"quality": 95}}.get(kind, {})
        stored = np.ascontiguousarray(SENSOR[orientation](picture))
        result = pixels(encode(stored, kind, exif=exif, **options))
        assert result.shape == (40, 56, 3)
        tolerance = 0.03 if kind in ("JPEG", "AVIF") else 0
        np.testing.assert_allclose(result, unit(picture), atol=tolerance)

    @pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF"])
    @pytest.mark.parametrize("orientation", [1, 3, 6, 8])
    def test_the_size_in_the_header_is_upright(self, orientation, kind, picture, encode, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / "turned"
        path.write_bytes(encode(np.ascontiguousarray(SENSOR[orientation](picture)), kind, exif=exif))
        assert read_size(path) == (40, 56)

    def test_the_size_of_what_is_no_image(self, tmp_path):
        (tmp_path / "notes.png").write_bytes(b"not an image at all")
        with pytest.raises(ImageError, match="notes"):
            read_size(tmp_path / "notes.png")
        with pytest.raises(ImageNotFoundError, match="there is no such file"):
            read_size(tmp_path / "missing.png")

    def test_pillow_source_is_turned_and_not_changed(self, picture):
        image = Image.fromarray(np.ascontiguousarray(SENSOR[6](picture)))
        image.getexif()[0x0112] = 6
        np.testing.assert_array_equal(pixels(image), unit(picture))
        assert image.size == (40, 56)
        assert image.getexif()[0x0112] == 6

    def test_sixteen_bit(self, encode):
        sensor = np.arange(6, dtype=np.uint16).reshape(2, 3) * 10000
        exif = Image.Exif()
        exif[0x0112] = 6
        result = load_image(encode(sensor, "PNG", exif=exif))[0].numpy()
        np.testing.assert_array_equal(result, np.rot90(sensor, -1).astype(np.float32) / np.float32(65535))

    @pytest.mark.parametrize("exif", [b"Exif\0\0MM\0*", b"Exif\0\0junk", b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"])
    def test_damaged_exif_is_ignored(self, exif, picture, encode):
        np.testing.assert_array_equal(pixels(encode(picture, "PNG", exif=exif)), unit(picture))

    @pytest.mark.parametrize("value", [0, 9, 1000])
    def test_unknown_value_is_ignored(self, value, picture, encode):
        exif = Image.Exif()
        exif[0x0112] = value
        np.testing.assert_array_equal(pixels(encode(picture, "PNG", exif=exif)), unit(picture))


class TestAlpha:
    def test_rgba_on_white_for_all_values(self, encode):
        color, alpha = np.meshgrid(np.arange(256), np.arange(256))
        rgba = np.stack([color, 255 - color, color // 2, alpha], axis=-1).astype(np.uint8)
        exact = (rgba[..., :3] / 255.0) * (rgba[..., 3:] / 255.0) + (1 - rgba[..., 3:] / 255.0)
        result = pixels(encode(rgba, "PNG"))
        np.testing.assert_allclose(result, exact, atol=1e-6)
        assert (result[0] == 1).all()
        np.testing.assert_array_equal(result[255], unit(rgba[255, :, :3]))

    def test_la(self, encode):
        grey = Image.fromarray(np.array([[0, 0, 0, 100]], dtype=np.uint8))
        alpha = Image.fromarray(np.array([[255, 0, 51, 255]], dtype=np.uint8))
        image = Image.merge("LA", (grey, alpha))
        np.testing.assert_allclose(pixels(encode(image, "PNG"))[0, :, 1], [0, 1, 0.8, 100 / 255], atol=1e-6)

    @pytest.mark.parametrize("mode", ["RGBa", "La"])
    def test_premultiplied(self, mode):
        straight = Image.new(
            "RGBA" if mode == "RGBa" else "LA", (2, 2), (200, 100, 50, 128) if mode == "RGBa" else (200, 128)
        )
        np.testing.assert_allclose(pixels(straight.convert(mode)), pixels(straight), atol=2 / 255)

    def test_palette_with_alpha_per_entry(self, encode):
        image = Image.new("P", (3, 1))
        image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
        image.putdata([0, 1, 2])
        data = encode(image, "PNG", transparency=bytes([255, 0, 51]))
        np.testing.assert_allclose(pixels(data)[0], [[1, 0, 0], [1, 1, 1], [0.8, 0.8, 1]], atol=1e-6)

    @pytest.mark.parametrize("kind", ["PNG", "GIF"])
    def test_palette_with_transparent_index(self, kind, encode):
        image = Image.new("P", (3, 1))
        image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
        image.putdata([0, 1, 2])
        assert pixels(encode(image, kind, transparency=1))[0].tolist() == [[1, 0, 0], [1, 1, 1], [0, 0, 1]]

    def test_palette_and_alpha_channel(self):
        image = Image.new("P", (2, 1))
        image.putpalette([255, 0, 0])
        image = image.convert("PA")
        image.putalpha(51)
        np.testing.assert_allclose(pixels(image)[0, 0], [1, 0.8, 0.8], atol=1e-6)

    def test_color_key(self, encode):
        image = Image.fromarray(np.array([[[1, 2, 3], [1, 2, 4]]], dtype=np.uint8))
        np.testing.assert_array_equal(
            pixels(encode(image, "PNG", transparency=(1, 2, 3)))[0], [[1, 1, 1], unit([1, 2, 4])]
        )

    def test_grey_key(self, encode):
        image = Image.fromarray(np.array([[7, 8]], dtype=np.uint8))
        np.testing.assert_array_equal(pixels(encode(image, "PNG", transparency=7))[0, :, 0], [1, unit(8)])

    def test_sixteen_bit_keys(self, make_png):
        grey = make_png(2, 1, 16, 0, b"\0" + struct.pack(">2H", 0x1234, 0x1235), [(b"tRNS", struct.pack(">H", 0x1234))])
        np.testing.assert_array_equal(pixels(grey)[0, :, 0], np.float32([1, 0x1235 / 65535]))
        rows = b"\0" + struct.pack(">6H", 0x1234, 0x5678, 0x9ABC, 0x3412, 0x7856, 0xBC9A)
        key = struct.pack(">3H", 0x1234, 0x5678, 0x9ABC)
        color = pixels(make_png(2, 1, 16, 2, rows, [(b"tRNS", key)]))
        np.testing.assert_array_equal(color[0], [[1, 1, 1], unit([0x34, 0x78, 0xBC])])

    def test_webp_with_alpha(self, noise, encode):
        rgba = np.concatenate([noise, np.full((40, 56, 1), 255, np.uint8)], axis=-1)
        rgba[:20, :, 3] = 0
        result = pixels(encode(rgba, "WEBP", lossless=True, exact=True))
        assert (result[:20] == 1).all()
        np.testing.assert_array_equal(result[20:], unit(noise[20:]))


class TestDepth:
    def test_sixteen_bit_png_is_exact(self, encode):
        levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
        result = load_image(encode(levels, "PNG"))
        assert torch.equal(result[0], torch.arange(65536).reshape(256, 256).float() / 65535)
        assert torch.equal(result[0], result[1])
        assert torch.equal(result[0], result[2])

    @pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L", "I"])
    def test_sixteen_bit_modes(self, mode):
        values = np.array([[0, 1, 256, 65535]])
        raw = values.astype({"I;16B": ">u2", "I": "<i4"}.get(mode, "<u2")).tobytes()
        raw_mode = "I;32" if mode == "I" else mode
        image = Image.frombytes(mode, (4, 1), raw, "raw", raw_mode)
        np.testing.assert_array_equal(pixels(image)[0, :, 2], values[0].astype(np.float32) / np.float32(65535))

    @pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
    def test_sixteen_bit_tiff(self, compression, encode):
        levels = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
        result = load_image(encode(levels, "TIFF", compression=compression))
        np.testing.assert_array_equal(result[1].numpy(), levels.astype(np.float32) / np.float32(65535))

    def test_twelve_bit_tiff(self):
        entries = [(256, 2), (257, 1), (258, 12), (259, 1), (262, 1), (273, 200), (277, 1), (278, 1), (279, 3)]
        tags = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in entries)
        data = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", len(entries)) + tags + b"\0" * 4
        data = data.ljust(200, b"\0") + bytes([0xFF, 0xF8, 0x00])
        np.testing.assert_allclose(load_image(data)[0, 0].numpy(), [1, 2048 / 4095])

    def test_sixteen_bit_color_keeps_its_upper_bytes(self, make_png):
        values = np.array([0x0000, 0x00FF, 0x0100, 0x80FF, 0xFF00, 0xFFFF])
        data = make_png(2, 1, 16, 2, b"\0" + values.astype(">u2").tobytes())
        np.testing.assert_array_equal(pixels(data).reshape(-1), unit(values >> 8))

    def test_sixteen_bit_rgba(self, make_png):
        values = np.array([0x8000, 0x4000, 0xFFFF, 0x8000, 0x1200, 0x3400, 0x5600, 0x0000])
        data = make_png(2, 1, 16, 6, b"\0" + values.astype(">u2").tobytes())
        alpha = 0x80 / 255
        np.testing.assert_allclose(pixels(data)[0, 0], unit([0x80, 0x40, 0xFF]) * alpha + 1 - alpha, atol=1e-6)
        assert pixels(data)[0, 1].tolist() == [1, 1, 1]

    def test_pgm_with_ten_bits(self):
        data = b"P5 3 1 1023\n" + struct.pack(">3H", 0, 512, 1023)
        np.testing.assert_allclose(load_image(data)[0, 0].numpy(), [0, 512 / 1023, 1], atol=1e-5)

    def test_float(self, encode):
        values = np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3)
        np.testing.assert_array_equal(load_image(encode(values, "TIFF"))[1].numpy(), values)

    @pytest.mark.parametrize(
        ("array", "message"),
        [
            (np.float32([[0, 255]]), r"must be in \[0, 1\], but these are from 0 to 255"),
            (np.float32([[0, np.nan]]), "nan"),
            (np.int32([[0, 65536]]), r"must be in 0\.\.\.65535, but these are from 0 to 65536"),
            (np.int32([[-1, 3]]), "from -1 to 3"),
        ],
    )
    def test_unknown_scale_is_refused(self, array, message, encode):
        with pytest.raises(ImageError, match=message) as caught:
            load_image(encode(array, "TIFF"))
        assert type(caught.value) is ImageError


class TestModes:
    def test_grey(self, noise, encode):
        np.testing.assert_array_equal(pixels(encode(noise[..., 0], "PNG")), unit(noise[..., [0, 0, 0]]))

    def test_bilevel(self, encode):
        image = Image.fromarray(np.array([[True, False]]))
        assert image.mode == "1"
        assert load_image(encode(image, "PNG"))[:, 0].tolist() == [[1, 0]] * 3

    def test_palette(self, encode):
        image = Image.new("P", (2, 1))
        image.putpalette([10, 20, 30, 40, 50, 60])
        image.putdata([1, 0])
        np.testing.assert_array_equal(pixels(encode(image, "PNG"))[0], unit([[40, 50, 60], [10, 20, 30]]))

    def test_cmyk(self, encode):
        image = Image.new("CMYK", (4, 1))
        image.putdata([(0, 0, 0, 0), (255, 0, 0, 0), (0, 0, 0, 255), (0, 128, 0, 0)])
        result = pixels(encode(image, "TIFF"))[0]
        np.testing.assert_allclose(result, [[1, 1, 1], [0, 1, 1], [0, 0, 0], [1, 127 / 255, 1]], atol=1e-6)

    def test_cmyk_jpeg_is_not_inverted(self, picture, encode):
        result = pixels(encode(Image.fromarray(picture).convert("CMYK"), "JPEG", quality=95))
        np.testing.assert_allclose(result, unit(picture), atol=0.04)

    @pytest.mark.parametrize("mode", ["YCbCr", "HSV", "LAB", "RGBX"])
    def test_other_color_spaces(self, mode, picture):
        difference = abs(pixels(Image.fromarray(picture).convert(mode)) - unit(picture)) * 255
        assert difference.max() < (16 if mode == "LAB" else 6)
        assert difference.mean() < 2

    @pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
    def test_first_frame(self, kind, encode):
        frames = [Image.new("RGB", (40, 40), color) for color in ((255, 0, 0), (0, 0, 255))]
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
        with Image.open(io.BytesIO(data)) as image:
            assert image.n_frames == 2
        np.testing.assert_allclose(load_image(data).mean(dim=(1, 2)), [1, 0, 0], atol=0.02)

    @pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "QOI", "GIF"])
    def test_lossless_formats(self, kind, noise, encode):
        image = noise[:16, :16]
        np.testing.assert_array_equal(pixels(encode(image, kind)), unit(image))

    @pytest.mark.parametrize(("kind", "options"), [("WEBP", {"lossless": True}), ("JPEG2000", {})])
    def test_lossless_options(self, kind, options, noise, encode):
        np.testing.assert_array_equal(pixels(encode(noise, kind, **options)), unit(noise))

    @pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF", "JPEG2000"])
    def test_lossy_formats_are_as_pillow_decodes_them(self, kind, picture, encode):
        data = encode(picture, kind)
        with Image.open(io.BytesIO(data)) as image:
            reference = np.array(image.convert("RGB"))
        np.testing.assert_array_equal(pixels(data), unit(reference))
        assert abs(unit(reference) - unit(picture)).mean() < 0.02

    def test_photograph_with_second_picture_inside(self, picture, encode):
        image = Image.fromarray(picture)
        data = encode(image, "MPO", save_all=True, append_images=[Image.new("RGB", (20, 20))], quality=95)
        np.testing.assert_allclose(pixels(data), unit(picture), atol=0.03)
