"""The validation of image tensors: what comes out, what is refused, and in which words."""

import numpy as np
import pytest
import torch

from topiq_metrics.errors import ImageTooSmallError
from topiq_metrics.images import validate_images, validate_pair

pytestmark = pytest.mark.quick


def images(*shape, dtype=torch.float32):
    return torch.rand(*(shape or (2, 3, 32, 40)), generator=torch.Generator().manual_seed(0)).to(dtype)


class TestResult:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_same_object(self, dtype):
        batch = images(dtype=dtype)
        assert validate_images(batch) is batch

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision(self, dtype):
        batch = images(dtype=dtype)
        result = validate_images(batch)
        assert result.dtype == torch.float32
        assert torch.equal(result, batch.float())

    def test_uint8(self):
        batch = torch.arange(2 * 3 * 32 * 32).remainder(256).to(torch.uint8).reshape(2, 3, 32, 32)
        copy = batch.clone()
        assert torch.equal(validate_images(batch), batch.float() / 255)
        assert torch.equal(batch, copy)

    @pytest.mark.parametrize("kind", [list, tuple])
    def test_sequence(self, kind):
        first, second = images(3, 32, 50), (images(3, 64, 33) * 255).to(torch.uint8)
        result = validate_images(kind([first, second]))
        assert isinstance(result, list)
        assert result[0] is first
        assert torch.equal(result[1], second.float() / 255)

    def test_gradients_flow(self):
        batch = images(dtype=torch.float16).requires_grad_()
        validate_images(batch).sum().backward()
        assert torch.equal(batch.grad, torch.ones_like(batch))

    @pytest.mark.parametrize("value", [-9e-4, 1 + 9e-4])
    def test_rounding_is_let_through(self, value):
        batch = torch.full((1, 3, 32, 32), value)
        assert validate_images(batch) is batch

    def test_range_unchecked(self):
        batch = images() * 300 - 7
        assert validate_images(batch, check_range=False) is batch

    def test_min_side(self):
        batch = images(1, 3, 1, 5)
        assert validate_images(batch, min_side=1) is batch

    def test_channels_last_memory_and_views(self):
        batch = images().to(memory_format=torch.channels_last)
        assert validate_images(batch) is batch
        assert validate_images(images(1, 3, 64, 80)[..., ::2, ::2]).shape == (1, 3, 32, 40)


class TestRefused:
    @pytest.mark.parametrize(
        ("batch", "message"),
        [
            (None, "got NoneType"),
            ("a.png", r"got str\. Files, arrays and PIL images are read by topiq_metrics\.images\.load_image"),
            (np.zeros((1, 3, 32, 32), np.float32), "got ndarray"),
            ([], "got an empty list"),
            ((), "got an empty tuple"),
            (images(3, 32, 32), r"got shape \(3, 32, 32\), .*use `image\.unsqueeze\(0\)`"),
            (images(32, 32), r"got shape \(32, 32\), dtype torch\.float32, values from .* to [0-9.]+\.$"),
            (
                images(2, 32, 33, 3),
                r"got shape \(2, 32, 33, 3\), .*It looks like \(N, H, W, 3\): .*permute\(0, 3, 1, 2\)",
            ),
            (images(2, 1, 32, 32), r"For grey images, use `images\.expand\(-1, 3, -1, -1\)`"),
            (images(2, 4, 32, 32), "An alpha channel must be composed"),
            (torch.zeros(0, 3, 32, 32), r"got shape \(0, 3, 32, 32\), dtype torch\.float32\."),
            (images(1, 2, 3, 32, 32), r"got shape \(1, 2, 3, 32, 32\)"),
        ],
    )
    def test_structure(self, batch, message):
        with pytest.raises(ValueError, match=r"Argument `preds` must be a tensor of shape \(N, 3, H, W\)") as caught:
            validate_images(batch)
        caught.match(message)

    @pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.bool, torch.uint16])
    def test_dtype(self, dtype):
        batch = torch.ones(1, 3, 32, 32).to(dtype)
        message = (
            rf"Argument `preds` must be floating point .* or uint8 .*, but got .* dtype {dtype}, values from 1 to 1"
        )
        with pytest.raises(ValueError, match=message):
            validate_images(batch)

    def test_complex(self):
        with pytest.raises(ValueError, match=r"dtype torch\.complex64\."):
            validate_images(images().to(torch.complex64))

    @pytest.mark.parametrize("shape", [(1, 3, 31, 64), (1, 3, 64, 31), (1, 3, 0, 64)])
    def test_small(self, shape):
        with pytest.raises(
            ImageTooSmallError, match=r"`preds` must have sides of at least 32 pixels, but got shape \(1, 3"
        ):
            validate_images(torch.zeros(shape))

    def test_no_pixels_whatever_the_minimum(self):
        with pytest.raises(ImageTooSmallError, match="at least 1 pixels"):
            validate_images(torch.zeros(1, 3, 0, 64), min_side=0)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    @pytest.mark.parametrize("check_range", [True, False])
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_not_finite(self, value, check_range, dtype):
        batch = images(dtype=dtype)
        batch[1, 2, 31, 39] = value
        message = (
            r"Argument `preds` must be finite, but got shape \(2, 3, 32, 40\), dtype .*, with NaN or infinite values"
        )
        with pytest.raises(ValueError, match=message):
            validate_images(batch, check_range=check_range)

    @pytest.mark.parametrize(("value", "told"), [(-0.002, "from -0.002 to"), (1.002, "to 1.002"), (1.9, "to 1.9")])
    def test_range(self, value, told):
        batch = images()
        batch[0, 0, 0, 0] = value
        with pytest.raises(ValueError, match=rf"Argument `preds` must be in \[0, 1\], but got .*{told}") as caught:
            validate_images(batch)
        assert "255" not in str(caught.value)

    def test_unscaled_bytes(self):
        with pytest.raises(ValueError, match=r"values from .* to 25[0-9.]+\. .* must be uint8, or be divided by 255"):
            validate_images(images() * 255)

    def test_name(self):
        with pytest.raises(ValueError, match="Argument `reference` must be"):
            validate_images(3, name="reference")

    @pytest.mark.parametrize(
        ("item", "error", "message"),
        [
            (3, ValueError, r"`preds\[1\]` must be a tensor of shape \(3, H, W\), but got int"),
            (
                images(1, 3, 32, 32),
                ValueError,
                r"`preds\[1\]` must be a tensor of shape \(3, H, W\), but got shape \(1, 3,",
            ),
            (images(1, 3, 32, 32), ValueError, r"It looks like a batch of one: use `image\[0\]`"),
            (images(40, 32, 3), ValueError, r"`preds\[1\]` .* It looks like \(H, W, 3\)"),
            (images(3, 40, 32).long(), ValueError, r"`preds\[1\]` must be floating point"),
            (images(3, 40, 16), ImageTooSmallError, r"`preds\[1\]` must have sides of at least 32 pixels"),
            (images(3, 40, 32) + 1, ValueError, r"`preds\[1\]` must be in \[0, 1\], but got shape \(3, 40, 32\)"),
            (images(3, 40, 32) / 0, ValueError, r"`preds\[1\]` must be finite"),
            (
                torch.empty(3, 40, 32, device="meta"),
                ValueError,
                r"`preds\[1\]` must be on cpu, as `preds\[0\]`, but got meta",
            ),
        ],
    )
    def test_item_of_a_list(self, item, error, message):
        with pytest.raises(error, match=message):
            validate_images([images(3, 32, 32), item, images(3, 32, 32)])


class TestCost:
    """Each read of a value from an accelerator waits for it, so there must be one only."""

    @pytest.fixture
    def reads(self, monkeypatch):
        counts = []
        for name in ("tolist", "item", "__bool__", "__float__", "cpu", "numpy"):
            original = getattr(torch.Tensor, name)

            def count(tensor, *args, original=original, name=name):
                counts.append(name)
                return original(tensor, *args)

            monkeypatch.setattr(torch.Tensor, name, count)
        return counts

    def test_one_read(self, reads):
        validate_images([images(3, 32, 32 + i) for i in range(5)])
        assert reads == ["tolist"]

    def test_one_read_for_a_pair(self, reads):
        validate_pair(images(), images())
        assert reads == ["tolist"]

    def test_none_for_bytes(self, reads):
        validate_images(images().mul(255).to(torch.uint8))
        assert reads == []


class TestPair:
    def test_same_objects(self):
        preds, target = images(), images(dtype=torch.float64)
        result = validate_pair(preds, target)
        assert result[0] is preds
        assert result[1] is target

    def test_lists(self):
        preds, target = [images(3, 32, 40), images(3, 50, 33)], (images(3, 32, 40), images(3, 50, 33))
        result = validate_pair(preds, target)
        assert [[type(x) for x in side] for side in result] == [[torch.Tensor] * 2] * 2
        assert result[1][1] is target[1]

    @pytest.mark.parametrize(
        ("preds", "target", "message"),
        [
            (images(1, 3, 32, 32), images(2, 3, 32, 32), r"same shape, but got \(1, 3, 32, 32\) and \(2, 3, 32, 32\)"),
            (images(1, 3, 32, 33), images(1, 3, 33, 32), r"same shape, but got \(1, 3, 32, 33\) and \(1, 3, 33, 32\)"),
            (images(1, 3, 32, 32), [images(3, 32, 32)], "both tensors or both lists, but got Tensor and list"),
            ([images(3, 32, 32)], [images(3, 32, 32)] * 2, "same length, but got 1 and 2"),
            (images(1, 3, 32, 32), torch.empty(1, 3, 32, 32, device="meta"), "same device, but got cpu and meta"),
        ],
    )
    def test_mismatch(self, preds, target, message):
        with pytest.raises(ValueError, match="Arguments `preds` and `target` must .*" + message):
            validate_pair(preds, target)

    def test_mismatch_in_a_list(self):
        message = r"Arguments `a\[1\]` and `b\[1\]` must have the same shape, but got \(3, 32, 32\) and \(3, 32, 33\)"
        with pytest.raises(ValueError, match=message):
            validate_pair([images(3, 32, 32)] * 2, [images(3, 32, 32), images(3, 32, 33)], names=("a", "b"))

    def test_each_is_validated(self):
        with pytest.raises(ValueError, match=r"Argument `target` must be in \[0, 1\]"):
            validate_pair(images(), images() + 1)
        with pytest.raises(ValueError, match=r"Argument `preds` must be finite"):
            validate_pair(images() / 0, images())
        with pytest.raises(ImageTooSmallError, match="Argument `target` must have sides of at least 48"):
            validate_pair(images(1, 3, 48, 48), images(1, 3, 40, 48), min_side=48)
        assert validate_pair(images() * 9, images() - 9, check_range=False)
