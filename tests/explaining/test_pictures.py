"""Overlays show each value where its cell is, in colours that say how much."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from topiq_metrics import explain
from topiq_metrics.explaining import Explanation, LevelMap
from topiq_metrics.explaining.colors import colorize
from topiq_metrics.explaining.overlays import heat_on, limits


def made_of(level_map: LevelMap, height: int, width: int, **options: Any) -> Explanation:
    black = np.zeros((height, width, 3), dtype=np.uint8)
    return Explanation("metric", 0.5, (height, width), {level_map.name: level_map}, black, **options)


@pytest.mark.parametrize("size", [(448, 448), (451, 677), (1024, 333)])
@pytest.mark.parametrize("cell", [(0, 0), (4, 6), (2, 3), (0, 6)])
def test_the_hottest_pixel_lies_in_the_hottest_cell(
    size: tuple[int, int], cell: tuple[int, int], hot_cell: Any
) -> None:
    height, width = size
    found = made_of(hot_cell(5, 7, *cell), height, width)
    pixels = np.asarray(found.overlay("gate-level1"))[:height, :width].astype(int).sum(axis=-1)
    ys, xs = np.nonzero(pixels == pixels.max())
    assert cell[0] <= ys.mean() / height * 5 < cell[0] + 1
    assert cell[1] <= xs.mean() / width * 7 < cell[1] + 1


def test_no_pixel_is_moved(hot_cell: Any) -> None:
    level_map = hot_cell(13, 17, 3, 11)
    np.testing.assert_array_equal(heat_on(level_map, 13, 17), level_map.values)
    ramp = LevelMap("gate", 1, 1, np.array([[0, 1]], dtype=np.float32))
    np.testing.assert_allclose(heat_on(ramp, 3, 8)[1], [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1], atol=1e-6)
    flipped = LevelMap("gate", 1, 1, level_map.values[::-1, ::-1].copy())
    np.testing.assert_allclose(heat_on(level_map, 101, 67), heat_on(flipped, 101, 67)[::-1, ::-1], atol=1e-6)


def test_what_the_cells_do_not_cover_stays_grey(hot_cell: Any) -> None:
    level_map = hot_cell(4, 4, 0, 0, box=(0.1, 0.2, 0.9, 0.7))
    heat = heat_on(level_map, 100, 200)
    covered = np.zeros((100, 200), dtype=bool)
    covered[20:70, 20:180] = True
    np.testing.assert_array_equal(~np.isnan(heat), covered)
    assert np.unravel_index(np.nanargmax(heat), heat.shape)[0] < 20 + 50 / 4
    picture = np.asarray(made_of(level_map, 100, 200).overlay("gate-level1"))
    assert not picture[:40, :].any()
    assert picture[60:150, 60:350].any()


def test_what_is_shown_of_shares_and_of_similarities() -> None:
    values = np.array([[0.1, 0.2], [0.3, 0.4]], dtype=np.float32)
    attention = LevelMap("attention", 1, 32, values)
    np.testing.assert_allclose(attention.heat, values * 4)
    assert limits(attention) == (0, 2)
    similarity = LevelMap("similarity", 1, 1, values)
    np.testing.assert_allclose(similarity.heat, 1 - values)
    assert limits(LevelMap("similarity", 1, 1, np.ones((2, 2), np.float32))) == (0, 0.1)
    assert limits(LevelMap("distance", 1, 1, np.zeros((2, 2), np.float32))) == (0, 1)
    assert limits(LevelMap("gate", 1, 1, values)) == (0, 1)


def test_half_area() -> None:
    spot = np.zeros((10, 10), dtype=np.float32)
    assert LevelMap("attention", 1, 1, spot).half_area == 0.5
    spot[3, 3] = 1
    assert LevelMap("attention", 1, 1, spot).half_area == 0.01
    assert LevelMap("attention", 1, 1, np.ones((10, 10), np.float32)).half_area == 0.5


def test_colors_get_lighter() -> None:
    lightness = colorize(np.linspace(0, 1, 256, dtype=np.float32)) @ [0.299, 0.587, 0.114]
    assert (np.diff(lightness) > 0).all()
    assert lightness[0] < 2
    assert lightness[-1] > 240


def test_colors_are_those_of_magma() -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    places = np.linspace(0, 1, 256, dtype=np.float32)
    assert np.abs(colorize(places) - matplotlib.colormaps["magma"](places)[:, :3] * 255).max() < 3


@pytest.mark.parametrize("size", [(32, 32), (33, 1000), (900, 40)])
def test_pictures_of_any_shape(size: tuple[int, int], cfanet: Any, pictures: Any) -> None:
    height, width = size
    found = explain(pictures(*size)[0], net=cfanet("lite"), point=(width - 1, height - 1), size="native")
    for name in found.maps:
        overlay = found.overlay(name)
        assert 448 <= max(overlay.size) <= 1024 + 90
    assert found.sheet().mode == "RGB"


def test_large_pictures_are_shown_smaller(hot_cell: Any) -> None:
    assert made_of(hot_cell(2, 2, 0, 0), 3000, 1500).overlay("gate-level1").size == (512, 1024 + 90)


def test_the_asked_place_is_ringed(hot_cell: Any) -> None:
    level_map = hot_cell(2, 2, 0, 0, kind="focus")
    ringed = np.asarray(made_of(level_map, 448, 448, point=(300, 100)).overlay("focus-level1"))
    plain = np.asarray(made_of(level_map, 448, 448).overlay("focus-level1"))
    ys, xs = np.nonzero((ringed != plain).any(axis=-1))
    assert (ys.mean(), xs.mean()) == pytest.approx((100, 300), abs=1)
    assert ys.max() - ys.min() < 20


def test_an_unknown_map(hot_cell: Any) -> None:
    with pytest.raises(ValueError, match="There is no map 'gate-level2', but gate-level1"):
        made_of(hot_cell(2, 2, 0, 0), 64, 64).overlay("gate-level2")
