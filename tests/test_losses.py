"""The losses: piq's arguments and reductions, minimised by construction, out of an optimiser's reach."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from topiq_metrics import topiq_full_reference, topiq_no_reference
from topiq_metrics.errors import ImageTooSmallError
from topiq_metrics.losses import LPIPSPlusLoss, TOPIQLoss, TOPIQNoReferenceLoss
from topiq_metrics.weights import load_network

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def networks(lite_weights, fr_weights):
    torch.manual_seed(0)
    return {
        TOPIQLoss: load_network("topiq_fr", fr_weights),
        TOPIQNoReferenceLoss: load_network("topiq_nr-lite", lite_weights),
        LPIPSPlusLoss: load_network("lpips+", None),
    }


@pytest.fixture(params=[TOPIQLoss, TOPIQNoReferenceLoss, LPIPSPlusLoss], ids=lambda kind: kind.__name__)
def make(request, networks):
    def make(*args, **kwargs):
        return request.param(*args, net=networks[request.param], **kwargs)

    return make


@pytest.fixture(scope="module")
def pair():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 64, 64, generator=generator), torch.rand(2, 3, 64, 64, generator=generator)


def test_reductions(make, pair):
    each = make(reduction="none")(*pair)
    assert each.shape == (2,)
    torch.testing.assert_close(make()(*pair), each.mean())
    torch.testing.assert_close(make(reduction="sum")(*pair), each.sum())
    assert make(reduction="none")(*(x[:1] for x in pair)).shape == (1,)


def test_less_is_better(networks, pair):
    net = networks[TOPIQLoss]
    torch.testing.assert_close(TOPIQLoss(net=net)(*pair), 1 - topiq_full_reference(*pair, net=net))
    net = networks[TOPIQNoReferenceLoss]
    torch.testing.assert_close(TOPIQNoReferenceLoss(net=net)(*pair), 1 - topiq_no_reference(pair[0], net=net))
    loss = LPIPSPlusLoss(net=networks[LPIPSPlusLoss])
    assert loss(pair[1], pair[1]).item() == 0
    assert loss(*pair) > loss(pair[1] * 0.9 + pair[0] * 0.1, pair[1]) > 0


def test_no_reference_needs_no_target(networks, pair):
    loss = TOPIQNoReferenceLoss(net=networks[TOPIQNoReferenceLoss])
    assert loss(pair[0]) == loss(*pair)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_data_range(make, pair, dtype):
    bytes_ = [(x * 255).round().to(dtype) for x in pair]
    expected = make()(*(x.float() / 255 for x in bytes_))
    torch.testing.assert_close(make(data_range=255)(*bytes_), expected)


def test_overshoot_is_let_through_and_another_scale_is_not(make, pair):
    assert make()(pair[0] * 1.6 - 0.3, pair[1]).isfinite()
    with pytest.raises(ValueError, match=r"`x` to be in \[0, 1\.0\] \(`data_range`\).* got values from .* to 2"):
        make()(pair[0] * 255, pair[1])
    with pytest.raises(ValueError, match="`x` must be finite"):
        make()(pair[0] * torch.nan, pair[1])


@pytest.mark.parametrize("data_range", [1.0, 255])
def test_a_reference_does_not_overshoot(networks, pair, data_range):
    x, y = (image * data_range for image in pair)
    for kind in (TOPIQLoss, LPIPSPlusLoss):
        loss = kind(data_range, net=networks[kind])
        assert loss(x, y * 1.0005).isfinite()
        symmetric = (
            rf"`y` to be in \[0, {data_range}\].*\[-{data_range:g}, {data_range:g}\] .* `\(x \+ {data_range:g}\) / 2`"
        )
        with pytest.raises(ValueError, match=symmetric):
            loss(2 * x - data_range, 2 * y - data_range)
        with pytest.raises(ValueError, match=r"`y` to be in .*Overshoot.* is to be clamped"):
            loss(x, y - 0.01 * data_range)
        with pytest.raises(ValueError, match=r"`y` to be in .*Overshoot.* is to be clamped"):
            loss(x, y + 0.01 * data_range)
        with pytest.raises(ValueError, match="`y` must be finite"):
            loss(x, y * torch.nan)


def test_minus_one_to_one_for_values_to_255(networks, pair):
    with pytest.raises(ValueError, match=r"`\(x \+ 1\) / 2` and `data_range=1`"):
        TOPIQLoss(255, net=networks[TOPIQLoss])(*(2 * x - 1 for x in pair))
    with pytest.raises(ValueError, match=r"Values in 0\.\.\.255 need `data_range=255`"):
        TOPIQLoss(net=networks[TOPIQLoss])(*(255 * x for x in pair))


@pytest.mark.parametrize("data_range", [1.0, 255])
def test_an_image_by_itself_in_minus_one_to_one(networks, pair, data_range):
    loss = TOPIQNoReferenceLoss(data_range, net=networks[TOPIQNoReferenceLoss])
    x = pair[0] * data_range
    assert loss(x * 1.4 - 0.4 * data_range).isfinite()
    for images in (2 * x - data_range, x - 0.51 * data_range):
        with pytest.raises(ValueError, match=rf"`x` to be in .*`\(x \+ {data_range:g}\) / 2`"):
            loss(images)
    # The reference is there to tell, where there is one.
    kind = TOPIQLoss
    net = networks[kind]
    assert kind(2.0, net=net)(2 * pair[0] - 0.5, 2 * pair[1]).isfinite()
    assert kind(data_range, net=networks[kind])(x - 0.9 * data_range, x).isfinite()


@pytest.mark.parametrize("data_range", [2, 2.0, 10, 255])
def test_minus_one_to_one_by_itself(networks, pair, data_range):
    loss = TOPIQNoReferenceLoss(data_range, net=networks[TOPIQNoReferenceLoss])
    for images in (2 * pair[0] - 1, pair[0] - 0.5, 1.1 * pair[0] - 0.3):
        with pytest.raises(
            ValueError, match=r"\[-1, 1\] are to be given as `\(x \+ 1\) / 2` and `data_range=1`"
        ) as caught:
            loss(images)
        assert "clamped" not in str(caught.value)
    # Overshoot, and an image that is black.
    assert loss(data_range * (pair[0] * 1.09 - 0.09)).isfinite()
    assert loss(pair[0] * 0.05).isfinite()


@pytest.mark.parametrize("data_range", [1.0, 255])
def test_values_around_zero(networks, pair, data_range):
    """Half a data range below 0 is the least of [-0.5, 0.5], not overshoot."""
    x = (pair[0] - 0.5) * data_range
    hint = rf"\[-{data_range / 2:g}, {data_range / 2:g}\] are to be given as `x \+ {data_range / 2:g}`"
    alone = TOPIQNoReferenceLoss(data_range, net=networks[TOPIQNoReferenceLoss])
    beside = TOPIQLoss(data_range, net=networks[TOPIQLoss])
    for call in (lambda: alone(x), lambda: beside(x, x)):
        with pytest.raises(ValueError, match=hint) as caught:
            call()
        assert "clamped" not in str(caught.value)
        assert "(x + 255) / 2" not in str(caught.value)


def test_a_hint_for_each_range(networks, pair):
    net = networks[TOPIQLoss]
    for data_range, scale, words, others in [
        (255, 1, "`(x + 1) / 2` and `data_range=1`", ("255) / 2", "clamped")),
        (255, 127.5, "`x + 127.5`", ("/ 2`", "clamped")),
        (255, 255, "`(x + 255) / 2`", ("127.5", "clamped")),
        (2, 1, "`(x + 1) / 2` and `data_range=1`", ("clamped",)),
        (1, 1, "`(x + 1) / 2`.", ("clamped", "0.5", "data_range=1`")),
    ]:
        images = [(2 * x - 1) * scale for x in pair]
        with pytest.raises(ValueError, match="Expected `y` to be in") as caught:
            TOPIQLoss(data_range, net=net)(*images)
        assert words in str(caught.value)
        assert not any(each in str(caught.value) for each in others)


def test_wrong_arguments(make, networks, pair):
    with pytest.raises(ValueError, match="`reduction` must be one of"):
        make(reduction="batchmean")
    for data_range in (0, -1, float("inf"), "1", True):
        with pytest.raises(ValueError, match="`data_range` must be a positive number"):
            make(data_range=data_range)
    with pytest.raises(ValueError, match=r"Expected `x` to be a torch\.Tensor, got list"):
        make()([pair[0][0]], pair[1])
    with pytest.raises(ValueError, match=r"Expected `x` to hold real numbers, got torch\.bool"):
        make()(pair[0] > 0.5, pair[1])
    with pytest.raises(ImageTooSmallError, match="`x` must have sides of at least 32"):
        make()(pair[0][..., :16], pair[1][..., :16])
    with pytest.raises(ValueError, match=r"`x` must be a tensor of shape \(N, 3, H, W\)"):
        make()(pair[0][0], pair[1][0])
    for kind in (TOPIQLoss, LPIPSPlusLoss):
        with pytest.raises(ValueError, match=r"Expected `y` to be a torch\.Tensor, got NoneType"):
            kind(net=networks[kind])(pair[0], None)
    with pytest.raises(ValueError, match="`size` must be"):
        make(size="huge")
    with pytest.raises(ValueError, match="Arguments `x` and `y` must have the same shape"):
        TOPIQLoss(net=networks[TOPIQLoss])(pair[0], pair[1][:1])


def test_a_network_that_is_being_trained(lite_weights):
    net = load_network("topiq_nr-lite", lite_weights).requires_grad_(True)
    with pytest.raises(ValueError, match="must be frozen"):
        TOPIQNoReferenceLoss(net=net)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, None])
def test_gradients_are_finite(make, pair, value):
    target = pair[1][:1] if value is None else torch.full((1, 3, 64, 64), value)
    x = target.clone().requires_grad_()
    make()(x, target).backward()
    assert x.grad.isfinite().all()


def test_an_optimiser_cannot_touch_the_network(make, networks, pair):
    loss = make().train()
    net = loss.net.network
    before = {key: value.clone() for key, value in net.state_dict().items()}
    assert list(loss.parameters()) == []
    assert loss.state_dict() == {}
    x = pair[0][:1].clone().requires_grad_()
    optimiser = torch.optim.Adam([x, *loss.parameters()], lr=0.01)
    losses = []
    for _ in range(6):
        optimiser.zero_grad()
        value = loss(x, pair[1][:1])
        value.backward()
        optimiser.step()
        losses.append(value.item())
    assert losses[-1] < losses[0]
    assert not net.training
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert all(parameter.grad is None for parameter in net.parameters())


def test_beside_a_loss_of_piq(make, pair):
    piq = pytest.importorskip("piq", reason="piq is not installed: pip install piq")
    x = pair[0].clone().requires_grad_()
    (piq.SSIMLoss(data_range=1.0)(x, pair[1]) + 0.1 * make(data_range=1.0)(x, pair[1])).backward()
    assert x.grad.isfinite().all()


def test_copies_and_pickles(make, pair):
    loss = make()
    for other in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert other(*pair) == loss(*pair)


def test_autocast_changes_nothing(make, pair):
    loss = make()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(*pair)
    assert inside == loss(*pair)


def test_second_derivatives_by_the_kernel_that_has_them():
    """As the docs say."""
    loss, clean = TOPIQLoss(), torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    image = (clean * 0.9).requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):
        (gradient,) = torch.autograd.grad(loss(image, clean), image, create_graph=True)
        (second,) = torch.autograd.grad(gradient.square().sum(), image)
    assert second.isfinite().all()
    assert second.abs().sum() > 0


def test_gradients_of_the_reference(networks):
    for kind in (TOPIQLoss, LPIPSPlusLoss):
        y = torch.rand(1, 3, 33, 100, generator=torch.Generator().manual_seed(0)).requires_grad_()
        kind(net=networks[kind])(y.detach().flip(-1), y).backward()
        assert y.grad.isfinite().all()
        assert y.grad.norm() > 0


def test_semantic_layer(networks, pair):
    net = networks[LPIPSPlusLoss]
    values = {layer: LPIPSPlusLoss(net=net, semantic_layer=layer)(*pair).item() for layer in (0, 2, None)}
    assert len(set(values.values())) == 3
    assert LPIPSPlusLoss(net=net)(*pair).item() == values[2]


def test_default_model_is_bundled(pair):
    assert TOPIQNoReferenceLoss()(pair[0]).isfinite()


@pytest.mark.parametrize("strength", [0.0, 1e-3])
def test_the_gradient_near_equality_is_that_of_both_images(strength):
    """Were the two images computed in different operations, rounding would make a difference where there is none."""
    torch.manual_seed(0)
    reference = torch.rand(2, 3, 64, 64)
    image = (reference + strength * torch.randn(reference.shape)).clamp(0, 1).requires_grad_()
    loss = TOPIQLoss(model="topiq_fr", weights=None)
    (alone,) = torch.autograd.grad(loss(image, reference), image)
    (beside, _) = torch.autograd.grad(loss(image, reference.requires_grad_()), (image, reference))
    assert beside.norm() > 0
    torch.testing.assert_close(alone, beside, rtol=1e-4, atol=1e-6 * beside.abs().max().item())


@pytest.mark.parametrize("data_range", [np.int64(255), np.float32(255), 255])
def test_numbers_of_numpy_are_numbers(make, pair, data_range):
    torch.testing.assert_close(make(data_range=data_range)(*(255 * x for x in pair)), make()(*pair))


def test_weights_beside_a_network(make):
    with pytest.raises(ValueError, match=r"`net` and `weights` were both given, 'own\.pth'"):
        make(weights="own.pth")
