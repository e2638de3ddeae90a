"""Damaged and hostile files: always an ImageError, never a warning, nothing left behind."""

import struct
import threading
import types
import warnings

import numpy as np
import pytest
from PIL import Image, ImageFile

from topiq_metrics.errors import ImageError, TruncatedImageError, UnsupportedImageError
from topiq_metrics.images import load_image
from topiq_metrics.images.pillow_state import quiet_pillow

FORMATS = {
    "JPEG": {"quality": 90},
    "progressive JPEG": {"quality": 90, "progressive": True},
    "PNG": {},
    "WEBP": {},
    "lossless WEBP": {"lossless": True},
    "TIFF": {},
    "LZW TIFF": {"compression": "tiff_lzw"},
    "GIF": {},
    "BMP": {},
    "AVIF": {},
    "JPEG2000": {},
    "QOI": {},
    "PPM": {},
}


@pytest.fixture
def exif():
    data = Image.Exif()
    data[0x0112] = 6
    data[0x010F] = "a camera"
    data[0x9286] = "a comment"
    return data


@pytest.fixture
def sample(noise, encode, exif, matrix_profile):
    def make(name):
        kind = name.rpartition(" ")[2]
        options = dict(FORMATS[name])
        if kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
            options |= {"exif": exif, "icc_profile": matrix_profile(((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)), 2.2)}
        return encode(noise, kind, **options)

    return make


@pytest.mark.parametrize("name", FORMATS)
def test_cut_short(name, noise, encode):
    data = encode(noise, name.rpartition(" ")[2], **FORMATS[name])
    # The last bytes may be an end mark, without which the picture is whole.
    for cut in np.linspace(20, len(data) * 0.97, 40).astype(int).tolist():
        with pytest.raises(TruncatedImageError, match="bytes>: the file is truncated or damaged") as caught:
            load_image(data[:cut])
        assert caught.value.__cause__ is not None


@pytest.mark.parametrize("name", FORMATS)
def test_random_damage(name, sample):
    data = sample(name)
    rng = np.random.default_rng(len(data))
    refused = 0
    for trial in range(300):
        mutated = bytearray(data)
        # Headers and metadata come first: half of the damage goes there.
        reach = len(data) if trial % 2 else min(len(data), 700)
        for _ in range(rng.integers(1, 8)):
            mutated[rng.integers(reach)] = rng.integers(256)
        try:
            result = load_image(mutated, max_pixels=10**6)
        except ImageError:
            refused += 1
        else:
            assert result.shape[0] == 3
            assert 0 <= result.min() <= result.max() <= 1
    assert refused > 5


def test_message_names_file_and_cause(tmp_path, sample):
    path = tmp_path / "half.png"
    path.write_bytes(sample("PNG")[:3000])
    with pytest.raises(TruncatedImageError, match=r"half\.png: the file is truncated or damaged \(OSError: .+\)"):
        load_image(path)


def test_unsupported_feature_is_no_damage(sample, monkeypatch):
    def fail(*_):
        raise NotImplementedError("codec 99")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load_prepare", fail)
    with pytest.raises(
        UnsupportedImageError, match=r"uses a feature of its format that Pillow does not read \(codec 99\)"
    ):
        load_image(sample("PNG"))


@pytest.fixture
def noisy_file(noise, encode):
    """A picture that is whole, with metadata that Pillow warns of."""
    entry = struct.pack("<HHII", 0x010F, 2, 5000, 100)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + entry + b"\0\0\0\0"
    data = encode(noise, "PNG", exif=exif)
    with pytest.warns(UserWarning, match="Tag data larger|Truncated File Read"):
        _exif_by_pillow(data)
    return data


def _exif_by_pillow(data):
    parser = ImageFile.Parser()
    parser.feed(data)
    return dict(parser.close().getexif())


class TestWarnings:
    def test_none_leak(self, noisy_file, noise):
        np.testing.assert_array_equal(load_image(noisy_file), load_image(noise))

    def test_filters_are_as_before(self, noisy_file):
        before = list(warnings.filters)
        load_image(noisy_file)
        with pytest.raises(ImageError):
            load_image(noisy_file[:500])
        assert list(warnings.filters) == before

    def test_pillow_warns_again_afterwards(self, noisy_file):
        load_image(noisy_file)
        with pytest.warns(UserWarning, match="Tag data larger|Truncated File Read"):
            _exif_by_pillow(noisy_file)

    def test_other_warnings_are_still_shown_once_only(self, noisy_file):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("default")
            for _ in range(3):
                load_image(noisy_file)
                warnings.warn("once", UserWarning, stacklevel=1)
        assert [str(w.message) for w in seen] == ["once"]

    def test_first_to_leave_does_not_end_it_for_the_others(self, noisy_file):
        with quiet_pillow():
            with quiet_pillow():
                pass
            _exif_by_pillow(noisy_file)

    def test_where_filters_belong_to_the_thread(self, noisy_file, monkeypatch):
        flags = types.SimpleNamespace(context_aware_warnings=True)
        monkeypatch.setattr("topiq_metrics.images.pillow_state.sys", types.SimpleNamespace(flags=flags))
        before = list(warnings.filters)
        load_image(noisy_file)
        assert list(warnings.filters) == before

    def test_threads(self, noisy_file, noise):
        before = list(warnings.filters)
        reference = load_image(noise)
        failures = []
        start = threading.Barrier(6)

        def work():
            start.wait()
            try:
                for _ in range(25):
                    np.testing.assert_array_equal(load_image(noisy_file), reference)
            except BaseException as error:  # noqa: BLE001 - told below
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert list(warnings.filters) == before


def test_settings_of_pillow_stay(sample):
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    for name in FORMATS:
        load_image(sample(name))
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


def test_a_lenient_pillow_is_no_excuse(sample, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = sample("PNG")
    with pytest.raises(TruncatedImageError):
        load_image(data[: len(data) // 2])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True
    load_image(data)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True
