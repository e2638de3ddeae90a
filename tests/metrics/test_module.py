"""A metric as a module: checkpoints, copies, parents."""

from __future__ import annotations

import copy
import gc
import pickle
import shutil
import weakref

import pytest
import torch
from metric_tester import make_images, tiny_network
from torch import nn

from topiq_metrics import TOPIQFullReference, TOPIQNoReference
from topiq_metrics.weights import load_network
from topiq_metrics.weights.sharing import placed


def make_metric(**arguments):
    return TOPIQNoReference(net=tiny_network(), **arguments)


class Parent(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.metric = make_metric()


def network_keys(module):
    """What a checkpoint has too much if the network was saved with the metric."""
    return {
        f"metric.net.{key}": torch.zeros_like(value) for key, value in module.metric.net.network.state_dict().items()
    }


def test_the_state_dict_is_empty():
    metric = make_metric()
    assert metric.state_dict() == {}
    metric.update(make_images(1))
    assert metric.state_dict() == {}
    metric.load_state_dict({})


def test_persistent_state_is_saved_and_loaded():
    metric, other = make_metric(), make_metric()
    metric.persistent(True)
    metric.update(make_images(2))
    state = metric.state_dict()
    assert len(state) == 2
    other.load_state_dict(state)
    other.update(make_images(2, seed=1))
    metric.update(make_images(2, seed=1))
    assert torch.equal(metric.compute(), other.compute())


def test_a_parent_saves_and_loads_without_the_network():
    module = Parent()
    state = module.state_dict()
    assert set(state) == {"layer.weight", "layer.bias"}
    assert not [key for key in state._metadata if key.startswith("metric.net.")]
    assert module.load_state_dict(state, strict=True).missing_keys == []


def test_a_checkpoint_with_the_network_still_loads_and_leaves_ours():
    module, images = Parent(), make_images(2)
    expected = module.metric(images)
    module.load_state_dict({**module.state_dict(), **network_keys(module)}, strict=True)
    assert torch.equal(module.metric(images), expected)


def test_what_is_missing_or_unknown_is_still_reported():
    module = Parent()
    state = {**module.state_dict(), **network_keys(module)}
    del state["layer.bias"]
    with pytest.raises(RuntimeError, match=r"Missing key.*layer\.bias") as error:
        module.load_state_dict(state)
    assert "metric" not in str(error.value)
    with pytest.raises(RuntimeError, match=r"Unexpected key.*metric\.net\.nothing"):
        module.load_state_dict({**module.state_dict(), "metric.net.nothing": torch.zeros(1)})
    with pytest.raises(RuntimeError, match=r"Unexpected key.*metric\.nothing"):
        module.load_state_dict({**module.state_dict(), "metric.nothing": torch.zeros(1)})


def test_nothing_that_happens_to_a_parent_reaches_the_network():
    module, images = Parent(), make_images(2)
    expected = module.metric(images)

    def spoil(inner):
        for parameter in inner.parameters(recurse=False):
            nn.init.zeros_(parameter)

    module.apply(spoil)
    module.train()
    module.requires_grad_(True)
    module.half()
    module.to(torch.bfloat16)
    nn.SyncBatchNorm.convert_sync_batchnorm(module)
    network = module.metric.net.network
    assert not any(inner.training for inner in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert [name for name, _ in module.named_parameters()] == ["layer.weight", "layer.bias"]
    module.metric.reset()
    assert torch.equal(module.metric(images), expected)


def test_gradients_reach_the_images_only():
    metric = make_metric()
    images = make_images(2).requires_grad_()
    metric(images).backward()
    assert images.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in metric.net.network.parameters())


def test_a_trainable_network_is_refused():
    with pytest.raises(ValueError, match=r"`net` must be frozen: call `net\.requires_grad_\(False\)`"):
        TOPIQNoReference(net=tiny_network().requires_grad_(True))
    with pytest.raises(ValueError, match="`net` is in training mode"):
        TOPIQNoReference(net=tiny_network().train())


def test_a_network_of_another_task_is_refused():
    with pytest.raises(ValueError, match=r"`net` must predict a score \(bins = 1\) in FR mode"):
        TOPIQFullReference(net=tiny_network())
    with pytest.raises(ValueError, match=r"`model` must be one of \('topiq_fr', 'topiq_fr-pipal', 'topiq_fr-lite'\)"):
        TOPIQFullReference(model="topiq_nr")


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("duplicate", [lambda metric: metric.clone(), copy.deepcopy])
def test_a_copy_shares_the_network_only(duplicate, reduction):
    metric = make_metric(reduction=reduction)
    metric.update(make_images(1))
    before = metric.compute()
    other = duplicate(metric)
    assert other.net.network is metric.net.network
    assert torch.equal(other.compute(), before)
    other.update(make_images(2, seed=1))
    assert torch.equal(metric.compute(), before)
    assert not torch.equal(other.compute().mean(), before.mean())
    metric.update(make_images(2, seed=1))
    assert torch.equal(metric.compute(), other.compute())


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_pickle_has_all_it_needs(reduction):
    metric = make_metric(reduction=reduction, size="square=40")
    metric.update(make_images(1))
    other = pickle.loads(pickle.dumps(metric))
    assert other.net.network is not metric.net.network
    assert list(other.metric_state) == list(metric.metric_state)
    for each in (metric, other):
        each.update(make_images(2, seed=1))
    assert torch.equal(other.compute(), metric.compute())
    one = make_metric(reduction="none")
    assert pickle.loads(pickle.dumps(one))(make_images(1)).shape == (1,)


def test_metrics_pickled_together_still_share():
    net = tiny_network()
    first, second = pickle.loads(pickle.dumps([TOPIQNoReference(net=net), TOPIQNoReference(net=net, reduction="sum")]))
    assert first.net.network is second.net.network


def test_metrics_on_the_same_weights_share_one_network(lite_weights):
    first = TOPIQNoReference(weights=lite_weights)
    second = TOPIQNoReference(weights=str(lite_weights), reduction="none", size="native")
    assert first.net.network is second.net.network
    images = make_images(2)
    torch.testing.assert_close(second(images), load_network("topiq_nr-lite", lite_weights)(images))
    assert TOPIQNoReference(weights=None).net.network is not TOPIQNoReference(weights=None).net.network


def test_what_is_shared_does_not_depend_on_who_asks_first(lite_weights, tmp_path):
    path = shutil.copy(lite_weights, tmp_path / "not-yet-loaded.safetensors")
    with torch.inference_mode(), torch.device("meta"):
        first = TOPIQNoReference(weights=path)
    second = TOPIQNoReference(weights=path)
    assert first.net.network is second.net.network
    images = make_images(1).requires_grad_()
    second(images).backward()
    assert images.grad.abs().sum() > 0


def test_inference_mode_and_training_alternate():
    metric, images = make_metric(), make_images(1)
    with torch.inference_mode():
        expected = metric(images)
        metric.set_dtype(torch.float64)
        metric.update(images)
    images.requires_grad_()
    value = metric(images)
    value.backward()
    torch.testing.assert_close(value.detach(), expected)
    torch.testing.assert_close(metric.compute(), expected)


def test_a_network_is_copied_once_for_each_place():
    net = tiny_network()
    double = placed(net, "cpu", torch.float64)
    assert placed(net, "cpu") is net
    assert placed(net, "cpu", torch.float64) is double
    assert placed(double, "cpu", torch.float32) is net
    assert placed(double, "meta") is placed(net, "meta", torch.float64)
    net.double()
    assert placed(double, "cpu", torch.float32) is not net


def test_copies_live_as_long_as_somebody_holds_them():
    net = tiny_network()
    metrics = [TOPIQNoReference(net=net) for _ in range(2)]
    for metric in metrics:
        metric.set_dtype(torch.float64)
    assert metrics[0].net.network is metrics[1].net.network
    copied = weakref.ref(metrics[0].net.network)
    assert copied() is not net
    del metrics[0]
    gc.collect()
    assert copied() is not None
    # The name of the loop holds it, too.
    del metrics, metric
    gc.collect()
    assert copied() is None


def test_there_and_back_loses_nothing():
    metric = TOPIQNoReference(net=tiny_network())
    image = make_images(1, 0)
    before = metric(image)
    metric.set_dtype(torch.bfloat16)
    metric.clone().set_dtype(torch.float32)
    metric.set_dtype(torch.float32)
    assert torch.equal(metric(image), before)


def test_an_image_that_the_size_rule_makes_too_small():
    metric = TOPIQNoReference(net=tiny_network(), size="max_side=40")
    with pytest.raises(ValueError, match=r"needs 32 px a side, but 80x40 is 40x20 under the size policy max_side=40"):
        metric.update(torch.rand(1, 3, 40, 80))


def test_plot():
    plots = pytest.importorskip("matplotlib.pyplot")
    matplotlib = pytest.importorskip("matplotlib")
    with matplotlib.rc_context({"backend": "agg"}):
        metric = make_metric()
        values = [metric(make_images(1, seed)) for seed in range(2)]
        for value in (None, values[0], values):
            figure, axis = metric.plot(value)
            low, high = axis.get_ylim()
            assert low <= 0 < 1 <= high
            plots.close(figure)
        figure, axis = plots.subplots()
        assert metric.plot(ax=axis)[1] is axis
        plots.close(figure)


# Lightning's own warnings.
@pytest.mark.filterwarnings("ignore")
def test_lightning(tmp_path):
    lightning = pytest.importorskip("pytorch_lightning")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.zeros(1))
            self.metric = make_metric()

        def training_step(self, images, _):
            changed = (images[0] * (1 - self.shift)).clamp(0, 1)
            self.log("score", self.metric(changed), on_step=True)
            self.log("epoch", self.metric, on_step=False, on_epoch=True)
            return self.shift.square().sum()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(make_images(4)), batch_size=2)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    module, path = Module(), tmp_path / "last.ckpt"
    options = {"accelerator": "cpu", "precision": "bf16-mixed", "enable_checkpointing": False, **quiet}
    trainer = lightning.Trainer(max_epochs=1, default_root_dir=tmp_path, **options)
    trainer.fit(module, loader)
    trainer.save_checkpoint(path)
    torch.testing.assert_close(trainer.callback_metrics["epoch"], make_metric()(make_images(4)))
    assert list(torch.load(path, weights_only=True)["state_dict"]) == ["shift"]
    assert isinstance(Module.load_from_checkpoint(path, strict=True), Module)
