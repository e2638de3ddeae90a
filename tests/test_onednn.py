"""A convolution and its activation at once are what they are one after the other."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from topiq_metrics.models.backbones.resnet import FusedBottleneck, ResidualBlock
from topiq_metrics.models.rewrites.batch_norm import fold_batch_norm
from topiq_metrics.models.rewrites.onednn import FusedConv2d, fuse

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch has no oneDNN")


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each convolution was computed together with its activation."""
    record: list[bool] = []
    plain = FusedConv2d._is_fused

    def spy(self: FusedConv2d, x: Tensor) -> bool:
        record.append(plain(self, x))
        return record[-1]

    monkeypatch.setattr(FusedConv2d, "_is_fused", spy)
    return record


def frozen(net: nn.Module) -> nn.Module:
    return net.eval().requires_grad_(False)


def block() -> nn.Module:
    torch.manual_seed(0)
    return frozen(fold_batch_norm(frozen(ResidualBlock(32, 8))))


def layers(activation: Callable[[], nn.Module]) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.Identity(), activation(), nn.Conv2d(16, 4, 1)
    ).requires_grad_(False)


def images(*shape: int) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(*shape)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.ReLU6, nn.GELU, nn.Sigmoid])
def test_activations(activation: Callable[[], nn.Module], used: list[bool]) -> None:
    plain = layers(activation)
    fused = fuse(copy.deepcopy(plain))
    assert [type(layer) for layer in fused] == [FusedConv2d, nn.Identity, nn.Identity, nn.Conv2d]
    assert fused.state_dict().keys() == plain.state_dict().keys()
    for shape in [(1, 8, 33, 20), (1, 8, 33, 20), (1, 8, 33, 20), (3, 8, 5, 64), (1, 8, 33, 20), (2, 8, 301, 200)]:
        x = 4 * images(*shape)
        for layout in (torch.contiguous_format, torch.channels_last):
            torch.testing.assert_close(fused(x.contiguous(memory_format=layout)), plain(x), rtol=1e-5, atol=1e-6)
        rows = x[:, :, 2:-1]
        torch.testing.assert_close(fused(rows), plain(rows), rtol=1e-5, atol=1e-6)
    assert used
    assert all(used)


@pytest.mark.parametrize("channels", [32, 16])
def test_blocks(channels: int, used: list[bool]) -> None:
    torch.manual_seed(0)
    shortcut = nn.Conv2d(channels, 32, 1, stride=2) if channels == 16 else None
    plain = fold_batch_norm(frozen(ResidualBlock(channels, 8, stride=2 if shortcut else 1, downsample=shortcut)))
    fused = fuse(nn.Sequential(copy.deepcopy(plain)))
    assert isinstance(fused[0], FusedBottleneck)
    x = images(2, channels, 24, 32).contiguous(memory_format=torch.channels_last)
    before = x.clone()
    for _ in range(3):
        torch.testing.assert_close(fused(x), plain(x), rtol=1e-5, atol=1e-6)
    assert torch.equal(x, before)
    assert used
    assert all(used)


def test_changed_weights_count_at_once(used: list[bool]) -> None:
    plain = layers(nn.GELU)
    fused = fuse(copy.deepcopy(plain))
    x = images(1, 8, 16, 16)
    for _ in range(3):
        fused(x)
    for net in (plain, fused):
        net[0].weight.mul_(0.5)
    torch.testing.assert_close(fused(x), plain(x), rtol=1e-5, atol=1e-6)
    for net in (plain, fused):
        net.load_state_dict(layers(nn.GELU).state_dict())
        net[0].weight.data = net[0].weight.data + 0.1
    torch.testing.assert_close(fused(x), plain(x), rtol=1e-5, atol=1e-5)
    assert all(used)


def test_what_is_packed_is_neither_copied_nor_saved() -> None:
    fused = fuse(layers(nn.ReLU))
    x = images(1, 8, 16, 16)
    expected = [fused(x) for _ in range(3)][-1]
    assert fused[0]._packed[1] is not None
    file = io.BytesIO()
    torch.save(fused, file)
    file.seek(0)
    for other in (copy.deepcopy(fused), torch.load(file, weights_only=False)):
        assert other[0]._packed is None
        # Before it is packed again, a processor may take another algorithm.
        torch.testing.assert_close(other(x), expected, rtol=1e-5, atol=1e-6)


def test_gradients_take_the_plain_way(used: list[bool]) -> None:
    plain = layers(nn.GELU)
    fused = fuse(copy.deepcopy(plain))
    gradients = []
    for net in (plain, fused):
        x = images(1, 8, 16, 16).requires_grad_()
        gradients.append(torch.autograd.grad(net(x).square().sum(), x)[0])
    torch.testing.assert_close(*gradients)
    net = fuse(nn.Sequential(block()))
    x = images(1, 32, 8, 8).requires_grad_()
    torch.autograd.grad(net(x).sum(), x)
    assert used
    assert not any(used)


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_transforms_of_functions_take_the_plain_way(used: list[bool]) -> None:
    plain = layers(nn.GELU)
    fused = fuse(copy.deepcopy(plain))
    x, tangent = images(2, 8, 16, 16), images(2, 8, 16, 16).flip(0)
    (_, found), (_, expected) = (torch.func.jvp(net, (x,), (tangent,)) for net in (fused, plain))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.func.vmap(lambda image: fused(image[None])[0])(x), plain(x))
    assert used
    assert not any(used)


def test_other_precisions(used: list[bool]) -> None:
    plain = layers(nn.GELU)
    x = images(1, 8, 16, 16)
    double = fuse(copy.deepcopy(plain)).double()
    torch.testing.assert_close(double(x.double()), plain.double()(x.double()))
    plain.float()
    with torch.autocast("cpu", torch.bfloat16):
        # Weights of float32 are cast by autocast itself.
        torch.testing.assert_close(fuse(copy.deepcopy(plain))(x), plain(x))
    assert not any(used)


def test_bfloat16_weights(used: list[bool]) -> None:
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this processor has no bfloat16")
    plain = layers(nn.GELU)
    half = fuse(copy.deepcopy(plain)).bfloat16()
    x = images(1, 8, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert (half(x) - plain.float()(x)).abs().max() < 0.03
    assert all(used)


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_traced_networks_hold_plain_operations() -> None:
    fused = fuse(layers(nn.GELU))
    x = images(1, 8, 16, 16)
    graph = str(torch.jit.trace(fused, x).inlined_graph)
    assert "mkldnn" not in graph
    program = torch.export.export(fused, (x,))
    assert "mkldnn" not in str(program.graph)
    torch.testing.assert_close(program.module()(x), fused(x), rtol=1e-5, atol=1e-6)
