"""The functions: what they compute, what they refuse, and their gradients."""

from __future__ import annotations

from collections import deque

import pytest
import torch
from metric_tester import make_images, tiny_network, true_scores

from topiq_metrics import topiq_aesthetic, topiq_full_reference, topiq_no_reference
from topiq_metrics.images import SizePolicy
from topiq_metrics.weights import load_network, sharing

FUNCTIONS = [
    pytest.param(topiq_no_reference, "NR", 1, id="no-reference"),
    pytest.param(topiq_full_reference, "FR", 1, id="full-reference"),
    pytest.param(topiq_aesthetic, "NR", 10, id="aesthetic"),
]


def inputs(mode, count=3, dtype=torch.float32):
    return [make_images(count, seed).to(dtype) for seed in range(2 if mode == "FR" else 1)]


@pytest.fixture
def calls(monkeypatch):
    """Names of the networks that were loaded."""
    loaded = []

    def load(name, weights="default", **options):
        loaded.append(name)
        return tiny_network(name=name)

    monkeypatch.setattr(sharing, "shared_network", load)
    monkeypatch.setattr(sharing.HOLDINGS, "recent", deque(maxlen=sharing.RECENT))
    return loaded


@pytest.mark.parametrize(("function", "mode", "bins"), FUNCTIONS)
def test_reductions(function, mode, bins):
    net, images = tiny_network(mode, bins=bins), inputs(mode)
    expected = true_scores(net, *images)
    assert expected.std() > 1e-3
    for reduction, value in (("none", expected), (None, expected), ("mean", expected.mean()), ("sum", expected.sum())):
        torch.testing.assert_close(function(*images, net=net, size="native", reduction=reduction), value)


@pytest.mark.parametrize(("function", "mode", "bins"), FUNCTIONS)
def test_gradients(function, mode, bins):
    net = tiny_network(mode, bins=bins).double()
    images = [image.requires_grad_() for image in inputs(mode, 2, torch.float64)]

    def score(*images):
        return function(*images, net=net, size="native", reduction="none", check_range=False)

    assert torch.autograd.gradcheck(score, images, fast_mode=True)
    score(*images).sum().backward()
    assert all(image.grad.abs().sum() > 0 for image in images)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_gradients_through_the_size_rule():
    image = make_images(1, side=48).double().requires_grad_()

    def score(image):
        return topiq_no_reference(image, net=tiny_network().double(), size="square=32", check_range=False)

    assert torch.autograd.gradcheck(score, image, fast_mode=True)


def test_mixed_sizes_keep_their_order():
    net = tiny_network()
    images = [make_images(1, seed, side)[0] for seed, side in enumerate((32, 40, 48, 32, 40))]
    expected = torch.cat([true_scores(net, image[None]) for image in images])
    scores = topiq_no_reference(images, net=net, size="native", reduction="none")
    torch.testing.assert_close(scores, expected)


def test_equal_sizes_share_a_batch():
    net, shapes = tiny_network(), []
    net.register_forward_pre_hook(lambda _, args: shapes.append(tuple(args[0].shape)))
    images = [make_images(1, seed, side)[0] for seed, side in enumerate((32, 64, 32, 48))]
    topiq_no_reference(images, net=net, size="max_side=48")
    assert sorted(shapes) == [(2, 3, 32, 32), (2, 3, 48, 48)]


def test_mixed_sizes_with_references():
    net = tiny_network("FR")
    preds = [make_images(1, seed, side)[0] for seed, side in enumerate((32, 40, 32))]
    target = [make_images(1, 9 + seed, side)[0] for seed, side in enumerate((32, 40, 32))]
    expected = torch.cat([true_scores(net, p[None], t[None]) for p, t in zip(preds, target, strict=True)])
    scores = topiq_full_reference(preds, target, net=net, size="native", reduction="none")
    torch.testing.assert_close(scores, expected)


@pytest.mark.parametrize("size", ["square=40", SizePolicy("square", 40)])
def test_size_overrides_the_rule_of_the_model(size):
    net, shapes = tiny_network(), []
    net.register_forward_pre_hook(lambda _, args: shapes.append(tuple(args[0].shape)))
    images = make_images(1, side=520)
    topiq_no_reference(images, net=net, size=size)
    topiq_no_reference(images, net=net)
    topiq_no_reference(images, net=net, model="topiq_nr")
    assert shapes == [(1, 3, 40, 40), (1, 3, 512, 512), (1, 3, 520, 520)]


def test_a_network_brings_the_rule_of_its_name():
    net, shapes = tiny_network(name="topiq_nr"), []
    net.register_forward_pre_hook(lambda _, args: shapes.append(tuple(args[0].shape)))
    topiq_no_reference(make_images(1, side=520), net=net)
    assert shapes == [(1, 3, 520, 520)]
    with pytest.raises(ValueError, match="network of 'topiq_nr', but `model` is 'topiq_nr-spaq'"):
        topiq_no_reference(make_images(1), net=net, model="topiq_nr-spaq")


def test_uint8():
    net = tiny_network()
    images = make_images(2).mul(255).to(torch.uint8)
    torch.testing.assert_close(topiq_no_reference(images, net=net), topiq_no_reference(images / 255, net=net))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_images_are_cast_to_the_type_of_the_network(dtype):
    images = make_images(2).to(dtype)
    score = topiq_no_reference(images, net=tiny_network())
    assert score.dtype == torch.float32
    torch.testing.assert_close(score, topiq_no_reference(images.float(), net=tiny_network()))


@pytest.mark.parametrize(("dtype", "result"), [(torch.bfloat16, torch.float32), (torch.float64, torch.float64)])
def test_a_score_is_at_least_float32(dtype, result):
    assert topiq_no_reference(make_images(2), net=tiny_network().to(dtype)).dtype == result


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_changes_nothing(dtype):
    net, images = tiny_network(), make_images(2)
    expected = topiq_no_reference(images, net=net)
    with torch.autocast("cpu", dtype=dtype):
        score = topiq_no_reference(images, net=net)
    assert score.dtype == torch.float32
    assert torch.equal(score, expected)


@pytest.mark.parametrize(
    ("function", "model", "message"),
    [
        (
            topiq_no_reference,
            "topiq_fr",
            r"`model` must be one of \('topiq_nr', .*'qfm_iqm-lite'\), but got 'topiq_fr'",
        ),
        (topiq_no_reference, "topiq_iaa", r"`model` must be one of \('topiq_nr', .*, but got 'topiq_iaa'"),
        (topiq_aesthetic, "topiq_nr", r"must be one of \('topiq_iaa', 'topiq_iaa_res50'\), but got 'topiq_nr'"),
        (topiq_aesthetic, "topiq_ia", r"There is no metric named 'topiq_ia'\. Did you mean 'topiq_iaa'"),
    ],
)
def test_models_of_other_tasks_are_refused(function, model, message):
    with pytest.raises(ValueError, match=message):
        function(make_images(1), model=model)


def test_full_reference_models():
    with pytest.raises(ValueError, match=r"\('topiq_fr', 'topiq_fr-pipal', 'topiq_fr-lite'\), but got 'topiq_nr'"):
        topiq_full_reference(make_images(1), make_images(1), model="topiq_nr")


@pytest.mark.parametrize(
    ("function", "net", "message"),
    [
        (topiq_no_reference, {"mode": "FR"}, r"`net` must predict a score \(bins = 1\) in NR mode, but got .*'FR'"),
        (topiq_no_reference, {"bins": 10}, r"`net` must predict a score \(bins = 1\) in NR mode, but got .*bins=10"),
        (topiq_aesthetic, {}, r"`net` must predict ratings \(bins > 1\) in NR mode, but got .*bins=1"),
    ],
)
def test_networks_of_other_tasks_are_refused(function, net, message):
    with pytest.raises(ValueError, match=message):
        function(make_images(1), net=tiny_network(**net))


def test_a_network_in_training_mode_is_refused():
    with pytest.raises(ValueError, match=r"`net` is in training mode.*call `net\.eval\(\)`"):
        topiq_no_reference(make_images(1), net=tiny_network().train())


@pytest.mark.parametrize("reduction", ["max", "", 1])
def test_reductions_that_are_refused(reduction):
    with pytest.raises(ValueError, match=r"`reduction` must be one of \('mean', 'sum', 'none'\) or None, but got"):
        topiq_no_reference(make_images(1), net=tiny_network(), reduction=reduction)


def test_images_are_validated_before_a_network_is_loaded(calls):
    with pytest.raises(ValueError, match=r"`preds` must be in \[0, 1\]"):
        topiq_no_reference(make_images(1) * 255)
    with pytest.raises(ValueError, match=r"`target` must be .* but got NoneType"):
        topiq_full_reference(make_images(1), None, net=tiny_network("FR"), size="native")
    with pytest.raises(ValueError, match="`preds` and `target` must have the same shape"):
        topiq_full_reference(make_images(1), make_images(2))
    assert not calls
    assert topiq_no_reference(make_images(1) * 2, net=tiny_network(), check_range=False).isfinite()


def test_images_on_another_device_are_refused():
    with pytest.raises(ValueError, match=r"Expected images on meta, .* but got images on cpu\. Move either"):
        topiq_no_reference(make_images(1), net=tiny_network().to("meta"))


def test_a_network_is_loaded_once(lite_weights):
    images = make_images(1)
    with torch.inference_mode():
        first = topiq_no_reference(images, weights=lite_weights)
    (_, network), *_ = reversed(sharing.HOLDINGS.recent)
    image = images.clone().requires_grad_()
    second = topiq_no_reference(image, weights=str(lite_weights))
    second.backward()
    assert sharing.HOLDINGS.recent[-1][1] is network
    assert torch.equal(first, second)
    assert image.grad.abs().sum() > 0
    reference = load_network("topiq_nr-lite", lite_weights)
    torch.testing.assert_close(first, reference(images)[0])


def test_only_the_last_few_networks_are_kept(calls):
    for model in ("topiq_nr", "topiq_nr-spaq", "topiq_nr-flive", "topiq_nr-lite", "qfm_iqm-lite", "topiq_nr"):
        topiq_no_reference(make_images(1), model=model)
    assert len(calls) == 6
    assert len(sharing.HOLDINGS.recent) == 5


def test_the_network_does_not_depend_on_the_default_device(lite_weights):
    expected = topiq_no_reference(make_images(1), weights=lite_weights)
    images = make_images(1)
    with torch.device("meta"):
        score = topiq_no_reference(images, weights=lite_weights)
    assert torch.equal(score, expected)
