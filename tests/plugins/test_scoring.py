"""What scores inside pyiqa is a folded copy that follows every change of the weights."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import nn

from topiq_metrics.plugins.pyiqa import scoring


@pytest.fixture
def metric(pyiqa):
    return pyiqa.create_metric("topiq_nr-lite", device="cpu")


@pytest.fixture
def images():
    return torch.rand(2, 3, 96, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def folds(monkeypatch):
    """The networks that were folded."""
    made = []
    fold = scoring.fold
    monkeypatch.setattr(scoring, "fold", lambda net: made.append(fold(net)) or made[-1])
    return made


def plain(metric, images):
    with torch.no_grad():
        return metric.net.net(images)[:, None]


def assert_exact(metric, images):
    expected = plain(metric, images)
    assert ((metric(images) - expected).abs() <= 1e-5 * expected.abs().clamp_min(1)).all()


def test_it_is_folded_once(metric, images, folds):
    for _ in range(3):
        assert_exact(metric, images)
    metric.eval()
    assert_exact(metric, images)
    assert len(folds) == 1
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folds[0].modules())
    assert not any(parameter.requires_grad for parameter in folds[0].parameters())
    assert all(parameter.requires_grad for parameter in metric.net.net.head.parameters())


def in_place(net):
    with torch.no_grad():
        net.head[-1].weight.mul_(1.5)


def one_value(net):
    with torch.no_grad():
        net.head[1].weight[3, 5] += 3


def statistics(net):
    norm = next(module for module in net.modules() if isinstance(module, nn.BatchNorm2d))
    norm.running_mean.add_(0.5)


def copied(net):
    with torch.no_grad():
        net.reduce[0][0].weight.copy_(net.reduce[0][0].weight.flip(0))


def loaded(net):
    state = net.state_dict()
    net.load_state_dict({key: value * 1.05 if value.is_floating_point() else value for key, value in state.items()})


def stepped(net):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    net.train()
    net(torch.rand(1, 3, 64, 64)).sum().backward()
    optimizer.step()
    net.eval()


def data_assigned(net):
    net.head[1].weight.data = net.head[1].weight.data * 1.2


def averaged(net):
    for parameter in net.parameters():
        parameter.data.mul_(0.98)


def parameter_replaced(net):
    net.head[-1].bias = nn.Parameter(net.head[-1].bias.detach() + 1)


def layer_replaced(net):
    torch.manual_seed(0)
    net.head[1] = nn.Linear(128, 128)


def moved_and_back(net):
    net.double()
    with torch.no_grad():
        net.head[-1].bias.add_(1)
    net.float()


EDITS = [
    in_place,
    one_value,
    statistics,
    copied,
    loaded,
    stepped,
    data_assigned,
    averaged,
    parameter_replaced,
    layer_replaced,
    moved_and_back,
]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_every_change_of_the_weights_is_seen(metric, images, folds, edit):
    before = metric(images)
    edit(metric.net.net)
    assert_exact(metric, images)
    assert (metric(images) - before).abs().max() > 1e-4
    assert len(folds) == 2


def small_change_of_data(net):
    net.head[-1].bias.data.add_(1)


def test_what_leaves_no_trace_is_seen_after_refresh(metric, images):
    before = metric(images)
    small_change_of_data(metric.net.net)
    assert torch.equal(metric(images), before)
    metric.net.refresh()
    assert_exact(metric, images)
    assert torch.allclose(metric(images), before + 1, atol=1e-4)


def test_or_after_a_change_of_mode(metric, images, folds):
    before = metric(images)
    metric.train()
    small_change_of_data(metric.net.net)
    metric.eval()
    assert torch.allclose(metric(images), before + 1, atol=1e-4)
    metric.train()
    metric.eval()
    assert_exact(metric, images)
    assert len(folds) == 2


class TestThePlainNetwork:
    """What may be more than a score goes through the network itself."""

    @pytest.fixture(autouse=True)
    def _none_is_folded(self, folds):
        yield
        assert folds == []

    def test_in_training(self, metric, images):
        metric.train()
        metric.net(images).sum().backward()
        assert all(parameter.grad is not None for parameter in metric.net.net.head.parameters())

    def test_where_weights_may_need_gradients(self, metric, images):
        metric.net(images).sum().backward()
        assert all(parameter.grad is not None for parameter in metric.net.net.head.parameters())

    def test_under_autocast(self, metric, images):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            metric.net(images)

    def test_of_another_type(self, metric, images):
        with torch.no_grad():
            assert metric.net.double()(images.double()).dtype == torch.float64

    @pytest.mark.parametrize("kind", ["register_forward_hook", "register_forward_pre_hook"])
    def test_with_hooks(self, metric, images, kind):
        seen = []
        getattr(metric.net.net.head, kind)(lambda *arguments: seen.append(arguments) and None)
        with torch.no_grad():
            metric.net(images)
        assert len(seen) == 1

    def test_with_other_layers(self, metric, images):
        metric.net.net.head[2] = nn.ReLU()
        assert_exact(metric, images)

    def test_with_another_forward(self, metric, images):
        metric.net.net.head.forward = lambda x: x.mean(dim=1, keepdim=True)
        assert_exact(metric, images)

    def test_with_stand_ins_for_weights(self, metric, images):
        net = metric.net.net
        doubled = {f"net.{key}": value.detach() * 2 for key, value in net.named_parameters() if key.startswith("head")}
        with torch.no_grad():
            got = torch.func.functional_call(metric.net, doubled, (images,))
            expected = torch.func.functional_call(metric.net, doubled, (images,))
        assert torch.equal(got, expected)
        assert not torch.allclose(got, plain(metric, images), atol=1e-3)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_loss_has_the_gradient_of_the_image_alone(pyiqa, images, folds, frozen):
    loss = pyiqa.create_metric("topiq_fr-lite", as_loss=True, device="cpu")
    loss.net.requires_grad_(not frozen)
    reference, image = images.flip(-1), images.clone().requires_grad_()
    loss(image, reference).backward()
    assert len(folds) == 1
    assert all(parameter.grad is None for parameter in loss.net.net.parameters())
    plain_image = images.clone().requires_grad_()
    loss.net.net(plain_image, reference).mean().backward()
    assert plain_image.grad.norm() > 0
    # Rounding, which is another on each processor, may bring a value to the other side of a ReLU's kink.
    assert (image.grad - plain_image.grad).norm() <= 2e-3 * plain_image.grad.norm()


@pytest.mark.slow
def test_distributions(pyiqa, options, checkpoint, images, folds):
    name = "topiq_iaa_res50"
    metric = pyiqa.create_metric(name, device="cpu", **options(name, pretrained_model_path=checkpoint(name)))
    with torch.no_grad():
        mos, distribution = metric.net(images, return_mos=True, return_dist=True)
    fitted = metric.net._fit(images)
    with torch.no_grad():
        torch.testing.assert_close(distribution, metric.net.net.distribution(fitted), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(mos[:, 0], metric.net.net(fitted), atol=1e-4, rtol=1e-5)
    assert len(folds) == 1


def test_files_and_copies_have_the_weights_once(metric, images, tmp_path):
    before = len(pickle.dumps(metric.net))
    keys = list(metric.net.state_dict())
    expected = metric(images)
    assert len(pickle.dumps(metric.net)) == before
    assert list(metric.net.state_dict()) == keys
    for copied_metric in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        assert torch.equal(copied_metric(images), expected)
        in_place(copied_metric.net.net)
        assert not torch.equal(copied_metric(images), expected)
    assert torch.equal(metric(images), expected)


def test_the_copy_lives_as_long_as_the_metric(pyiqa, images, folds):
    metric = pyiqa.create_metric("topiq_nr-lite", device="cpu")
    metric(images)
    living = weakref.ref(folds.pop())
    assert living() is not None
    del metric
    gc.collect()
    assert living() is None


def test_under_inference_mode(metric, images):
    with torch.inference_mode():
        inside = metric(images)
    assert torch.equal(metric(images), inside)


class TestBackends:
    """By option, or by the environment for programs that cannot be changed."""

    @pytest.mark.parametrize("way", ["option", "environment"])
    def test_openvino_in_bfloat16(self, pyiqa, images, monkeypatch, way):
        pytest.importorskip("openvino")
        options = {"backend": "openvino", "precision": "bfloat16"}
        if way == "environment":
            monkeypatch.setenv("TOPIQ_METRICS_PYIQA_BACKEND", "openvino")
            monkeypatch.setenv("TOPIQ_METRICS_PYIQA_PRECISION", "bfloat16")
            options = {}
        metric = pyiqa.create_metric("topiq_nr-lite", device="cpu", **options)
        got = metric(images)
        assert not torch.equal(got, plain(metric, images))
        assert torch.allclose(got, plain(metric, images), atol=0.03)

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("TOPIQ_METRICS_PYIQA_BACKEND", "onnx"),
            ("TOPIQ_METRICS_PYIQA_PRECISION", "fp16"),
            ("TOPIQ_METRICS_PYIQA_MAX_MEMORY", "2"),
        ],
    )
    @pytest.mark.parametrize("name", ["topiq_nr-lite", "topiq_nr"])
    def test_a_wrong_value_is_told_at_creation(self, pyiqa, options, monkeypatch, variable, value, name):
        monkeypatch.setenv(variable, value)
        own = {} if name.endswith("lite") else options(name)
        with pytest.raises(ValueError, match=rf"got '{value}'.*\(In the environment: {variable}={value}\.\)"):
            pyiqa.create_metric(name, device="cpu", **own)

    def test_a_wrong_option(self, pyiqa):
        with pytest.raises(ValueError, match="Argument `backend` must be one of"):
            pyiqa.create_metric("topiq_nr-lite", device="cpu", backend="onnx")
        with pytest.raises(TypeError, match="topiq_nr-lite does not take 'backends'"):
            pyiqa.create_metric("topiq_nr-lite", device="cpu", backends="onnx")

    def test_memory_is_bounded(self, pyiqa):
        metric = pyiqa.create_metric("topiq_nr-lite", device="cpu", max_memory="60MB")
        assert metric.net._backend.max_memory == 60_000_000
        large = torch.rand(1, 3, 640, 480, generator=torch.Generator().manual_seed(1))
        assert torch.allclose(metric(large), plain(metric, metric.net._fit(large)), atol=1e-5)
