"""What a metric accumulates, and in what type."""

from __future__ import annotations

import pytest
import torch
from metric_tester import make_images, network_for, reduce_scores, tiny_network, true_scores
from torch import nn
from torchmetrics import MetricCollection
from torchmetrics.wrappers import FeatureShare

from topiq_metrics import (
    TOPIQAesthetic,
    TOPIQFullReference,
    TOPIQNoReference,
    create_metric,
    get_card,
    list_metrics,
)
from topiq_metrics.metrics import states

pytestmark = pytest.mark.quick

METRICS = [
    pytest.param(TOPIQNoReference, "NR", 1, id="no-reference"),
    pytest.param(TOPIQFullReference, "FR", 1, id="full-reference"),
    pytest.param(TOPIQAesthetic, "NR", 10, id="aesthetic"),
]


class Constant(nn.Module):
    """Gives every image one score, in float32."""

    def __init__(self, score):
        super().__init__()
        self.score = nn.Parameter(torch.tensor(score), requires_grad=False)

    def forward(self, image):
        return self.score.expand(len(image))


def make_metric(**arguments):
    return TOPIQNoReference(net=tiny_network(), **arguments)


def tensors(metric):
    return [value for value in metric.metric_state.values() if isinstance(value, torch.Tensor)]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none", None])
@pytest.mark.parametrize(("metric", "mode", "bins"), METRICS)
def test_forward_and_update(metric, mode, bins, reduction):
    net = tiny_network(mode, bins=bins)
    images = [make_images(5, seed) for seed in range(2 if mode == "FR" else 1)]
    metric = metric(net=net, reduction=reduction, size="native")
    name, scores = reduction or "none", true_scores(net, *images)
    first = metric(*(image[:2] for image in images))
    torch.testing.assert_close(first, reduce_scores(scores[:2], name), rtol=1e-4, atol=2e-5)
    metric.update(*(image[2:4] for image in images))
    metric.update(*([image[4]] for image in images))
    torch.testing.assert_close(metric.compute(), reduce_scores(scores, name), rtol=1e-4, atol=2e-5)
    assert metric.compute().dtype == torch.float32


def test_forward_runs_the_network_once():
    net, count = tiny_network(), 0

    def counted(*_):
        nonlocal count
        count += 1

    net.register_forward_hook(counted)
    for reduction in ("mean", "sum", "none"):
        metric = TOPIQNoReference(net=net, reduction=reduction)
        count = 0
        for _ in range(3):
            metric(make_images(2))
        metric.compute()
        assert count == 3


def test_forward_is_differentiable_and_keeps_no_graph():
    for reduction in ("mean", "sum", "none"):
        metric = make_metric(reduction=reduction)
        images = make_images(2).requires_grad_()
        metric(images).sum().backward()
        assert images.grad.abs().sum() > 0
        metric(images)
        metric.update(images)
        kept = [t for value in metric.metric_state.values() for t in (value if isinstance(value, list) else [value])]
        assert not any(tensor.requires_grad for tensor in kept)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_one_image(reduction):
    metric = make_metric(reduction=reduction)
    shape = (1,) if reduction == "none" else ()
    assert metric(make_images(1)).shape == shape
    assert metric.compute().shape == shape
    assert metric.compute().shape == shape


@pytest.mark.parametrize(("reduction", "shape"), [("mean", ()), ("none", (0,))])
def test_no_images(reduction, shape):
    metric = make_metric(reduction=reduction)
    with pytest.warns(UserWarning, match="was called before the ``update`` method"):
        value = metric.compute()
    assert value.shape == shape
    assert value.isnan().all()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_reset(reduction):
    metric = make_metric(reduction=reduction)
    metric.update(make_images(3, seed=1))
    metric.compute()
    metric.reset()
    expected = metric(make_images(2))
    assert torch.equal(metric.compute(), expected)
    assert metric.update_count == 1


@pytest.mark.parametrize("reduction", ["max", "", 1])
def test_reductions_that_are_refused(reduction):
    with pytest.raises(ValueError, match=r"`reduction` must be one of \('mean', 'sum', 'none'\) or None, but got"):
        make_metric(reduction=reduction)


def test_unknown_arguments_are_refused():
    with pytest.raises(ValueError, match="Unexpected keyword arguments: `reducton`"):
        make_metric(reducton="mean")


def test_a_failed_update_leaves_the_state():
    metric = make_metric()
    metric.update(make_images(2))
    expected = metric.compute()
    with pytest.raises(ValueError, match=r"`preds` must be in \[0, 1\]"):
        metric.update(make_images(2) + 1)
    assert torch.equal(metric.compute(), expected)
    make_metric(check_range=False).update(make_images(2) + 1)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_failed_forward_leaves_all(reduction):
    metric = make_metric(reduction=reduction)
    metric(make_images(2))
    metric.update(make_images(1, 5))
    for fails in (lambda: metric(make_images(2) + 1), lambda: metric(make_images(2)[0, 0])):
        context = {name: vars(metric)[name] for name in ("_to_sync", "_should_unsync", "_enable_grad", "_update_count")}
        with pytest.raises(ValueError, match="`preds` must be"):
            fails()
        assert context == {name: vars(metric)[name] for name in context}
    metric.update(make_images(1, 6).requires_grad_())
    states = [
        each for value in metric.metric_state.values() for each in (value if isinstance(value, list) else [value])
    ]
    assert not any(state.requires_grad for state in states)
    whole = make_metric(reduction=reduction)
    for images in (make_images(2), make_images(1, 5), make_images(1, 6)):
        whole.update(images)
    assert torch.equal(metric.compute(), whole.compute())


def test_without_gradients_the_batch_has_none():
    metric = make_metric()
    image = make_images(1).requires_grad_()
    asked = []
    metric.net.register_forward_pre_hook(lambda _, inputs: asked.extend(x.requires_grad for x in inputs[0]))
    for images in (image * 0.5, [image[0] * 0.5]):
        with torch.no_grad():
            assert not metric(images).requires_grad
    assert asked
    assert not any(asked)
    assert metric(image * 0.5).requires_grad


def test_millions_of_images_do_not_drift():
    score = 0.7
    metric = make_metric()
    metric.net._held = (Constant(score),)
    metric.update(make_images(1))
    # Each round doubles what was seen: 2^24 images, where a float32 count would stop.
    for _ in range(24):
        metric.merge_state(dict(metric.metric_state))
    metric.update(make_images(1))
    total, count = metric.metric_state.values()
    assert count.item() == 2**24 + 1
    assert total.item() == pytest.approx(torch.tensor(score).item() * (2**24 + 1), rel=1e-14)
    assert metric.compute().item() == torch.tensor(score).item()


def test_the_mean_needs_no_more_memory_with_time():
    metric = make_metric()
    sizes = set()
    for _ in range(5):
        metric(make_images(2))
        sizes.add(sum(tensor.numel() for tensor in tensors(metric)))
        assert len(tensors(metric)) == len(metric.metric_state)
    assert sizes == {2}


@pytest.mark.parametrize(
    "change",
    [
        lambda metric: metric.half(),
        lambda metric: metric.double(),
        lambda metric: metric.to(torch.bfloat16),
        lambda metric: nn.ModuleList([metric]).half(),
        lambda metric: nn.ModuleList([metric]).to(torch.float16),
    ],
)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_cast_changes_neither_scores_nor_state(change, reduction):
    images = make_images(3)
    expected = make_metric(reduction=reduction)(images)
    metric = make_metric(reduction=reduction)
    metric.update(images)
    metric.compute()
    change(metric)
    assert metric.compute().dtype == torch.float32
    metric.update(images)
    value = metric.compute()
    torch.testing.assert_close(value, expected if reduction == "mean" else torch.cat([expected, expected]))
    assert {tensor.dtype for tensor in tensors(metric)} <= {torch.float64, torch.int64}
    metric.reset()
    assert torch.equal(metric(images), expected)
    assert {tensor.dtype for tensor in tensors(metric)} <= {torch.float64, torch.int64}


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_set_dtype_is_for_the_network(dtype):
    net, images = tiny_network(), make_images(3)
    metric, other = TOPIQNoReference(net=net), TOPIQNoReference(net=net)
    expected = metric(images)
    metric.reset()
    assert metric.set_dtype(dtype) is metric
    value = metric(images)
    assert next(metric.net.network.parameters()).dtype == dtype
    assert {tensor.dtype for tensor in tensors(metric)} == {torch.float64, torch.int64}
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, expected, rtol=0.1, atol=0.1)
    assert other.net.network is net
    assert torch.equal(other(images), expected)
    assert metric.set_dtype(torch.float32).net.network is net


def test_metrics_of_other_types_do_not_share_a_state():
    """Torchmetrics takes metrics for one whose states are equal after a batch."""
    net, images = tiny_network("FR"), make_images(3)
    made = {"plain": TOPIQFullReference(net=net), "rough": TOPIQFullReference(net=net).set_dtype(torch.bfloat16)}
    alone = {name: metric.clone()(images, images.flip(-1)) for name, metric in made.items()}
    assert alone["plain"] != alone["rough"]
    metrics = MetricCollection(made)
    metrics.update(torch.zeros_like(images), torch.zeros_like(images))
    metrics.reset()
    metrics.update(images, images.flip(-1))
    assert metrics.compute() == alone
    rough = make_metric().set_dtype(torch.bfloat16)
    with (
        pytest.warns(UserWarning, match="not the same for all metrics"),
        pytest.raises(ValueError, match="cannot share a network that scores differently"),
    ):
        FeatureShare({"plain": make_metric(), "rough": rough})


@pytest.mark.parametrize("member", ["first", "second"])
def test_a_type_set_after_metrics_were_grouped_is_an_error(member):
    """Not a value of the other metric, or of no image."""
    images = make_images(3)
    metrics = MetricCollection({"first": make_metric(), "second": make_metric()})
    metrics.update(images)
    metrics[member].set_dtype(torch.bfloat16)
    with pytest.raises(RuntimeError, match="was grouped with a metric that has scored differently since `set_dtype`"):
        metrics.compute()


def test_the_type_of_a_shared_network(lite_weights):
    shared = FeatureShare({name: TOPIQNoReference(weights=lite_weights, reduction=name) for name in ("mean", "sum")})
    images = make_images(2)
    shared.update(images)
    shared.set_dtype(torch.float64)
    shared.reset()
    shared.update(images)
    values = shared.compute()
    torch.testing.assert_close(values["sum"], 2 * values["mean"])


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_scores_of_before_are_kept_under_another_type(reduction):
    images, metric = make_images(3), make_metric(reduction=reduction)
    metric.persistent(mode=True)
    names = set(metric.state_dict())
    before = metric(images)
    metric.set_dtype(torch.bfloat16)
    assert set(metric.state_dict()).isdisjoint(names)
    torch.testing.assert_close(metric.compute(), before)
    after = metric(images)
    expected = (before + after) / 2 if reduction == "mean" else torch.cat([before, after])
    torch.testing.assert_close(metric.compute(), expected)
    metric.reset()
    assert metric.set_dtype(torch.float32).update_count == 0
    assert set(metric.state_dict()) == names
    torch.testing.assert_close(metric(images), before)


def test_autocast_changes_nothing():
    images = make_images(3)
    expected = make_metric()(images)
    for dtype in (torch.bfloat16, torch.float16):
        metric = make_metric()
        with torch.autocast("cpu", dtype=dtype):
            value = metric(images)
            metric.update(images.to(dtype).float())
            final = metric.compute()
        assert torch.equal(value, expected)
        assert final.dtype == torch.float32
        assert {tensor.dtype for tensor in tensors(metric)} == {torch.float64, torch.int64}


def test_the_default_dtype_does_not_matter():
    torch.set_default_dtype(torch.float64)
    try:
        metric = make_metric(reduction="none")
        metric.update(make_images(2).float())
    finally:
        torch.set_default_dtype(torch.float32)
    assert metric.compute().dtype == metric.dtype == torch.float32


def test_a_device_without_float64_leaves_sums_on_the_cpu(monkeypatch):
    monkeypatch.setattr(states, "_WITHOUT_FLOAT64", frozenset({"meta"}))
    metric = make_metric()
    images = make_images(2)
    expected = metric(images)
    metric.to("meta")
    assert metric.device.type == "meta"
    assert {(tensor.device.type, tensor.dtype) for tensor in tensors(metric)} == {
        ("cpu", torch.float64),
        ("cpu", torch.int64),
    }
    assert metric.compute().device.type == "meta"
    assert torch.equal(metric.to_empty(device="cpu").compute(), expected)


def test_moving():
    metric = make_metric(reduction="none")
    sums = make_metric()
    for each in (metric, sums):
        each.update(make_images(2))
        each.to("meta")
        assert each.device.type == "meta"
        assert each.net.network.h_emb.device.type == "cpu"
    assert {tensor.device.type for tensor in tensors(sums)} == {"meta"}
    assert metric.compute().device.type == "meta"
    sums.to_empty(device="cpu").reset()
    expected = make_metric()(make_images(2))
    assert torch.equal(sums(make_images(2)), expected)


def test_a_metric_is_where_its_network_is():
    metric = TOPIQNoReference(net=tiny_network(), reduction="mean")
    assert metric.device.type == "cpu"
    message = r"Expected images on cpu, .*got images on meta.*a metric or a loss with `\.to\('meta'\)`"
    with pytest.raises(ValueError, match=message):
        metric.net(make_images(1).to("meta"))


@pytest.mark.parametrize("name", list_metrics())
def test_direction_and_bounds_are_those_of_the_card(name):
    card = get_card(name)
    metric = create_metric(name, net=network_for(card))
    assert metric.higher_is_better is card.higher_is_better
    assert (metric.plot_lower_bound, metric.plot_upper_bound) == card.score_range
    assert metric.model == name


def test_constants():
    metric = make_metric()
    assert metric.is_differentiable is True
    assert metric.full_state_update is False
    assert metric.feature_network == "net"
    for name in ("is_differentiable", "higher_is_better", "full_state_update", "plot_lower_bound", "plot_upper_bound"):
        with pytest.raises(RuntimeError, match=f"Can't change const `{name}`"):
            setattr(metric, name, False)
    assert make_metric(reduction="sum").plot_upper_bound is None


def test_hash():
    first, second = make_metric(), make_metric()
    assert hash(first) != hash(second)
    before = hash(first)
    first.update(make_images(1))
    assert hash(first) != before
    assert isinstance(hash(make_metric(reduction="none")), int)
