"""Embedded colour profiles, against a computation from the primaries."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from topiq_metrics.images import load_image

SRGB = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE_RGB = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060))


def decode(values, curve):
    if curve == "srgb":
        return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return values**curve


def encode_srgb(linear):
    linear = linear.clip(0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def levels(source):
    return load_image(source).permute(1, 2, 0).numpy() * 255


@pytest.mark.parametrize(("primaries", "curve"), [(DISPLAY_P3, "srgb"), (ADOBE_RGB, 2.19921875), (SRGB, 1.0)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_rgb(primaries, curve, kind, noise, encode, matrix_profile, primaries_to_xyz):
    to_srgb = np.linalg.solve(primaries_to_xyz(SRGB), primaries_to_xyz(primaries))
    exact = encode_srgb(decode(noise / 255, curve) @ to_srgb.T) * 255
    options = {"lossless": True} if kind == "WEBP" else {}
    result = levels(encode(noise, kind, icc_profile=matrix_profile(primaries, curve), **options))
    np.testing.assert_allclose(result, exact, atol=1.6)
    assert abs(result - noise).mean() > 2


def test_display_p3_in_a_jpeg(picture, encode, matrix_profile, primaries_to_xyz):
    plain = levels(encode(picture, "JPEG", quality=95))
    wide = levels(encode(picture, "JPEG", quality=95, icc_profile=matrix_profile(DISPLAY_P3, "srgb")))
    to_srgb = np.linalg.solve(primaries_to_xyz(SRGB), primaries_to_xyz(DISPLAY_P3))
    np.testing.assert_allclose(wide, encode_srgb(decode(plain / 255, "srgb") @ to_srgb.T) * 255, atol=1.6)
    assert abs(wide - plain).max() > 10


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_alpha_and_palette_go_with_it(mode, encode, matrix_profile):
    profile = matrix_profile(ADOBE_RGB, 2.19921875)
    color = (40, 200, 90)
    opaque = levels(encode(Image.new("RGB", (2, 2), color), "PNG", icc_profile=profile))[0, 0]
    assert abs(opaque - color).max() > 10
    if mode == "P":
        image = Image.new("P", (2, 2))
        image.putpalette(color)
        result = levels(encode(image, "PNG", icc_profile=profile))[0, 0]
        np.testing.assert_allclose(result, opaque, atol=1e-3)
    else:
        result = levels(encode(Image.new("RGBA", (2, 2), (*color, 51)), "PNG", icc_profile=profile))[0, 0]
        np.testing.assert_allclose(result, opaque * 0.2 + 255 * 0.8, atol=1e-3)


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey(mode, encode, grey_profile):
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    image = ramp if mode == "L" else Image.merge("LA", (ramp, Image.new("L", ramp.size, 255)))
    result = levels(encode(image, "PNG", icc_profile=grey_profile(1.8)))
    exact = encode_srgb((np.arange(256) / 255) ** (461 / 256)) * 255
    np.testing.assert_allclose(result[0], np.repeat(exact[:, None], 3, axis=1), atol=1.6)


def test_cmyk(encode, cmyk_profile):
    image = Image.new("CMYK", (3, 1))
    image.putdata([(0, 0, 0, 0), (255, 0, 0, 0), (0, 0, 0, 255)])
    cyan = (60.0, -30.0, -40.0)
    profile = cmyk_profile({(1, 0, 0, 0): cyan, (0, 0, 0, 1): (20.0, 0.0, 0.0)})
    # CIELAB relative to D50, through the D50 matrix of sRGB (Lindbloom).
    f = (cyan[0] + 16) / 116
    xyz = np.array([0.96422, 1.0, 0.82521]) * np.array([f + cyan[1] / 500, f, f - cyan[2] / 200]) ** 3
    inverse = np.array(
        [[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427]]
    )
    result = levels(encode(image, "TIFF", icc_profile=profile))[0]
    np.testing.assert_allclose(result[0], 255, atol=1)
    np.testing.assert_allclose(result[1], encode_srgb(inverse @ xyz) * 255, atol=2)
    np.testing.assert_allclose(result[2], 48, atol=2)


class TestLeftAlone:
    def test_srgb_of_pillow(self, noise, encode):
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        np.testing.assert_array_equal(levels(encode(noise, "PNG", icc_profile=profile)).round(), noise)

    def test_srgb_under_another_name(self, noise, encode, matrix_profile):
        result = load_image(encode(noise, "PNG", icc_profile=matrix_profile(SRGB, "srgb")))
        np.testing.assert_array_equal(result, load_image(noise))

    def test_srgb_but_for_rounding(self, noise, encode, matrix_profile):
        profile = matrix_profile(((0.6405, 0.330), *SRGB[1:]), "srgb")
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(Image.fromarray(noise), source, ImageCms.createProfile("sRGB"))
        assert abs(np.array(converted).astype(int) - noise).max() == 1
        np.testing.assert_array_equal(load_image(encode(noise, "PNG", icc_profile=profile)), load_image(noise))

    @pytest.mark.parametrize("damage", ["junk", "cut", "zeros"])
    def test_broken(self, damage, noise, encode, matrix_profile):
        whole = matrix_profile(ADOBE_RGB, 2.2)
        profile = {"junk": b"not a profile", "cut": whole[:200], "zeros": whole[:132] + bytes(len(whole) - 132)}[damage]
        np.testing.assert_array_equal(load_image(encode(noise, "PNG", icc_profile=profile)), load_image(noise))

    def test_of_another_color_space(self, noise, encode, matrix_profile, grey_profile):
        grey = noise[..., 0]
        result = load_image(encode(grey, "PNG", icc_profile=matrix_profile(SRGB, 1.0)))
        np.testing.assert_array_equal(result, load_image(grey))
        result = load_image(encode(noise, "PNG", icc_profile=grey_profile(1.0)))
        np.testing.assert_array_equal(result, load_image(noise))

    def test_sixteen_bit_grey(self, encode, grey_profile):
        grey = np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8)
        np.testing.assert_array_equal(load_image(encode(grey, "PNG", icc_profile=grey_profile(1.0))), load_image(grey))
