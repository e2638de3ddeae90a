"""Metrics beside others: MetricCollection, compute groups, FeatureShare."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from metric_tester import make_images, tiny_network, true_scores
from torchmetrics import MetricCollection
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure
from torchmetrics.wrappers import FeatureShare, MetricTracker

from topiq_metrics import TOPIQAesthetic, TOPIQFullReference, TOPIQNoReference


def count_calls(net):
    calls = []
    net.register_forward_hook(lambda *_: calls.append(1))
    return calls


def make_collection(**options):
    metrics = {
        "psnr": PeakSignalNoiseRatio(data_range=1.0),
        "ssim": StructuralSimilarityIndexMeasure(data_range=1.0),
        "nr": TOPIQNoReference(net=tiny_network()),
        "fr": TOPIQFullReference(net=tiny_network("FR")),
        "iaa": TOPIQAesthetic(net=tiny_network(bins=10), size="native"),
    }
    return MetricCollection(metrics, **options)


@pytest.mark.parametrize("style", ["position", "keyword"])
def test_beside_psnr_and_ssim(style):
    preds, target = make_images(4), make_images(4, seed=1)
    collection = make_collection()

    def arguments(part):
        return (
            ((preds[part], target[part]), {})
            if style == "position"
            else ((), {"preds": preds[part], "target": target[part]})
        )

    args, kwargs = arguments(slice(0, 2))
    values = collection(*args, **kwargs)
    torch.testing.assert_close(values["nr"], true_scores(tiny_network(), preds[:2]).mean())
    args, kwargs = arguments(slice(2, 4))
    collection.update(*args, **kwargs)
    final = collection.compute()
    torch.testing.assert_close(final["nr"], true_scores(tiny_network(), preds).mean())
    torch.testing.assert_close(final["fr"], true_scores(tiny_network("FR"), preds, target).mean())
    torch.testing.assert_close(final["iaa"], true_scores(tiny_network(bins=10), preds).mean())
    assert set(final) == {"psnr", "ssim", "nr", "fr", "iaa"}


def test_no_reference_alone_takes_one_argument():
    net = tiny_network()
    collection = MetricCollection([TOPIQNoReference(net=net)])
    assert collection(make_images(1))["TOPIQNoReference"].isfinite()
    assert collection(preds=make_images(1))["TOPIQNoReference"].isfinite()


def test_a_collection_is_cloned_pickled_and_saved():
    collection = make_collection(prefix="val/")
    collection.update(make_images(2), make_images(2, seed=1))
    clone = collection.clone(prefix="test/")
    assert clone["nr"].net.network is collection["nr"].net.network
    for other in (clone, pickle.loads(pickle.dumps(collection)), copy.deepcopy(collection)):
        assert list(other.compute().values()) == list(collection.compute().values())
    assert collection.state_dict() == {}
    clone.reset()
    assert collection["nr"].update_called


def test_networks_that_tie_on_the_first_batch_do_not_merge():
    first, second = tiny_network(), tiny_network(seed=1)
    tie = torch.full((1, 3, 32, 32), 0.5)
    with torch.no_grad():
        second.head[-1].bias += first(tie) - second(tie)
    torch.testing.assert_close(first(tie), second(tie))
    for reduction in ("mean", "none"):
        collection = MetricCollection(
            {
                "first": TOPIQNoReference(net=first, reduction=reduction),
                "second": TOPIQNoReference(net=second, reduction=reduction),
            }
        )
        collection.update(tie)
        assert len(collection.compute_groups) == 2
        images = make_images(2)
        collection.update(images)
        for name, net in (("first", first), ("second", second)):
            expected = torch.cat([net(tie), true_scores(net, images)])
            torch.testing.assert_close(collection.compute()[name].mean(), expected.mean())


@pytest.mark.parametrize(
    "other",
    [
        {"size": "square=64"},
        {"check_range": False},
        {"model": "topiq_nr"},
        {"reduction": "none"},
    ],
)
def test_what_may_differ_later_does_not_merge(other):
    net = tiny_network()
    metrics = {"plain": TOPIQNoReference(net=net), "other": TOPIQNoReference(net=net, **other)}
    if "size" in other or "model" in other:
        assert not set(metrics["plain"].metric_state) & set(metrics["other"].metric_state)
    collection = MetricCollection(metrics)
    collection.update(make_images(1, side=64))
    assert len(collection.compute_groups) == 2


def test_mean_and_sum_of_one_network_merge():
    net = tiny_network()
    calls = count_calls(net)
    collection = MetricCollection(
        {"mean": TOPIQNoReference(net=net), "sum": TOPIQNoReference(net=net, reduction="sum")}
    )
    for seed in range(3):
        collection.update(make_images(2, seed))
    assert len(collection.compute_groups) == 1
    assert len(calls) == 4
    scores = torch.cat([true_scores(net, make_images(2, seed)) for seed in range(3)])
    torch.testing.assert_close(collection.compute()["sum"], scores.sum())
    torch.testing.assert_close(collection.compute()["mean"], scores.mean())
    collection.reset()
    assert not collection["sum"].update_called


def test_equal_networks_have_states_of_equal_names():
    first, second = TOPIQNoReference(net=tiny_network()), TOPIQNoReference(net=tiny_network())
    assert list(first.metric_state) == list(second.metric_state)
    assert list(first.metric_state) != list(TOPIQNoReference(net=tiny_network(seed=1)).metric_state)


def test_states_of_other_networks_are_not_added():
    metric = TOPIQNoReference(net=tiny_network())
    with pytest.raises(ValueError, match="Expected state variable sum_"):
        metric.merge_state(TOPIQNoReference(net=tiny_network(seed=1)))


def test_feature_share_runs_the_network_once():
    net = tiny_network()
    calls = count_calls(net)
    images, alone = make_images(2), TOPIQNoReference(net=net)
    expected = true_scores(net, images)
    calls.clear()
    shared = FeatureShare({"mean": TOPIQNoReference(net=net), "each": TOPIQNoReference(net=net, reduction="none")})
    shared.update(images, None)
    assert len(calls) == 1
    values = shared.compute()
    torch.testing.assert_close(values["each"], expected)
    torch.testing.assert_close(values["mean"], expected.mean())
    shared.to("cpu").train()
    assert shared.state_dict() == {}
    # What FeatureShare caches is nobody else's.
    images.mul_(0.5)
    torch.testing.assert_close(alone(images), true_scores(net, images).mean())
    assert "forward" not in vars(net)
    clone = shared.clone()
    clone.reset()
    clone.update(make_images(1))
    torch.testing.assert_close(clone.compute()["mean"], true_scores(net, make_images(1)).mean())


def test_feature_share_runs_the_network_once_for_lists():
    net = tiny_network()
    calls = count_calls(net)
    shared = FeatureShare({"a": TOPIQNoReference(net=net), "b": TOPIQNoReference(net=net, reduction="sum")})
    shared.update([make_images(1)[0], make_images(1, seed=1)[0]])
    assert len(calls) == 1


@pytest.mark.filterwarnings("ignore:The network to share between the metrics is not the same")
@pytest.mark.parametrize(
    "other",
    [{"net": tiny_network(seed=1)}, {"size": "native"}, {"model": "topiq_nr"}],
    ids=["weights", "size", "model"],
)
def test_feature_share_refuses_variants(other):
    metrics = {"a": TOPIQNoReference(net=tiny_network()), "b": TOPIQNoReference(**{"net": tiny_network(), **other})}
    with pytest.raises(ValueError, match="TOPIQNoReference cannot share a network that scores differently"):
        FeatureShare(metrics)


def test_tracker_knows_the_direction():
    tracker = MetricTracker(TOPIQNoReference(net=tiny_network()), maximize=None)
    scores = []
    for seed in range(3):
        tracker.increment()
        scores.append(tracker(make_images(1, seed)).item())
    best, step = tracker.best_metric(return_step=True)
    assert best == pytest.approx(max(scores))
    assert step == scores.index(max(scores))


def test_composition():
    metric = TOPIQNoReference(net=tiny_network())
    halved = metric / 2
    halved.update(make_images(2))
    torch.testing.assert_close(halved.compute(), metric.compute() / 2)
