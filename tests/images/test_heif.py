"""HEIF, through the extra package."""

import contextlib
import sys

import numpy as np
import pytest
from PIL import Image

from topiq_metrics.errors import (
    ImageError,
    ImageTooLargeError,
    NotAnImageError,
    TruncatedImageError,
    UnsupportedImageError,
)
from topiq_metrics.images import load_image

HEIC_HEADER = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 40


@pytest.fixture
def heif():
    return pytest.importorskip("pillow_heif", reason="needs the extra `heic`")


@pytest.fixture
def heic(heif, picture, tmp_path):
    path = tmp_path / "a.heic"
    heif.from_pillow(Image.fromarray(picture)).save(path, quality=95, chroma=444)
    return path


def test_roundtrip(heic, picture):
    result = load_image(heic)
    np.testing.assert_allclose(result.permute(1, 2, 0).numpy() * 255, picture, atol=6)


def test_alpha(heif, tmp_path):
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    heif.from_pillow(image).save(tmp_path / "a.heic", quality=-1)
    assert load_image(tmp_path / "a.heic").min() > 0.98


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_orientation_is_applied_once(orientation, heif, picture, tmp_path):
    turned = np.ascontiguousarray(np.rot90(picture, {3: 2, 6: 1, 8: -1}[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    heif.from_pillow(Image.fromarray(turned)).save(tmp_path / "a.heic", quality=95, chroma=444, exif=exif.tobytes())
    stored = heif.open_heif(tmp_path / "a.heic").to_pillow()
    assert stored.size == (56, 40)
    assert stored.info["original_orientation"] == orientation
    result = load_image(tmp_path / "a.heic")
    np.testing.assert_allclose(result.permute(1, 2, 0).numpy() * 255, picture, atol=6)


def test_profile(heif, matrix_profile, picture, tmp_path):
    swapped = matrix_profile(((0.30, 0.60), (0.64, 0.33), (0.15, 0.06)), "srgb")
    image = Image.fromarray(picture)
    image.info["icc_profile"] = swapped
    heif.from_pillow(image).save(tmp_path / "a.heic", quality=95, chroma=444)
    result = load_image(tmp_path / "a.heic")
    np.testing.assert_allclose(result.permute(1, 2, 0).numpy() * 255, picture[..., [1, 0, 2]], atol=7)


def test_limit(heic):
    with pytest.raises(ImageTooLargeError, match="56 x 40 pixels"):
        load_image(heic, max_pixels=1000)


def test_truncated_and_mutated(heic):
    data = heic.read_bytes()
    for cut in range(64, len(data) - 1, max(1, len(data) // 12)):
        with pytest.raises(TruncatedImageError):
            load_image(data[:cut])
    rng = np.random.default_rng(1)
    for _ in range(60):
        mutated = bytearray(data)
        mutated[rng.integers(len(data))] = rng.integers(256)
        with contextlib.suppress(ImageError):
            load_image(mutated, max_pixels=10**6)


def test_package_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnsupportedImageError, match=r"<64 bytes>: HEIF needs .*pip install 'topiq-metrics\[heic\]'"):
        load_image(HEIC_HEADER)


@pytest.mark.parametrize("brand", [b"mp42", b"isom", b"qt  "])
def test_videos_are_no_images(brand):
    with pytest.raises(NotAnImageError, match="not an image in a supported format"):
        load_image(HEIC_HEADER.replace(b"heic", brand))


def test_avif_with_the_general_brand(picture, encode):
    data = encode(picture, "AVIF")
    general = data[:8] + b"mif1" + data[12:]
    assert load_image(general).shape == (3, 40, 56)


@pytest.mark.parametrize(("kind", "feature"), [("AVIF", "avif"), ("WEBP", "webp")])
def test_pillow_without_the_format(kind, feature, picture, encode, monkeypatch):
    data = encode(picture, kind)
    monkeypatch.setattr("PIL.features.check", lambda name: name != feature)
    with pytest.raises(UnsupportedImageError, match="which the installed Pillow was built without"):
        load_image(data)
