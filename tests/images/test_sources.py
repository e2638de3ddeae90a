"""What load_image takes, and what it says of what it doesn't."""

import io
import pathlib
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from topiq_metrics.errors import (
    ImageError,
    ImageNotFoundError,
    ImageTooLargeError,
    NotAnImageError,
    TruncatedImageError,
)
from topiq_metrics.images import load_image


def expected(array):
    return torch.from_numpy(array).permute(2, 0, 1).float() / 255


def assert_loaded(result, array):
    assert result.dtype == torch.float32
    assert result.is_contiguous()
    assert torch.equal(result, expected(array))


@pytest.fixture
def png(noise, encode):
    return encode(noise, "PNG")


@pytest.fixture
def file(tmp_path, png):
    path = tmp_path / "p\u00edcture \u753b.dat"
    path.write_bytes(png)
    return path


class TestEncodedSources:
    def test_path_whatever_its_suffix(self, file, noise):
        assert_loaded(load_image(file), noise)
        assert_loaded(load_image(str(file)), noise)

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_bytes(self, kind, png, noise):
        assert_loaded(load_image(kind(png)), noise)

    def test_binary_file_is_read_from_its_start_and_left_open(self, file, noise):
        with file.open("rb") as stream:
            stream.read(100)
            assert_loaded(load_image(stream), noise)
            assert not stream.closed

    def test_stream_that_cannot_seek(self, png, noise):
        class Pipe:
            def __init__(self):
                self.read = io.BytesIO(png).read

        assert_loaded(load_image(Pipe()), noise)

    def test_zip_member(self, tmp_path, png, noise):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("a.png", png)
        with zipfile.ZipFile(tmp_path / "a.zip") as archive, archive.open("a.png") as member:
            assert_loaded(load_image(member), noise)

    @pytest.mark.parametrize("damaged", [False, True])
    def test_handle_is_closed(self, damaged, file, png, monkeypatch):
        if damaged:
            file.write_bytes(png[:500])
        handles = []
        original = pathlib.Path.open

        def record(*args, **kwargs):
            handles.append(original(*args, **kwargs))
            return handles[-1]

        monkeypatch.setattr(pathlib.Path, "open", record)
        if damaged:
            with pytest.raises(TruncatedImageError):
                load_image(file)
        else:
            load_image(file)
        assert [handle.closed for handle in handles] == [True]


class TestPillowSources:
    def test_pixels(self, noise):
        assert_loaded(load_image(Image.fromarray(noise)), noise)

    def test_file_backed_image_stays_usable(self, file, noise):
        with Image.open(file) as image:
            load_image(image)
            assert_loaded(load_image(image), noise)

    def test_current_frame(self, encode):
        frames = [Image.new("RGB", (40, 40), color) for color in ("red", "blue")]
        data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
        with Image.open(io.BytesIO(data)) as image:
            image.seek(1)
            assert load_image(image)[:, 0, 0].tolist() == [0, 0, 1]

    def test_no_pixels(self):
        with pytest.raises(ImageError, match="<PIL image, RGB, 0 x 5>: has no pixels"):
            load_image(Image.new("RGB", (0, 5)))

    def test_closed(self, file):
        with Image.open(file) as image:
            pass
        with pytest.raises(ImageError, match=r"\.dat: the file is truncated or damaged"):
            load_image(image)


class TestArrays:
    def test_uint8(self, noise):
        assert_loaded(load_image(noise), noise)

    @pytest.mark.parametrize("change", ["readonly", "reversed", "fortran", "sliced"])
    def test_any_memory_layout(self, change, noise):
        array = {
            "readonly": noise.copy(),
            "reversed": noise[::-1, ::-1],
            "fortran": np.asfortranarray(noise),
            "sliced": noise[::2, 1::3],
        }[change]
        array.flags.writeable = change != "readonly"
        assert_loaded(load_image(array), array.copy())

    @pytest.mark.parametrize("order", ["<u2", ">u2"])
    def test_uint16(self, order):
        array = np.array([[0, 1, 32768, 65535]], dtype=order)
        result = load_image(array)
        assert torch.equal(result, torch.tensor([0, 1, 32768, 65535]).div(65535).expand(3, 1, 4))

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_float(self, dtype):
        array = np.linspace(0, 1, 12).astype(dtype).reshape(2, 2, 3)
        np.testing.assert_array_equal(load_image(array).permute(1, 2, 0).numpy(), array.astype(np.float32))

    @pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1)])
    def test_grey(self, shape):
        array = np.arange(35, dtype=np.uint8).reshape(shape)
        assert_loaded(load_image(array), np.repeat(array.reshape(5, 7, 1), 3, axis=2))

    def test_rgba_is_composed_on_white(self):
        array = np.array([[[1.0, 0.0, 0.5, 0.25], [0.2, 0.4, 0.6, 0.0]]])
        np.testing.assert_allclose(load_image(array)[:, 0, 0], [1, 0.75, 0.875])
        assert load_image(array)[:, 0, 1].tolist() == [1, 1, 1]

    def test_result_shares_no_memory(self):
        array = np.zeros((4, 4), dtype=np.float32)
        load_image(array).fill_(1)
        assert not array.any()

    def test_rounding_is_clipped(self):
        assert load_image(np.array([[-1e-4, 1.0001]]))[0].tolist() == [[0, 1]]

    @pytest.mark.parametrize(
        ("array", "message"),
        [
            (np.zeros((3, 8, 9), np.uint8), r"got shape \(3, 8, 9\), dtype uint8. It looks like \(C, H, W\)"),
            (np.zeros((8, 9, 2), np.uint8), r"must be an array of shape .* but got shape \(8, 9, 2\)"),
            (
                np.zeros((2, 8, 9, 3), np.uint8),
                r"a batch: .* as `load_image\(array\[0\]\)`",
            ),
            (np.zeros((1, 8, 9, 3), np.uint8), r"It looks like a batch of one: use `array\[0\]`"),
            (np.zeros((1, 3, 8, 9), np.uint8), r"a batch of one: use `array\[0\]\.transpose\(1, 2, 0\)`"),
            (np.zeros((4, 8, 9), np.uint8), r"use `array\.transpose\(1, 2, 0\)`"),
            (np.zeros((8,), np.uint8), r"got shape \(8,\), dtype uint8\.$"),
            (np.zeros((0, 9, 3), np.uint8), r"got shape \(0, 9, 3\)"),
            (np.zeros((8, 9, 3), np.int64), "must be an array of uint8, uint16 or float .* got dtype int64"),
            (np.zeros((8, 9), bool), "got dtype bool"),
            (np.full((8, 9), 200.0), r"must be in \[0, 1\], but these are from 200 to 200"),
            (np.full((8, 9), np.nan), "these are from nan to nan"),
            (np.full((8, 9), np.inf), "these are from inf to inf"),
            (np.full((8, 9), -0.5), "these are from -0.5 to -0.5"),
        ],
    )
    def test_refused(self, array, message):
        with pytest.raises(ImageError, match=message):
            load_image(array)


class TestTensors:
    @pytest.mark.parametrize("channels", [1, 3])
    def test_uint8(self, channels):
        tensor = torch.arange(channels * 20, dtype=torch.uint8).reshape(channels, 4, 5)
        result = load_image(tensor)
        assert result.is_contiguous()
        assert torch.equal(result, (tensor.float() / 255).expand(3, 4, 5))

    def test_uint16(self):
        tensor = torch.tensor([0, 65535], dtype=torch.uint16).reshape(1, 1, 2)
        assert load_image(tensor)[2].tolist() == [[0, 1]]

    def test_float32_is_not_copied(self):
        tensor = torch.rand(3, 4, 5)
        result = load_image(tensor)
        assert torch.equal(result, tensor)
        assert result.data_ptr() == tensor.data_ptr()

    def test_rgba(self):
        tensor = torch.rand(4, 4, 5, dtype=torch.float64)
        white = tensor[:3] * tensor[3] + 1 - tensor[3]
        torch.testing.assert_close(load_image(tensor), white.float())

    @pytest.mark.parametrize(
        ("tensor", "message"),
        [
            (torch.zeros(8, 9, 3), r"\(3, H, W\).* got shape \(8, 9, 3\), dtype torch.float32. It looks like"),
            (torch.zeros(1, 3, 8, 9), r"It looks like a batch of one: use `tensor\[0\]`"),
            (torch.zeros(1, 8, 9, 3), r"a batch of one: use `tensor\[0\]\.permute\(2, 0, 1\)`"),
            (torch.zeros(2, 3, 8, 9), r"a batch: load one image after the other, as `load_image\(tensor\[0\]\)`"),
            (torch.zeros(8, 9), r"It looks like \(H, W\): use `tensor\[None\]`"),
            (torch.zeros(3, 0, 9), r"got shape \(3, 0, 9\)"),
            (torch.zeros(3, 8, 9, dtype=torch.int64), "got dtype torch.int64"),
            (torch.zeros(3, 8, 9) - 1, r"Argument `source`.* must be in \[0, 1\], but these are from -1 to -1"),
        ],
    )
    def test_refused(self, tensor, message):
        with pytest.raises(ImageError, match=message):
            load_image(tensor)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
@pytest.mark.parametrize("shape", [(1, 8, 9, 3), (2, 8, 9, 4), (1, 3, 8, 9), (2, 4, 8, 9), (1, 1, 8, 9)])
def test_the_hint_for_a_batch_works(kind, shape):
    batch = kind(np.zeros(shape, np.uint8))
    with pytest.raises(ImageError, match="a batch") as caught:
        load_image(batch)
    expression = re.search(r"(array|tensor)\[0\](\.\w+\([^)]*\))?", str(caught.value))[0]
    assert load_image(eval(expression, {"array": batch, "tensor": batch})).shape == (3, 8, 9)


class TestRefusedSources:
    @pytest.mark.parametrize(
        "url",
        [
            "https://example.org/a.png",
            "HTTP://example.org/a.png",
            "s3://bucket/a.png",
            "file:///a.png",
            pathlib.PurePosixPath("https://example.org/a.png"),
        ],
    )
    def test_url(self, url):
        with pytest.raises(ImageNotFoundError, match=r"is a URL, .*`topiq score` and `topiq_metrics\.score_images`"):
            load_image(url)

    @pytest.mark.parametrize("length", [20, 100_000])
    def test_data_url(self, length):
        with pytest.raises(ImageNotFoundError, match="is a data URL: pass the bytes") as caught:
            load_image("data:image/png;base64," + "A" * length)
        assert len(str(caught.value)) < 200

    def test_a_file_whose_name_looks_like_a_url(self, tmp_path, monkeypatch, png, noise):
        monkeypatch.chdir(tmp_path)
        pathlib.Path("http:").mkdir()
        pathlib.Path("http:/a.png").write_bytes(png)
        assert_loaded(load_image("http://a.png"), noise)

    def test_list(self, png):
        with pytest.raises(ImageError, match=r"but got list\. Load one image after the other"):
            load_image([png])

    def test_missing(self, tmp_path):
        with pytest.raises(ImageNotFoundError, match=r"gone\.png: there is no such file") as caught:
            load_image(tmp_path / "gone.png")
        assert isinstance(caught.value.__cause__, FileNotFoundError)
        assert caught.value.reason == "missing"

    @pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode there")
    @pytest.mark.parametrize("name", ["pr\udcfcfung.png", "\udcb5/a.png"])
    def test_missing_by_a_name_in_another_encoding(self, name, tmp_path):
        with pytest.raises(ImageNotFoundError, match=r"there is no such file\. Its name is not in UTF-8: is the table"):
            load_image(tmp_path / name)

    def test_directory(self, tmp_path):
        with pytest.raises(ImageError, match="is a directory, not a file"):
            load_image(tmp_path)

    def test_directory_on_windows(self, tmp_path, monkeypatch):
        monkeypatch.setattr(pathlib.Path, "open", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "denied")))
        with pytest.raises(ImageError, match="is a directory, not a file"):
            load_image(tmp_path)

    def test_permission(self, file, monkeypatch):
        monkeypatch.setattr(pathlib.Path, "open", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "denied")))
        with pytest.raises(ImageError, match=r"\.dat: there is no permission to read the file") as caught:
            load_image(file)
        assert type(caught.value) is ImageError

    @pytest.mark.parametrize("path", ["a\0b.png", "x" * 5000])
    def test_impossible_path(self, path):
        with pytest.raises(ImageError):
            load_image(path)

    def test_empty(self, tmp_path):
        path = tmp_path / "empty.jpg"
        path.touch()
        with pytest.raises(TruncatedImageError, match=r"empty\.jpg: the file is empty"):
            load_image(path)

    @pytest.mark.parametrize("data", [b"hello", b"<svg></svg>", b"P5 is not a picture"[:2], b"\0" * 1000, b"%PDF-1.7"])
    def test_not_an_image(self, data):
        with pytest.raises(NotAnImageError, match=rf"<{len(data)} bytes>: not an image in a supported format"):
            load_image(data)

    def test_format_without_magic_bytes(self, picture, encode):
        with pytest.raises(NotAnImageError, match="may be passed as a PIL image"):
            load_image(encode(picture, "TGA"))

    def test_text_file(self):
        with pytest.raises(ImageError, match="<StringIO>: a file must be opened in binary mode"):
            load_image(io.StringIO("text"))

    def test_closed_file(self, png):
        stream = io.BytesIO(png)
        stream.close()
        with pytest.raises(ImageError, match=r"<BytesIO>: .*closed file"):
            load_image(stream)

    def test_failing_file(self):
        class Broken(io.RawIOBase):
            name = "network.png"

            def read(self, *_):
                raise TimeoutError("no answer")

        with pytest.raises(ImageError, match=r"network\.png: .*TimeoutError: no answer"):
            load_image(Broken())

    @pytest.mark.parametrize("source", [None, 3, ["a.png"]])
    def test_other_types(self, source):
        with pytest.raises(ImageError, match=f"Argument `source` must be .*, but got {type(source).__name__}"):
            load_image(source)


class TestMaxPixels:
    def test_bound_is_inclusive(self, png, noise, file):
        sources = [png, file, noise, Image.fromarray(noise), expected(noise), io.BytesIO(png)]
        for source in sources:
            assert load_image(source, max_pixels=2240).shape == (3, 40, 56)
            with pytest.raises(ImageTooLargeError, match="56 x 40 pixels are more than the limit of 2239"):
                load_image(source, max_pixels=2239)

    def test_bomb_is_judged_by_its_header(self, make_png):
        with pytest.raises(ImageTooLargeError, match="60000 x 60000 pixels"):
            load_image(make_png(60000, 60000, 8, 2))

    def test_no_limit(self, png, noise):
        assert_loaded(load_image(png, max_pixels=None), noise)

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "AVIF", "JPEG2000"])
    def test_limit_of_pillow_is_neither_applied_nor_changed(self, kind, picture, encode, monkeypatch):
        data = encode(picture, kind)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        assert load_image(data).shape == (3, 40, 56)
        assert Image.MAX_IMAGE_PIXELS == 100

    def test_limit_of_pillow_inside_a_format(self, picture, encode, monkeypatch):
        data = encode(picture, "TIFF")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        with pytest.raises(
            ImageTooLargeError, match=r"limit that Pillow itself sets .* raise PIL\.Image\.MAX_IMAGE_PIXELS"
        ):
            load_image(data)

    def test_memory_error(self, png, monkeypatch):
        def fail(*_):
            raise MemoryError

        monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load_prepare", fail)
        with pytest.raises(ImageTooLargeError, match="not enough memory"):
            load_image(png)


def test_light_imports(file):
    script = (
        "import sys; from topiq_metrics.images import load_image; load_image(sys.argv[1]);"
        "print(*({'torchvision', 'pillow_heif', 'torchmetrics'} & {name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
