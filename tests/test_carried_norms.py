"""BatchNorm that the weights of convolutions carry in training."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from topiq_metrics.models.folding import fold
from topiq_metrics.models.rewrites import carried_norms
from topiq_metrics.models.rewrites.carried_norms import carry_norms, return_norms
from topiq_metrics.weights import load_network

NAMES = ["topiq_nr-lite", "topiq_nr"]


def two(name):
    """A network in float64, and the same one with quicker steps."""
    torch.manual_seed(0)
    plain = load_network(name, None).double().requires_grad_(True)
    for module in plain.modules():
        # As trained: those of a new network change nothing.
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.8, 1.2)
            for tensor in (module.bias.data, module.running_mean):
                tensor.uniform_(-0.1, 0.1)
    quick = copy.deepcopy(plain)
    carry_norms(quick)
    return plain, quick


@pytest.mark.parametrize("name", NAMES)
def test_scores_and_gradients_are_the_same(name):
    plain, quick = two(name)
    images = torch.rand(1, 3, 64, 96, dtype=torch.float64)
    for net in (plain, quick):
        net(images).sum().backward()
    torch.testing.assert_close(quick(images), plain(images), rtol=1e-9, atol=1e-12)
    gradients = {name: parameter.grad for name, parameter in plain.named_parameters()}
    for key, parameter in quick.named_parameters():
        if gradients[key] is None:
            assert parameter.grad is None
            continue
        torch.testing.assert_close(parameter.grad, gradients[key], rtol=1e-6, atol=1e-12, msg=key)


def test_what_was_trained_scores_alike_without_it():
    plain, quick = two(NAMES[0])
    images = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    optimizer = torch.optim.SGD(quick.parameters(), lr=0.01)
    quick(images).sum().backward()
    optimizer.step()
    assert list(quick.state_dict()) == list(plain.state_dict())
    before = plain(images)
    plain.load_state_dict(quick.state_dict())
    assert not torch.allclose(plain(images), before)
    torch.testing.assert_close(plain(images), quick(images))


def is_carried(net):
    return any("_conv_forward" in vars(module) for module in net.modules())


def test_it_can_be_undone_and_done_again():
    plain, quick = two(NAMES[0])
    carry_norms(quick)
    return_norms(quick)
    assert not is_carried(quick)
    assert not any("forward" in vars(module) for module in quick.modules())
    images = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    assert torch.equal(quick(images), plain(images))
    return_norms(plain)
    assert torch.equal(quick(images), plain(images))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_has_its_own(copied):
    _, quick = two(NAMES[0])
    images = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    other, before = copied(quick), quick(images).detach()
    for module in quick.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.zero_()
    assert is_carried(other)
    assert torch.equal(other(images), before)
    assert not torch.allclose(quick(images), before)


def test_folding_does_not_apply_it_twice():
    plain, quick = two(NAMES[0])
    images = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    expected = plain(images)
    torch.testing.assert_close(fold(quick.eval().requires_grad_(False))(images), expected)


@pytest.mark.parametrize("change", ["training", "padding"])
def test_what_cannot_be_carried(change):
    net = load_network(NAMES[0], None)
    norm = next(module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d))
    if change == "training":
        norm.train()
    else:
        next(module for module in net.modules() if isinstance(module, torch.nn.Conv2d)).padding_mode = "reflect"
    with pytest.raises(ValueError, match="frozen BatchNorm after a convolution padded with zeros"):
        carry_norms(net)


def test_depthwise_convolutions_are_in_float32():
    _, quick = two(NAMES[0])
    quick.float()
    seen = {}
    for name, module in quick.backbone.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda module, _, out, name=name: seen.update({name: out.dtype}))
    original = torch.nn.functional.conv2d
    dtypes = set()

    def convolve(images, weight, bias, stride, padding, dilation, groups):
        if groups > 1:
            dtypes.add(images.dtype)
        return original(images, weight, bias, stride, padding, dilation, groups)

    with pytest.MonkeyPatch.context() as patch, torch.autocast("cpu", torch.bfloat16):
        patch.setattr(carried_norms.F, "conv2d", convolve)
        scores = quick(torch.rand(1, 3, 64, 64))
    assert torch.isfinite(scores).all()
    assert dtypes == {torch.float32}
    # What follows is in bfloat16 all the same, and so are the others.
    assert set(seen.values()) == {torch.bfloat16}
