"""Damage is read out of the levels of the very weights that the read-out was trained for."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from topiq_metrics import get_card, load_image, quality_map
from topiq_metrics.explaining import quality
from topiq_metrics.explaining.quality import pooled_levels
from topiq_metrics.explaining.readout import FINENESS, Readout, probe, readout_for
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.weights import load_network, resolve, shared_network
from topiq_metrics.weights.hashes import sha256_of

NAME = "topiq_nr-lite"
PHOTOGRAPHS = sorted((Path(__file__).parents[2] / "docs" / "photographs").glob("*/0-original.jpg"))


@pytest.fixture(scope="module")
def net() -> CFANet:
    return shared_network(NAME, device="cpu")


def found_share(values: np.ndarray, damaged: np.ndarray) -> float:
    """How often a damaged pixel is worse than another one."""
    inside, outside = values[damaged], values[~damaged]
    return float((inside[:, None] < outside[None, ::7]).mean())


def test_it_is_in_the_catalogue_and_checked() -> None:
    card = get_card(NAME)
    assert card.readout is not None
    path = resolve(card.readout, download=False)
    assert sha256_of(path) == card.readout.sha256
    assert path.stat().st_size < 500e3


def test_it_belongs_to_weights(net: CFANet, cfanet: Any) -> None:
    assert readout_for(net) is not None
    # Folding and another type change nothing.
    for same in (load_network(NAME), copy.deepcopy(net).double()):
        np.testing.assert_allclose(probe(same), probe(net), atol=1e-4)
        assert readout_for(same) is not None
    for part in ("backbone", "gated_pools", "reduce"):
        other = copy.deepcopy(net)
        with torch.no_grad():
            for parameter in other.get_submodule(part).parameters():
                parameter.mul_(1.01)
        assert readout_for(other) is None, part
    assert readout_for(load_network(NAME, None)) is None
    assert readout_for(load_network("topiq_fr-lite")) is None
    assert readout_for(cfanet("lite")) is None


@pytest.mark.parametrize("kind", ["blur", "noise", "jpeg", "pixelate"])
def test_damage_is_found_without_a_reference(kind: str) -> None:
    from topiq_metrics.training.distortions import distort

    shares = []
    for number, path in enumerate(PHOTOGRAPHS):
        clean = load_image(path)[:, :256, :320]
        mask = torch.zeros(clean.shape[1:], dtype=torch.bool)
        top, left = (48 + 24 * number) % 150, (160 + 56 * number) % 200
        mask[top : top + 96, left : left + 112] = True
        picture = torch.where(mask, distort(clean, kind, 0.7, seed=number), clean)
        found = quality_map(picture)
        assert float(found.values.mean()) == pytest.approx(found.score, abs=1e-5)
        shares.append(found_share(found.on_pixels(*clean.shape[1:]), mask.numpy()))
    assert np.mean(shares) > 0.8


def test_other_weights_are_mapped_by_windows(net: CFANet, monkeypatch: pytest.MonkeyPatch) -> None:
    image = load_image(PHOTOGRAPHS[0])[:, :128, :160]
    assert quality_map(image).values.shape == (8, 10)
    monkeypatch.setattr(quality, "readout_for", lambda net: None)
    assert quality_map(image).values.shape == (4, 5)


def test_strips_types_and_small_pictures(net: CFANet) -> None:
    image = load_image(PHOTOGRAPHS[0])[:, :203, :300]
    expected = quality_map(image, net=net).values
    np.testing.assert_allclose(quality_map(image, net=net, max_memory="50MB").values, expected, atol=1e-4)
    np.testing.assert_allclose(quality_map(image, net=copy.deepcopy(net).double()).values, expected, atol=1e-3)
    for side in (32, 33):
        assert np.isfinite(quality_map(image[:, :side, :side], net=net).values).all()


def test_what_is_around_a_place_and_the_whole_picture_count(net: CFANet) -> None:
    readout = readout_for(net)
    assert readout is not None

    def read(x: Tensor) -> Tensor:
        return readout(pooled_levels(net, [x[None]], FINENESS, None))[0]

    image = load_image(PHOTOGRAPHS[0])[:, :192, :192]
    other = image.clone()
    other[:, -32:, -32:] = 0
    assert (read(image)[0, 0] - read(other)[0, 0]).abs() > 1e-4


def test_a_file_of_another_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, net: CFANet) -> None:
    from safetensors.torch import save_file

    from topiq_metrics.errors import WeightsMismatchError
    from topiq_metrics.explaining import readout

    about = {"topiq_metrics": json.dumps({"levels": probe(net)})}
    save_file({"mean": torch.zeros(3), "reduce.bias": torch.zeros(2)}, tmp_path / "other.safetensors", metadata=about)
    monkeypatch.setattr(readout, "resolve", lambda *_, **__: tmp_path / "other.safetensors")
    with pytest.raises(WeightsMismatchError, match="is no read-out"):
        readout_for(net)


def test_it_may_first_be_read_anywhere(net: CFANet) -> None:
    from topiq_metrics.explaining import readout

    image = load_image(PHOTOGRAPHS[0])[:, :96, :128]
    readout._loaded.cache_clear()
    torch.manual_seed(5)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    with torch.device("meta"):
        readout_for(net)
    torch.testing.assert_close(torch.rand(1), drawn)
    found = readout_for(net)
    assert found is not None
    assert not found.mean.is_inference()
    assert np.isfinite(quality_map(image, net=net).values).all()


def test_levels_one_by_one_are_all_of_them() -> None:
    readout = Readout(12, width=4).eval()
    readout.mean, readout.deviation = torch.randn(12), torch.rand(12) + 0.5
    levels = torch.randn(2, 12, 3, 5)
    assert readout([levels]).shape == (2, 3, 5)
    torch.testing.assert_close(readout(levels.split(4, dim=1)), readout([levels]), atol=1e-5, rtol=1e-4)
    assert readout([torch.randn(1, 12, 1, 1)]).shape == (1, 1, 1)
