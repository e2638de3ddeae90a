"""Size policies, against torchvision."""

import dataclasses
import itertools
import pickle

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from topiq_metrics.images import SizePolicy

SHAPES = [(40, 56), (56, 40), (500, 333), (333, 500), (64, 64), (37, 1000), (1000, 37), (97, 96)]


def by_torchvision(images, policy):
    if policy.kind == "max_short_side" and min(images.shape[-2:]) <= policy.side:
        return images
    if policy.kind in {"short_side", "max_short_side"}:
        return reference.resize(images, [policy.side], antialias=True)
    if policy.kind == "square":
        return reference.resize(images, [policy.side, policy.side], antialias=True)
    height, width = images.shape[-2:]
    if max(height, width) > 2 * min(height, width):
        return reference.resize(images, list(policy.output_size(height, width)), antialias=True)
    return reference.resize(images, None, max_size=policy.side, antialias=True)


@pytest.mark.parametrize(
    "spec", ["short_side=48", "short_side=333", "square=96", "max_side=48", "max_side=36", "max_short_side=48"]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_torchvision(shape, spec):
    policy = SizePolicy.parse(spec)
    images = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(0))
    result = policy.apply(images)
    assert torch.equal(result, by_torchvision(images, policy))
    assert result.shape[-2:] == policy.output_size(*shape)
    assert result.min() >= images.min() - 1e-6
    assert result.max() <= images.max() + 1e-6


@pytest.mark.parametrize("side", [32, 37, 224, 384, 512, 1000])
def test_output_sizes_equal_torchvision(side):
    kinds = ("short_side", "max_short_side", "square", "max_side")
    short, shortest, square, longest = (SizePolicy(kind, side) for kind in kinds)
    for height in range(33, 3000, 211):
        for width in range(35, 3000, 173):
            image = torch.empty(3, height, width, device="meta")
            shrinks = max(height, width) > side and 2 * min(height, width) >= max(height, width)
            for policy in (short, shortest, square, longest) if shrinks else (short, shortest, square):
                expected = by_torchvision(image, policy).shape[-2:]
                assert policy.output_size(height, width) == tuple(expected)


@pytest.mark.parametrize(
    ("spec", "size", "expected"),
    [
        ("native", (37, 91), (37, 91)),
        ("max_side=512", (3000, 4000), (384, 512)),
        ("max_side=512", (4000, 3000), (512, 384)),
        ("max_side=512", (512, 100), (512, 100)),
        ("max_side=512", (20, 30), (20, 30)),
        ("max_side=32", (5, 9999), (5, 9999)),
        ("max_side=512", (1000, 2000), (256, 512)),
        ("max_side=512", (1000, 2001), (256, 512)),
        ("max_side=512", (2340, 1080), (554, 256)),
        ("max_side=512", (1000, 20000), (256, 5120)),
        ("max_side=512", (200, 20000), (200, 20000)),
        ("max_side=511", (30000, 700), (10928, 255)),
        ("max_side=100", (199, 100), (100, 50)),
        ("max_short_side=384", (3000, 4000), (384, 512)),
        ("max_short_side=384", (4000, 3000), (512, 384)),
        ("max_short_side=384", (384, 5000), (384, 5000)),
        ("max_short_side=384", (40, 30), (40, 30)),
        ("short_side=384", (3000, 4000), (384, 512)),
        ("short_side=384", (40, 30), (512, 384)),
        ("short_side=384", (384, 1001), (384, 1001)),
        ("square=64", (100, 31), (64, 64)),
    ],
)
def test_output_size(spec, size, expected):
    assert SizePolicy.parse(spec).output_size(*size) == expected


def test_longer_pictures_are_never_smaller():
    policy = SizePolicy.parse("max_side=512")
    sizes = [policy.output_size(600, width) for width in range(600, 30000, 7)]
    assert all(first[1] <= second[1] for first, second in itertools.pairwise(sizes))
    assert {height for height, width in sizes if width > 512} == {256}
    assert not policy.too_small(600, 30000)
    assert policy.too_small(20, 512) == (
        "the network needs 32 px a side, but 512x20 is 512x20 under the size policy max_side=512"
    )


@pytest.mark.parametrize("spec", ["native", "max_side=56", "short_side=40"])
def test_same_tensor_where_nothing_changes(spec):
    images = torch.rand(2, 3, 40, 56)
    assert SizePolicy.parse(spec).apply(images) is images


@pytest.mark.parametrize("lead", [(), (2,), (2, 4), (0,)])
def test_leading_dimensions(lead):
    images = torch.rand(*lead, 3, 60, 80)
    policy = SizePolicy.parse("square=32")
    result = policy.apply(images)
    assert result.shape == (*lead, 3, 32, 32)
    flat = images.reshape(-1, 3, 60, 80) if images.numel() else images
    for one, other in zip(flat, result.reshape(-1, 3, 32, 32) if images.numel() else result, strict=True):
        assert torch.equal(policy.apply(one), other)


@pytest.mark.parametrize("spec", ["max_side=32", "short_side=36", "square=32"])
def test_gradient(spec):
    images = torch.rand(1, 1, 34, 40, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(SizePolicy.parse(spec).apply, images, fast_mode=True)


@pytest.mark.parametrize("images", [torch.zeros(40, 40), torch.zeros(3, 40, 40, dtype=torch.uint8)])
def test_refused_images(images):
    with pytest.raises(ValueError, match=r"Argument `images` must be floating point of shape .* but got shape"):
        SizePolicy.parse("square=32").apply(images)


@pytest.mark.parametrize("spec", ["native", "max_side=512", "max_short_side=384", "short_side=384", "square=32"])
def test_text_and_back(spec):
    policy = SizePolicy.parse(spec)
    assert str(policy) == spec
    assert SizePolicy.parse(policy) is policy
    assert SizePolicy.parse(str(policy)) == policy
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert len({policy, SizePolicy.parse(spec)}) == 1


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SizePolicy().side = 3


@pytest.mark.parametrize(
    "spec",
    ["", "nativ", "native=3", "max_side", "max_side=", "max_side=31", "square=0", "square=-5", "square=48.5",
     "square= 48", "square=48\n", "square=048", "square=٤٨", "long_side=48", "384", 384, None, ("square", 48)],
)  # fmt: skip
def test_refused_text(spec):
    rules = "'native', 'max_side=N', 'max_short_side=N', 'short_side=N' or 'square=N'"
    message = rf"Argument `size` must be {rules} .* N >= 32, but got "
    with pytest.raises(ValueError, match=message):
        SizePolicy.parse(spec)


@pytest.mark.parametrize(("kind", "side"), [("native", 64), ("square", None), ("square", 31), ("max_side", 64.0),
                                            ("square", True), ("long_side", 64)])  # fmt: skip
def test_refused_fields(kind, side):
    with pytest.raises(ValueError, match="Argument `size` must be"):
        SizePolicy(kind, side)
