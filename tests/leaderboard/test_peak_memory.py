"""The memory of a score is that of the metric alone."""

from __future__ import annotations

import sys

import pytest
from PIL import Image

from topiq_metrics.contenders import get_toolbox_metric
from topiq_metrics.leaderboard.peak_memory import peak_memory

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    Image.effect_noise((1600, 1200), 50).convert("RGB").save(path)
    return path


def test_a_metric_that_makes_some_maps(picture):
    predictor = get_toolbox_metric("torchmetrics:psnr").open()
    memory = peak_memory(predictor, "default", [picture, picture])
    map_ = 3 * 1600 * 1200 * 4
    assert map_ / 2 < memory < 12 * map_


@pytest.mark.slow
def test_a_metric_that_cannot_score_has_no_memory(picture, tmp_path):
    predictor = get_toolbox_metric("torchmetrics:psnr").open()
    assert peak_memory(predictor, "default", [picture, tmp_path / "missing.png"]) is None
