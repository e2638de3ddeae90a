"""Images that are decoded and resized without all their values as floats."""

import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image

from topiq_metrics.images import SizePolicy, load_image
from topiq_metrics.images.loader import open_image

POLICIES = ["native", "max_side=64", "max_short_side=40", "short_side=200", "square=96"]
BORDERS = (3, 5, 90, 101)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


SOURCES = {
    "colour": lambda: Image.fromarray(noise(120, 150, 3)),
    "grey": lambda: Image.fromarray(noise(120, 150)),
    "transparent": lambda: Image.fromarray(noise(120, 150, 4)),
    "sixteen bits": lambda: Image.fromarray(noise(120, 150).astype(np.uint16) * 257),
    "array of floats": lambda: noise(120, 150, 3) / 255,
    "tensor": lambda: torch.rand(3, 120, 150, generator=torch.manual_seed(0)),
}


@pytest.mark.parametrize("kind", SOURCES)
class TestEqualsLoading:
    @pytest.mark.parametrize("policy", POLICIES)
    def test_sized(self, kind, policy):
        rule = SizePolicy.parse(policy)
        expected = rule.apply(load_image(SOURCES[kind]())[None])
        found = open_image(SOURCES[kind]()).sized(rule)
        assert found.dtype == torch.float32
        assert found.is_contiguous()
        torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)

    @pytest.mark.parametrize("policy", POLICIES)
    def test_part(self, kind, policy):
        rule = SizePolicy.parse(policy)
        left, top, right, bottom = BORDERS
        expected = rule.apply(load_image(SOURCES[kind]())[None, :, top:bottom, left:right])
        opened = open_image(SOURCES[kind]()).cropped(*BORDERS)
        assert (opened.width, opened.height) == (87, 96)
        torch.testing.assert_close(opened.sized(rule), expected, atol=2e-6, rtol=0)

    def test_bytes(self, kind):
        expected = load_image(SOURCES[kind]()).mul(255).round().byte().permute(1, 2, 0).numpy()
        found = open_image(SOURCES[kind]()).in_bytes()
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected)


def test_grey_and_the_same_in_colour_are_equal():
    grey = Image.fromarray(noise(901, 1203))
    sizes = [open_image(image).sized(SizePolicy.parse("max_side=384")) for image in (grey, grey.convert("RGB"))]
    assert torch.equal(*sizes)


def test_what_is_in_memory_is_not_copied():
    rgb = torch.rand(3, 50, 60)
    assert open_image(rgb).sized(SizePolicy()).data_ptr() == rgb.data_ptr()


def test_a_large_image_is_no_float_image(monkeypatch):
    """As floats, it would take 96 MB."""

    def refuse(*args, **kwargs):
        raise AssertionError

    monkeypatch.setattr(SizePolicy, "apply", refuse)
    monkeypatch.setattr(torch, "empty", refuse)
    opened = open_image(Image.fromarray(noise(2000, 4000, 3)))
    tracemalloc.start()
    try:
        opened.sized(SizePolicy.parse("max_side=256"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 24e6
