"""The maps of MS-SSIM are those that torchmetrics' score is made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from topiq_metrics import explain
from topiq_metrics.explaining.ms_ssim import BETAS


@pytest.mark.parametrize("size", [(176, 176), (177, 203), (255, 190)])
def test_the_means_of_the_maps_make_the_score(size: tuple[int, int], pictures: Any) -> None:
    image, reference = pictures(*size)
    found = explain(image, reference, "ms_ssim")
    theirs = multiscale_structural_similarity_index_measure(image[None], reference[None], data_range=1.0).item()
    assert theirs < 0.99
    assert found.score == pytest.approx(theirs, abs=1e-6)
    names = [*(f"contrast-structure-level{level}" for level in range(1, 5)), "similarity-level5"]
    factors = [found.maps[name].values.mean(dtype=float) ** beta for name, beta in zip(names, BETAS, strict=True)]
    assert np.prod(factors) == pytest.approx(theirs, abs=1e-6)
    shares = [found.maps[name].share for name in names]
    np.testing.assert_allclose(shares, np.log(factors) / np.log(theirs), atol=1e-5)
    assert [m.share for m in found.maps.values() if m.name not in names] == [None, None]


def test_ssim_is_luminance_times_contrast_and_structure(pictures: Any) -> None:
    image, reference = (x[:1].expand(3, -1, -1) for x in pictures(176, 208))
    found = explain(image, reference, "ms_ssim").maps
    product = found["luminance-level5"].values * found["contrast-structure-level5"].values
    np.testing.assert_allclose(product, found["similarity-level5"].values, atol=1e-6)
    pooled = [torch.nn.functional.avg_pool2d(x[None], 16) for x in (image, reference)]
    _, ssim = structural_similarity_index_measure(*pooled, data_range=1.0, return_full_image=True)
    np.testing.assert_allclose(found["similarity-level5"].values, ssim[0, 0], atol=1e-5)


def test_maps_lie_where_their_cells_do(pictures: Any) -> None:
    image, reference = pictures(181, 203)
    found = explain(image, reference, "ms_ssim").maps
    assert found["contrast-structure-level1"].values.shape == (171, 193)
    assert found["contrast-structure-level1"].box == (5 / 203, 5 / 181, 198 / 203, 176 / 181)
    # 181 and 203 halved four times are 11 and 12 cells of 16 pixels.
    assert found["similarity-level5"].values.shape == (11, 12)
    assert found["similarity-level5"].box == (0, 0, 192 / 203, 176 / 181)


def test_equal_and_opposite_images(pictures: Any) -> None:
    _, reference = pictures(176, 176)
    equal = explain(reference, reference, "ms_ssim")
    assert equal.score == pytest.approx(1)
    assert {m.share for m in equal.maps.values()} == {0, None}
    opposite = explain(1 - reference, reference, "ms_ssim")
    theirs = multiscale_structural_similarity_index_measure(1 - reference[None], reference[None], data_range=1.0)
    assert opposite.score == theirs.item() == 0
    shares = [m.share for m in opposite.maps.values() if m.share is not None]
    assert sum(shares) == pytest.approx(1)
