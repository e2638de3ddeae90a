"""Scores in strips are those of whole images, and strips are what a bound on memory asks for."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from statistics import median

import pytest
import torch
from torch import Tensor

from topiq_metrics.inference.memory import cost, held, parse_memory, plan
from topiq_metrics.inference.rows import Pyramid, Segment
from topiq_metrics.inference.strips import levels_by_strips, score_within
from topiq_metrics.models.cfanet import CFANet, CFANetConfig
from topiq_metrics.models.folding import fold
from topiq_metrics.models.lpips import LPIPSPlusNetwork

BACKBONES = ("resnet50", "efficientnet_lite0")
MEBIBYTE = 1 << 20


def slow(*values: object) -> list[object]:
    """Values of a parameter for which there is time in the slow tier only."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


@pytest.fixture(
    scope="module", params=["NR resnet50", "FR efficientnet_lite0", *slow("NR efficientnet_lite0", "FR resnet50")]
)
def net(request: pytest.FixtureRequest) -> CFANet:
    torch.manual_seed(0)
    mode, backbone = request.param.split()
    # What selects features looks at all of an image.
    selects, anchored = request.param == "NR resnet50", request.param == "FR efficientnet_lite0"
    config = CFANetConfig(backbone, mode, dim=16, gate_width=8, feature_selection=selects, anchored=anchored)
    net = CFANet(config).eval().requires_grad_(False)
    if net.selection is not None:
        net.selection.excite.weight.normal_()
    # What is exact shows in double precision, where rounding is out of the way.
    return fold(net).double()


def some_images(net: CFANet, *shape: int) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.rand(*shape, dtype=torch.float64) for _ in range(2 if net.config.mode == "FR" else 1)]


@torch.inference_mode()
def check_levels(net: CFANet, images: list[Tensor], segments: Sequence[Segment]) -> None:
    """Compare level by level, since a score hides much."""
    strips = levels_by_strips(Pyramid(net, *images[0].shape[-2:]), images, segments)
    for found, expected in zip(strips, net.levels(*images), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@torch.inference_mode()
def check_scores(net: CFANet, images: list[Tensor], megabytes: float) -> None:
    scores = score_within(net, *images, max_memory=int(megabytes * MEBIBYTE))
    torch.testing.assert_close(scores, net(*images), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("megabytes", [1, *slow(60)])
def test_a_large_image_with_a_tiny_budget(net: CFANet, megabytes: int) -> None:
    images = some_images(net, 1, 3, 448, 352)
    segments = plan(Pyramid(net, 448, 352), megabytes * MEBIBYTE // 8, 1).segments
    assert max(segment.strips for segment in segments) > 1
    check_levels(net, images, segments)
    check_scores(net, images, megabytes)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_large_image_in_float32(backbone: str) -> None:
    torch.manual_seed(0)
    net = fold(CFANet(CFANetConfig(backbone)).eval().requires_grad_(False))
    net.head[-1].weight.mul_(20)
    image = torch.rand(1, 3, 768, 1024)
    with torch.inference_mode():
        strips, whole = (score_within(net, image, max_memory=limit) for limit in (30 * MEBIBYTE, None))
    assert abs(strips - whole) <= 1e-5 * max(1, abs(whole))


@pytest.mark.parametrize("height", [33, 65, 127, 257, *slow(64, 95, 96, 190, 255)])
@pytest.mark.parametrize("ends", [(4,), (0, 1, 2, 3, 4), *slow((1, 4), (2, 3, 4))])
def test_every_height_has_its_own_edges(net: CFANet, height: int, ends: tuple[int, ...]) -> None:
    rows = (height + 31) // 32
    starts = (0, *(end + 1 for end in ends))
    segments = [Segment(start, end, rows) for start, end in zip(starts, ends, strict=False)]
    check_levels(net, some_images(net, 1, 3, height, 34), segments)


@pytest.mark.parametrize("width", [33, *slow(32, 97)])
def test_a_tall_narrow_image(net: CFANet, width: int) -> None:
    images = some_images(net, 2, 3, 500, width)
    check_levels(net, images, [Segment(0, 2, 5), Segment(3, 4, 3)])
    check_scores(net, images, 1)


def test_a_batch_is_scored_in_groups(net: CFANet) -> None:
    images = some_images(net, 5, 3, 64, 96)
    with torch.inference_mode():
        together = net(*images)
        for megabytes in (0.1, 3, 6, 100):
            scores = score_within(net, *images, max_memory=int(megabytes * MEBIBYTE))
            torch.testing.assert_close(scores, together, rtol=1e-9, atol=1e-9)
    assert plan(Pyramid(net, 64, 96), 100 * MEBIBYTE, 100 * MEBIBYTE).images > 1


def test_a_plan_keeps_to_its_budget_where_it_can(net: CFANet) -> None:
    pyramid = Pyramid(net, 3000, 4000)
    costs = []
    for megabytes in (8000, 4000, 2500, 2000):
        segments = plan(pyramid, megabytes * MEBIBYTE // 4, 1).segments
        assert max(held(pyramid, segment) for segment in segments) <= megabytes * MEBIBYTE // 4
        costs.append(sum(cost(pyramid, segment) for segment in segments))
    assert costs == sorted(costs)
    assert costs[-1] < 2 * costs[0]
    assert all(segment.strips == 1 for segment in plan(pyramid, 1 << 40, 1).segments)


def test_an_impossible_budget_takes_little_more_than_the_least(net: CFANet) -> None:
    pyramid = Pyramid(net, 3000, 4000)
    found = plan(pyramid, 1, 1)
    assert max(held(pyramid, segment) for segment in found.segments) * 4 < 2000 * MEBIBYTE
    assert found.images == 1


def test_gradients_are_those_of_the_whole_image(net: CFANet) -> None:
    images = some_images(net, 1, 3, 128, 96)
    leaves = [image.clone().requires_grad_() for image in images]
    again = [image.clone().requires_grad_() for image in images]
    score_within(net, *leaves, max_memory=1).sum().backward()
    net(*again).sum().backward()
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(leaves, again, strict=True))


def test_a_plain_network_may_run_in_strips_too() -> None:
    torch.manual_seed(0)
    plain = CFANet(CFANetConfig("efficientnet_lite0", dim=16, gate_width=8)).eval().requires_grad_(False).double()
    check_scores(plain, some_images(plain, 1, 3, 300, 200), 1)
    folded = fold(copy.deepcopy(plain))
    image = torch.rand(1, 3, 300, 200, dtype=torch.float64)
    torch.testing.assert_close(score_within(plain, image, max_memory=1), folded(image), rtol=1e-9, atol=1e-9)


def test_half_precision_runs_in_strips() -> None:
    torch.manual_seed(0)
    net = fold(CFANet(CFANetConfig("efficientnet_lite0", dim=16, gate_width=8)).eval().requires_grad_(False)).bfloat16()
    image = torch.rand(1, 3, 300, 200).bfloat16()
    with torch.inference_mode():
        torch.testing.assert_close(score_within(net, image, max_memory=1), net(image), rtol=0, atol=0.02)


@pytest.mark.parametrize("mode", ["NR", "FR"])
def test_a_reference_must_fit_the_mode(mode: str) -> None:
    net = fold(CFANet(CFANetConfig("efficientnet_lite0", mode=mode, dim=16, gate_width=8)).eval().requires_grad_(False))
    images = [torch.rand(1, 3, 64, 64)] * (1 if mode == "FR" else 2)
    with pytest.raises(ValueError, match=rf"{mode} mode"):
        score_within(net, *images, max_memory=1)


def test_networks_without_strips_run_as_they_are() -> None:
    torch.manual_seed(0)
    lpips = LPIPSPlusNetwork().eval().requires_grad_(False)
    images = [torch.rand(1, 3, 64, 64) for _ in range(2)]
    assert torch.equal(score_within(lpips, *images, max_memory=1), lpips(*images))
    swin = fold(CFANet(CFANetConfig("swin_base", dim=8, heads=2, gate_width=4)).eval().requires_grad_(False))
    image = torch.rand(1, 3, 384, 384)
    assert torch.equal(score_within(swin, image, max_memory=1), swin(image))


MEASURED = r"""
import re, sys, torch
from pathlib import Path
from topiq_metrics.models.cfanet import CFANet, CFANetConfig
from topiq_metrics.models.folding import fold
from topiq_metrics.inference.strips import score_within
net = fold(CFANet(CFANetConfig("resnet50", dim=32)).eval().requires_grad_(False))
image = torch.rand(1, 3, 1000, 1600)
kibibytes = lambda name: int(re.search(rf"Vm{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1])
with torch.inference_mode():
    score_within(net, image[:, :, :64, :64], max_memory=None)
    Path("/proc/self/clear_refs").write_text("5")
    before = kibibytes("RSS")
    score_within(net, image, max_memory=int(sys.argv[1]) or None)
print((kibibytes("HWM") - before) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_a_process_stays_smaller() -> None:
    whole, *bounded = (
        int(subprocess.run([sys.executable, "-c", MEASURED, str(limit)], capture_output=True, check=True).stdout)
        for limit in (0, *[150 * MEBIBYTE] * 3)
    )
    # The C library and oneDNN keep some of what was freed, more or less on other machines, and in other runs.
    assert median(bounded) < 0.85 * whole


@pytest.mark.parametrize("limit", [300, *slow(400, 200)])
def test_memory_is_what_was_asked_for(limit: int, tmp_path: Path) -> None:
    net = fold(CFANet(CFANetConfig("resnet50", dim=32)).eval().requires_grad_(False))
    image = torch.rand(1, 3, 1000, 1600)
    with torch.inference_mode(), torch.profiler.profile(profile_memory=True) as profile:
        score_within(net, image, max_memory=limit * MEBIBYTE)
    profile.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    changes = [event for event in events if event["name"] == "[memory]"]
    in_order = sorted(changes, key=lambda event: event["ts"])
    peak = max(accumulate(event["args"]["Bytes"] for event in in_order)) / MEBIBYTE
    assert 0.5 * limit < peak <= 1.1 * limit


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GB", 2 * 10**9),
        ("1.5 GB", 1_500_000_000),
        ("512MiB", 512 * MEBIBYTE),
        ("64000k", 64_000_000),
        ("100000000", 100_000_000),
        (70_000_000, 70_000_000),
        (None, None),
        ("none", None),
    ],
)
def test_sizes_in_words(text: str | int | None, size: int | None) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("wrong", ["", "two", "-1GB", "0", 0, -5, True, 1.5, "2GBB", "1e9"])
def test_what_is_no_size(wrong: object) -> None:
    with pytest.raises(ValueError, match="`max_memory` must be such as '2GB'"):
        parse_memory(wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("2", "at least 50 MB, but got '2' bytes: 2GB?"),
        (2, "at least 50 MB, but got 2 bytes: 2GB?"),
        ("1.5", "but got '1.5' bytes: 1.5GB?"),
        (512, "but got 512 bytes: 512MB?"),
        ("2MB", "at least 50 MB, but got '2MB'."),
        (49_999_999, "but got 49999999 bytes."),
    ],
)
def test_a_size_without_its_unit(wrong: str | int, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_memory(wrong)
