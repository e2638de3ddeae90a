"""Eager PyTorch in its precisions."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
import torch

from topiq_metrics.inference.backends.torch_backend import open_network, reduce_precision, share
from topiq_metrics.models.folding import fold
from topiq_metrics.models.lpips import LPIPSPlusConfig, LPIPSPlusNetwork
from topiq_metrics.models.network import QualityNetwork
from topiq_metrics.weights import load_network, shared_network

NAME = "topiq_nr-lite"


@pytest.fixture(scope="module")
def net() -> QualityNetwork:
    return shared_network(NAME)


def pictures(count: int = 3, height: int = 96, width: int = 130) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_float32_is_the_network_itself(net: QualityNetwork) -> None:
    images = pictures()
    torch.testing.assert_close(open_network(net, "float32", None)(images), net(images), rtol=0, atol=0)


def test_what_runs_a_network_does_not_keep_it_alive() -> None:
    other = fold(load_network(NAME))
    runs = [open_network(other, precision, None) for precision in ("float32", "bfloat16")]
    gone = weakref.ref(other)
    del other
    gc.collect()
    assert gone() is None
    with pytest.raises(RuntimeError, match="The network is gone"):
        runs[0](pictures())


@pytest.mark.parametrize("max_memory", [None, 1_000_000])
def test_bfloat16_is_near_and_float32_again_in_the_end(net: QualityNetwork, max_memory: int | None) -> None:
    images = pictures(height=160)
    scores, exact = open_network(net, "bfloat16", max_memory)(images), net(images)
    assert scores.dtype == torch.float32
    assert 0 < (scores - exact).abs().max() < 0.02
    # The last layer is not rounded, which would leave steps of 2 ** -9 about 0.5.
    assert (scores * 2**9).frac().count_nonzero() > 0


def test_bfloat16_of_two_images(fr_weights: Path) -> None:
    net, images = shared_network("topiq_fr", fr_weights), pictures(2, 64, 96)
    scores = open_network(net, "bfloat16", None)(images, images.flip(0))
    torch.testing.assert_close(scores, net(images, images.flip(0)), rtol=0, atol=0.02)


def test_bfloat16_of_lpips() -> None:
    torch.manual_seed(0)
    net, images = LPIPSPlusNetwork(LPIPSPlusConfig()).requires_grad_(requires_grad=False), pictures(2)
    scores = open_network(net, "bfloat16", None)(images, images.flip(0))
    torch.testing.assert_close(scores, net(images, images.flip(0)), rtol=0.05, atol=1e-4)


def test_the_copy_shares_what_it_does_not_round(net: QualityNetwork) -> None:
    before = {key: (value.dtype, value.data_ptr()) for key, value in net.state_dict().items()}
    copy = reduce_precision(net, torch.bfloat16)
    assert {key: (value.dtype, value.data_ptr()) for key, value in net.state_dict().items()} == before
    own = {value.data_ptr() for value in net.state_dict().values()}
    for value in copy.state_dict().values():
        assert (value.data_ptr() in own) == (value.dtype != torch.bfloat16)
    assert {value.data_ptr() for value in share(net).state_dict().values()} == own


def test_float16_on_a_cpu_is_refused(net: QualityNetwork) -> None:
    with pytest.raises(ValueError, match=r"slower in float16 .* use precision 'bfloat16'"):
        open_network(net, "float16", None)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_on_a_gpu(net: QualityNetwork, precision: str) -> None:
    images = pictures()
    scores = open_network(shared_network(NAME, device="cuda"), precision, None)(images.cuda())
    torch.testing.assert_close(scores.cpu(), net(images), rtol=0, atol=0.02)
