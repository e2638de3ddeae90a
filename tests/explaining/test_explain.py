"""`explain` takes what scoring takes, says what it cannot do, and saves whole files."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from topiq_metrics import explain, load_image
from topiq_metrics.catalog import CARDS
from topiq_metrics.errors import ImageError, ImageNotFoundError, ImageTooSmallError
from topiq_metrics.inference import NetworkPredictor
from topiq_metrics.models.folding import fold


def test_the_score_is_the_predictors(save_picture: Any, lite_weights: Path, tmp_path: Path) -> None:
    # Turned by EXIF, larger than the metric's size rule allows.
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    save_picture(path, 700, 501, exif=exif)
    image = load_image(path)
    predictor = NetworkPredictor("topiq_nr-lite", lite_weights, device="cpu")
    expected = predictor(predictor.size.apply(image[None])).item()
    found = explain(path, weights=lite_weights, device="cpu")
    assert found.score == pytest.approx(expected, abs=1e-5)
    assert found.image.shape == (700, 501, 3)
    assert found.size == (512, 366)
    assert found.maps["gate-level1"].values.shape == (256, 183)
    with Image.open(path) as opened:
        for other in (opened, image, image[None], (image * 255).round().byte()):
            assert explain(other, weights=lite_weights, device="cpu").score == pytest.approx(expected, abs=1e-5)
    other_size = explain(path, weights=lite_weights, size="square=64", device="cpu")
    assert other_size.size == (64, 64)


def test_the_same_under_autocast_and_with_gradients(cfanet: Any, pictures: Any) -> None:
    image = pictures(64, 96)[0]
    expected = explain(image, net=cfanet("lite"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = explain(image.requires_grad_(), net=cfanet("lite"))
    assert found.score == expected.score
    np.testing.assert_array_equal(found.maps["gate-level2"].values, expected.maps["gate-level2"].values)


def test_a_point_is_in_pixels_of_the_picture(cfanet: Any, pictures: Any) -> None:
    image = pictures(96, 192)[0]
    net = cfanet("lite")

    def focus(x: float, y: float, size: str = "native") -> Any:
        return explain(image, net=net, point=(x, y), size=size).maps["focus-level4"].values

    np.testing.assert_array_equal(focus(0, 0), focus(31.9, 31))
    assert not np.array_equal(focus(0, 0), focus(32, 0))
    assert not np.array_equal(focus(0, 0), focus(0, 32))
    np.testing.assert_array_equal(focus(191.9, 95), focus(160, 64))
    # Scored at half the size, on a grid of 3 x 2 cells.
    np.testing.assert_array_equal(focus(0, 0, "max_side=96"), focus(63, 47, "max_side=96"))
    assert not np.array_equal(focus(0, 0, "max_side=96"), focus(64, 0, "max_side=96"))


BAD = {
    "no reference": ({"metric": "topiq_fr"}, ValueError, "'topiq_fr' is a full-reference metric: give the reference"),
    "no reference, ms_ssim": ({"metric": "ms_ssim"}, ValueError, "'ms_ssim' is a full-reference metric"),
    "reference": (
        {"reference": 64, "metric": "topiq_nr-lite"},
        ValueError,
        "'topiq_nr-lite' scores an image by itself: leave out the reference",
    ),
    "unknown metric": ({"metric": "topiq_nr-light"}, ValueError, "Did you mean 'topiq_nr-lite'.*'ms_ssim' can be"),
    "unknown size": ({"size": "huge"}, ValueError, "Argument `size` must be 'native'"),
    "unknown device": ({"device": "abacus"}, ValueError, "Argument `device` must be such as 'cpu'"),
    "point beyond": ({"point": (64, 3)}, ValueError, r"x from 0 to below 64, y from 0 to below 64, but got \(64, 3\)"),
    "point before": ({"point": (3, -1)}, ValueError, r"but got \(3, -1\)"),
    "point nowhere": ({"point": (float("nan"), 1)}, ValueError, r"but got \(nan, 1\)"),
    "point, no attention": (
        {"metric": "ms_ssim", "reference": 64, "point": (1, 1)},
        ValueError,
        "'ms_ssim' has no attention",
    ),
    "sizes": ({"metric": "ms_ssim", "reference": 65}, ImageError, "has 64x64, but its reference 65x65"),
    "small": ({"metric": "ms_ssim", "reference": 64}, ImageTooSmallError, "MS-SSIM needs 176 px a side, but.* 64x64"),
    "smaller": ({"image": 31}, ImageTooSmallError, "The image is too small: the network needs 32 px a side"),
    "weights": ({"metric": "ms_ssim", "reference": 64, "weights": "a.pth"}, ValueError, "'ms_ssim' has no weights"),
    "face": ({"metric": "topiq_nr-face", "weights": None}, ImageError, "an aligned face of 512x512, but .* 64x64"),
    "missing": ({"image": "no.png"}, ImageNotFoundError, "no.png"),
    "several": ({"image": torch.zeros(2, 3, 64, 64)}, ValueError, r"must be one image, but got shape \(2, 3, 64, 64\)"),
}


@pytest.mark.parametrize(("arguments", "error", "message"), BAD.values(), ids=list(BAD))
def test_wrong_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    sides = {"image": 64, **arguments}
    pictures = {key: torch.zeros(3, value, value) if isinstance(value, int) else value for key, value in sides.items()}
    with pytest.raises(error, match=message):
        explain(**pictures)


def test_a_metric_of_another_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    card = replace(CARDS["topiq_nr-lite"], network=None)
    monkeypatch.setattr("topiq_metrics.explaining.run.get_card", lambda name: card)
    with pytest.raises(
        ValueError,
        match=r"another distribution.*Metrics that can: lpips\+, lpips-vgg\+, ms_ssim, qfm_iqm-lite, topiq_fr",
    ):
        explain(torch.zeros(3, 64, 64), metric="theirs")


def test_networks_that_cannot_be_explained(cfanet: Any) -> None:
    image = torch.zeros(3, 64, 64)
    net = cfanet("lite")
    with pytest.raises(ValueError, match="training mode"):
        explain(image, net=copy.deepcopy(net).train())
    with pytest.raises(ValueError, match=r"folded for inference: take one from `topiq_metrics.weights.load_network`"):
        explain(image, net=fold(copy.deepcopy(net)))
    with pytest.raises(ValueError, match="must be a network from `load_network`, but got Linear"):
        explain(image, net=torch.nn.Linear(1, 1))
    with pytest.raises(ValueError, match="is on cpu, but `device` is 'meta'"):
        explain(image, net=net, device="meta")


class TestSaving:
    @pytest.fixture
    def found(self, cfanet: Any, pictures: Any) -> Any:
        return explain(pictures(64, 80)[0], net=cfanet("lite"))

    def test_arrays(self, found: Any, tmp_path: Path) -> None:
        paths = found.save(tmp_path / "out")
        assert {path.name for path in paths} == {path.name for path in (tmp_path / "out").iterdir()}
        assert len(paths) == 2 + len(found.maps)
        with np.load(tmp_path / "out" / "maps.npz") as arrays:
            assert set(arrays) == {*found.maps, "score"}
            assert arrays["score"] == found.score
            for name, level_map in found.maps.items():
                np.testing.assert_array_equal(arrays[name], level_map.values)
        for path in paths[1:]:
            with Image.open(path) as picture:
                picture.load()
        # As a notebook shows it.
        assert found._repr_png_() == (tmp_path / "out" / "sheet.png").read_bytes()

    def test_nothing_is_lost(self, found: Any, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("mine")
        (tmp_path / "overlay-logo.png").write_text("mine")
        found.save(tmp_path)
        (tmp_path / "overlay-similarity-level9.png").touch()
        (tmp_path / "sheet.png").write_text("old")
        with pytest.raises(FileExistsError, match=r"maps.npz already exists: name another folder, or overwrite it"):
            found.save(tmp_path)
        assert (tmp_path / "sheet.png").read_text() == "old"
        paths = found.save(tmp_path, overwrite=True)
        assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / "notes.txt").read_text() == "mine"
        mine = {"notes.txt", "overlay-logo.png"}
        assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths} | mine
        assert {(tmp_path / name).read_text() for name in mine} == {"mine"}

    def test_where_nothing_can_be_written(self, found: Any, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"There is no folder .*: create it first"):
            found.save(tmp_path / "a" / "b")
        (tmp_path / "file").touch()
        with pytest.raises(NotADirectoryError, match="is a file: give a folder"):
            found.save(tmp_path / "file")
