"""Local quality is that of small windows, finds damage, and is on the scale of the score."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from topiq_metrics import QualityMap, explain, load_image, quality_map
from topiq_metrics.explaining import quality
from topiq_metrics.explaining.local_quality import worst_places
from topiq_metrics.explaining.quality import Windows, local_scores
from topiq_metrics.explaining.quality_sheet import Column, draw_quality, limits
from topiq_metrics.models.lpips import LPIPSPlusConfig, LPIPSPlusNetwork
from topiq_metrics.training.distortions import distort

PHOTOGRAPH = Path(__file__).parents[2] / "docs" / "photographs" / "coffee" / "0-original.jpg"


@pytest.fixture(scope="module")
def damaged() -> tuple[torch.Tensor, torch.Tensor, tuple[slice, slice]]:
    """A photograph with noise in one place, the photograph, and the place."""
    reference = load_image(PHOTOGRAPH)[:, :256, :320]
    there = slice(64, 160), slice(160, 288)
    image = reference.clone()
    image[(..., *there)] = distort(reference, "noise", 0.6, seed=0)[(..., *there)]
    return image, reference, there


class TestWindows:
    @pytest.mark.parametrize("windows", [Windows(1, 1), Windows(1, 2), Windows(2, 3)])
    @pytest.mark.parametrize("name", ["lite", "ratings"])
    def test_each_is_scored_alone(self, name: str, windows: Windows, cfanet: Any, pictures: Any) -> None:
        net, image = cfanet(name), pictures(96, 160)[0][None]
        levels = [
            torch.nn.functional.adaptive_avg_pool2d(net.gated_pools[index].gated(*maps)[0], (rows, columns))
            for rows, columns in [(3 * windows.fineness, 5 * windows.fineness)]
            for index, maps in enumerate(net.features(image))
        ]
        levels = [reduce(level) for reduce, level in zip(net.reduce, levels, strict=True)]
        side = windows.side
        total, count = np.zeros((2, *levels[0].shape[-2:]))
        for top in range(total.shape[0] - side + 1):
            for left in range(total.shape[1] - side + 1):
                there = slice(top, top + side), slice(left, left + side)
                score = net.head.score(net.regress([level[(..., *there)] for level in levels]))
                total[there] += score.item()
                count[there] += 1
        found = local_scores(net, [image], windows)
        assert found.std() > 0
        np.testing.assert_allclose(found, total / count, atol=1e-5)

    def test_rows_that_go_through_the_attention_together(
        self, cfanet: Any, pictures: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        images = [x[None] for x in pictures(160, 96)]
        expected = local_scores(cfanet("FR"), images, Windows(1, 2))
        monkeypatch.setattr(quality, "_TOKENS", 1)
        np.testing.assert_allclose(local_scores(cfanet("FR"), images, Windows(1, 2)), expected, atol=1e-5)

    @pytest.mark.parametrize("name", ["lite", "FR"])
    def test_strips(self, name: str, cfanet: Any, pictures: Any) -> None:
        images = [x[None] for x in pictures(357, 291)][: 2 if name == "FR" else 1]
        for windows in (Windows(1, 2), Windows(2, 2)):
            expected = local_scores(cfanet(name), images, windows)
            np.testing.assert_allclose(local_scores(cfanet(name), images, windows, 1), expected, atol=1e-4)

    def test_a_backbone_without_strips(self, cfanet: Any, pictures: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        images = [x[None] for x in pictures(96, 160)]
        expected = local_scores(cfanet("FR"), images, Windows(2, 2))
        monkeypatch.setattr(quality, "has_strips", lambda net: False)
        np.testing.assert_allclose(local_scores(cfanet("FR"), images, Windows(2, 2)), expected, atol=1e-5)


class TestScale:
    def test_the_mean_without_a_reference_is_the_score(self, damaged: Any) -> None:
        found = quality_map(damaged[0])
        assert found.metric == "topiq_nr-lite"
        assert found.values.shape == (16, 20)
        assert float(found.values.mean()) == pytest.approx(found.score, abs=1e-5)

    def test_what_equals_the_reference_is_1(self, damaged: Any) -> None:
        _, reference, _ = damaged
        found = quality_map(reference, reference)
        assert found.score == 1
        np.testing.assert_array_equal(found.values, 1)

    def test_what_equals_the_reference_is_1_beside_damage(self, damaged: Any) -> None:
        """In every cell without a damaged pixel, however near: 8 pixels a side, and no windows reach out of damage."""
        image, reference, (rows, columns) = damaged
        values = quality_map(image, reference).values
        assert values.shape == (32, 40)
        inside = np.zeros(values.shape, bool)
        inside[rows.start // 8 : rows.stop // 8, columns.start // 8 : columns.stop // 8] = True
        assert (values[~inside] == 1).all()
        assert values[inside].max() < 0.97

    def test_the_mean_of_what_is_damaged_everywhere(self, damaged: Any) -> None:
        _, reference, _ = damaged
        for kind in ("blur", "jpeg"):
            found = quality_map(distort(reference, kind, 0.5, seed=0), reference)
            assert found.score < 0.8
            assert float(found.values.mean()) == pytest.approx(found.score, abs=0.12)

    def test_distances_add_up(self, pictures: Any) -> None:
        image, reference = pictures(96, 128)
        for layer in (None, 2):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                net = LPIPSPlusNetwork(LPIPSPlusConfig(semantic_layer=layer), name="lpips+").eval()
            found = quality_map(image, reference, net=net)
            assert not found.higher_is_better
            assert found.score == pytest.approx(net(image[None], reference[None]).item(), rel=1e-4)
            assert float(found.values.mean()) == pytest.approx(found.score, rel=1e-4)
            np.testing.assert_array_equal(quality_map(image, image, net=net).values, 0)


def test_damage_is_found(damaged: Any) -> None:
    image, reference, (rows, columns) = damaged
    found = quality_map(image, reference)
    for pixels, given in ((found.image, image), (found.reference, reference)):
        np.testing.assert_array_equal(pixels, given.mul(255).round().byte().permute(1, 2, 0))
    assert found.image_size == image.shape[-2:]
    values = found.on_pixels(*image.shape[-2:])
    inside = np.zeros(values.shape, dtype=bool)
    inside[rows, columns] = True
    assert np.quantile(values[inside], 0.9) < np.quantile(values[~inside], 0.2)
    left, top, right, bottom = found.worst_places()[0]
    assert inside[top:bottom, left:right].mean() > 0.8
    assert found.quality_in((left, top, right, bottom)) < found.values.mean()


def made(values: Any, height: int, width: int, **changes: Any) -> QualityMap:
    options = {
        "metric": "topiq_nr-lite",
        "score": 0.5,
        "values": np.asarray(values, dtype=np.float32),
        "image_size": (height, width),
        "size": (height, width),
        "higher_is_better": True,
        "score_range": (0.0, 1.0),
        "image": np.full((height, width, 3), 128, dtype=np.uint8),
    }
    return QualityMap(**(options | changes))


class TestPlaces:
    def test_the_worst_first_and_apart(self) -> None:
        values = np.full((10, 20), 0.9)
        values[2:4, 3:5], values[6:9, 14:17] = 0.3, 0.1
        found = made(values, 1000, 2000)
        first, second, *_ = found.worst_places()
        for (left, top, right, bottom), (x, y) in ((first, (1550, 750)), (second, (400, 300))):
            assert (right - left, bottom - top) == (224, 224)
            assert left < x < right
            assert top < y < bottom
        assert len(found.worst_places(count=1)) == 1

    def test_where_lower_is_better(self) -> None:
        values = np.zeros((8, 8))
        values[1, 6] = 1
        (left, top, right, bottom), *_ = made(values, 800, 800, higher_is_better=False).worst_places()
        assert left < 650 < right
        assert top < 150 < bottom

    def test_an_even_picture_and_a_small_one(self) -> None:
        assert len(made(np.ones((4, 4)), 400, 400).worst_places()) == 1
        assert made([[0.2]], 32, 50).worst_places()[0] in {(x, 0, x + 32, 32) for x in range(19)}

    def test_of_several_versions(self) -> None:
        one, other = np.ones((2, 10, 10), dtype=np.float32)
        one[1, 1], other[8, 8] = 0, 0.2
        boxes = worst_places([made(one, 1000, 1000), made(other, 1000, 1000)])
        assert any(left < 150 < right and top < 150 < bottom for left, top, right, bottom in boxes)
        assert any(left < 850 < right and top < 850 < bottom for left, top, right, bottom in boxes)
        with pytest.raises(ValueError, match="must be at least 1, but got 0 and None"):
            worst_places([made(one, 1000, 1000)], count=0)
        with pytest.raises(ValueError, match="must be at least 1, but got 3 and 0"):
            made(one, 1000, 1000).worst_places(side=0)
        with pytest.raises(ValueError, match="not of one size"):
            worst_places([made(one, 1000, 1000), made(other, 1000, 999)])


class TestPage:
    def test_one_scale(self) -> None:
        maps = [made([[0.4, 0.5]], 64, 64), made([[0.1, 0.45]], 64, 64)]
        assert limits(maps) == pytest.approx((0.1, 0.5))
        # Small differences look small.
        assert limits([made([[0.5, 0.52]], 64, 64)]) == pytest.approx((0.385, 0.635))
        assert limits([made([[0.0, 0.5]], 64, 64, higher_is_better=False)]) == pytest.approx((0.5, 0.0))

    def test_crops_are_as_they_are(self) -> None:
        image = np.random.default_rng(0).integers(0, 256, (640, 480, 3), dtype=np.uint8)
        values = np.ones((20, 15))
        values[4:9, 3:8] = 0
        found = made(values, 640, 480, image=image, reference=255 - image)
        left, top, right, bottom = found.worst_places()[0]
        column = Column("a title that is longer than a picture of the page is wide", found, lambda: image)
        page = np.asarray(draw_quality([column], lambda: 255 - image))
        for pixels in (image, 255 - image):
            assert contains(page, pixels[top:bottom, left:right])
            assert not contains(page, pixels[top + 1 : bottom + 1, left:right].copy()[:, ::-1])

    def test_saved(self, tmp_path: Path) -> None:
        found = made([[0.4, 0.5]], 64, 96)
        paths = found.save(tmp_path / "out")
        assert [path.name for path in paths] == ["quality.npz", "quality.jpg"]
        with np.load(paths[0]) as arrays, Image.open(paths[1]) as page:
            np.testing.assert_array_equal(arrays["values"], found.values)
            assert arrays["score"] == found.score
            page.load()
        with pytest.raises(FileExistsError, match=r"quality.npz already exists"):
            found.save(tmp_path / "out")
        found.save(tmp_path / "out", overwrite=True)

    def test_a_notebook_shows_the_page(self) -> None:
        found = made([[0.4, 0.5]], 64, 96)
        with Image.open(io.BytesIO(found._repr_jpeg_())) as shown:
            assert (shown.format, shown.size) == ("JPEG", found.sheet().size)


def contains(page: np.ndarray, part: np.ndarray) -> bool:
    """Whether a part is somewhere in a page, pixel by pixel."""
    height, width = part.shape[:2]
    for top, left in np.argwhere((page[: -height or None, : -width or None] == part[0, 0]).all(axis=-1)):
        if np.array_equal(page[top : top + height, left : left + width], part):
            return True
    return False


def test_quality_in_a_box_with_a_margin() -> None:
    values = np.full((10, 10), 0.9)
    values[:2, :2] = 0.1
    found = made(values, 100, 100)
    assert found.quality_in((-10, -10, 20, 20)) == found.quality_in((0, 0, 20, 20)) == pytest.approx(0.1)
    assert found.quality_in((-5, -5, 200, 200)) == found.quality_in((0, 0, 100, 100))
    for box in ((-30, 0, 0, 20), (100, 0, 120, 20), (20, 20, 20, 40)):
        with pytest.raises(ValueError, match="No pixel of the box"):
            found.quality_in(box)


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"metric": "topiq_fr"}, "'topiq_fr' is a full-reference metric: give the reference"),
            ({"metric": "ms_ssim"}, "There is no metric named 'ms_ssim'"),
            ({"max_memory": "some"}, "Argument `max_memory` must be such as"),
            ({"image": torch.zeros(3, 31, 64)}, "The image is too small"),
            ({"net": torch.nn.Linear(1, 1)}, "must be a network from `load_network`, but got Linear"),
            ({"net": torch.nn.Linear(1, 1), "weights": "own.pth"}, r"were both given, 'own\.pth': give one of them"),
        ],
    )
    def test_arguments(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            quality_map(**{"image": torch.zeros(3, 64, 64), **arguments})

    def test_a_network_that_is_trained(self, cfanet: Any) -> None:
        with pytest.raises(ValueError, match="training mode"):
            quality_map(torch.zeros(3, 64, 64), net=copy.deepcopy(cfanet("lite")).train())

    @pytest.mark.parametrize("find", [quality_map, explain])
    def test_a_network_in_half_precision(self, find: Any, cfanet: Any) -> None:
        with pytest.raises(ValueError, match=r"must be of float32 or float64, but is of torch\.bfloat16"):
            find(torch.zeros(3, 64, 64), net=copy.deepcopy(cfanet("lite")).bfloat16())
