"""LPIPS+: where it equals LPIPS, what it is at equal images, its gradients and its weights."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torchmetrics.functional.image.lpips import _LPIPS

from topiq_metrics import LPIPSPlus, create_metric, lpips_plus
from topiq_metrics.errors import WeightsHashError, WeightsMismatchError, WeightsNotFoundError
from topiq_metrics.models.lpips import LPIPSPlusConfig, LPIPSPlusNetwork
from topiq_metrics.weights import load_network, save_network

NAMES = {"lpips+": "alex", "lpips-vgg+": "vgg"}


@pytest.fixture(scope="module", params=NAMES)
def network(request):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return load_network(request.param, None)


@pytest.fixture(scope="module")
def pair():
    generator = torch.Generator().manual_seed(0)
    target = torch.nn.functional.interpolate(torch.rand(2, 3, 12, 16, generator=generator), size=(96, 128))
    return (target + 0.1 * torch.randn(target.shape, generator=generator)).clamp(0, 1), target


def torchmetrics_twin(network):
    """torchmetrics' LPIPS with the same backbone; the linear weights are its own."""
    twin = _LPIPS(net=NAMES[network.name], pnet_rand=True)
    theirs = [module for module in twin.net.modules() if isinstance(module, torch.nn.Conv2d)]
    ours = [module for module in network.features if isinstance(module, torch.nn.Conv2d)]
    for source, target in zip(ours, theirs, strict=True):
        target.load_state_dict(source.state_dict())
    return twin


def test_without_semantics_it_is_lpips(network, pair):
    with torch.no_grad():
        expected = torchmetrics_twin(network)(*pair, normalize=True).flatten()
    assert expected.min() > 1e-4
    torch.testing.assert_close(network.with_semantic_layer(None)(*pair), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("layer", range(1, 5))
def test_constant_semantics_make_it_lpips(network, pair, layer):
    plain = network.with_semantic_layer(None)(*pair)
    assert not torch.allclose(network.with_semantic_layer(layer)(*pair), plain, rtol=1e-4, atol=0)
    net = copy.deepcopy(network)
    convolution = net.features[net._ends[layer] - 1]
    convolution.weight.zero_()
    convolution.bias.fill_(3)
    with torch.no_grad():
        expected = torchmetrics_twin(net)(*pair, normalize=True).flatten()
    assert expected.min() > 1e-4
    torch.testing.assert_close(net.with_semantic_layer(layer)(*pair), expected, rtol=1e-5, atol=1e-7)


def test_semantics_say_where_a_difference_counts(network):
    """Half of the reference is flat grey, half is texture: the same noise costs more where the features are."""
    generator = torch.Generator().manual_seed(0)
    target = torch.full((1, 3, 64, 128), 0.5)
    target[..., 64:] = torch.rand(1, 3, 64, 64, generator=generator)
    distances = {}
    for side, columns in (("flat", slice(0, 64)), ("texture", slice(64, 128))):
        preds = target.clone()
        preds[..., columns] = 1 - preds[..., columns] * 0.5
        plain, weighted = (network.with_semantic_layer(layer)(preds, target).item() for layer in (None, 1))
        distances[side] = weighted / plain
    assert distances["texture"] != pytest.approx(distances["flat"], rel=1e-2)


def test_equal_images_have_distance_zero(network, pair):
    assert network(pair[1], pair[1]).tolist() == [0, 0]
    assert (network(*pair) > 0).all()


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, None])
def test_gradients_are_finite(network, pair, value):
    target = pair[1][:1] if value is None else torch.full((1, 3, 64, 64), value)
    for start in (target, (target - 0.25).abs()):
        preds, reference = start.clone().requires_grad_(), target.clone().requires_grad_()
        gradients = torch.autograd.grad(network(preds, reference).sum(), [preds, reference])
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_a_reference_without_features_weighs_all_places_alike(pair):
    net = LPIPSPlusNetwork().requires_grad_(False)
    for layer in net.features:
        if isinstance(layer, torch.nn.Conv2d):
            layer.bias.fill_(-100)
    assert torch.equal(net(*pair), net.with_semantic_layer(None)(*pair))
    preds = pair[0].clone().requires_grad_()
    assert torch.autograd.grad(net(preds, pair[1]).sum(), preds)[0].isfinite().all()


def test_metric_and_function(network, pair):
    for layer in ("default", 0, 4, None):
        metric = LPIPSPlus(network.name, net=network, semantic_layer=layer, reduction="none")
        expected = network.with_semantic_layer(2 if layer == "default" else layer)(*pair)
        torch.testing.assert_close(metric(*pair), expected)
        torch.testing.assert_close(lpips_plus(*pair, net=network, semantic_layer=layer), expected.mean())
    assert metric.higher_is_better is False


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(network, dtype):
    generator = torch.Generator().manual_seed(0)
    # Small, for a processor without arithmetic of half precision takes a thousand times as long.
    target = torch.rand(1, 3, 64, 64, generator=generator)
    preds = (target + 0.2 * torch.randn(target.shape, generator=generator)).clamp(0, 1)
    metric = LPIPSPlus(network.name, net=network)
    expected = metric(preds, target)
    metric.set_dtype(dtype)
    torch.testing.assert_close(metric(preds, target), expected, rtol=2e-2, atol=0)


def test_layers_share_one_network(tmp_path):
    path = tmp_path / "net.safetensors"
    save_network(load_network("lpips+", None), path, card={})
    metrics = [LPIPSPlus(weights=path, semantic_layer=layer) for layer in (1, 3, 1, "default")]
    assert len({id(metric.net.network.features) for metric in metrics}) == 1
    again = pickle.loads(pickle.dumps(metrics[0]))
    assert again.net.network.config.semantic_layer == 1


def test_metrics_of_two_layers_are_told_apart(network):
    first, second = (LPIPSPlus(network.name, net=network, semantic_layer=layer) for layer in (1, 2))
    assert set(first._defaults).isdisjoint(second._defaults)
    assert str(first.net) != str(second.net)


@pytest.mark.parametrize("layer", [5, -1, 1.0, True, "third"])
def test_a_layer_that_is_not_there(layer):
    with pytest.raises(ValueError, match=r"`semantic_layer` must be one of \(0, 1, 2, 3, 4\) or None, but got"):
        LPIPSPlus(weights=None, semantic_layer=layer)


def test_wrong_arguments(network, pair, lite_weights):
    with pytest.raises(ValueError, match=r"`model` must be one of \('lpips\+', 'lpips-vgg\+'\), but got 'topiq_fr'"):
        lpips_plus(*pair, model="topiq_fr")
    with pytest.raises(ValueError, match="`net` must be a LPIPSPlusNetwork, but got CFANet"):
        create_metric("lpips+", net=load_network("topiq_nr-lite", lite_weights))
    with pytest.raises(ValueError, match="same shape"):
        lpips_plus(pair[0], pair[1][..., 1:], net=network)


class TestWeights:
    @pytest.fixture
    def alexnet(self, tmp_path):
        """A file in torchvision's format, with a stub of its classifier."""
        net = LPIPSPlusNetwork()
        state = {key: value for key, value in net.state_dict().items() if key.startswith("features.")}
        path = tmp_path / "alexnet-owt-7be5be79.pth"
        torch.save({**state, "classifier.1.weight": torch.zeros(2, 2)}, path)
        return path, state

    def test_file_of_torchvision(self, alexnet):
        path, state = alexnet
        net = load_network("lpips+", path)
        assert all(torch.equal(net.state_dict()[key], value) for key, value in state.items())
        assert torch.equal(net.linear[0], load_network("lpips+", None).linear[0])

    def test_default_is_checked(self, alexnet, monkeypatch):
        monkeypatch.setenv("TOPIQ_METRICS_WEIGHTS", str(alexnet[0].parent))
        with pytest.raises(WeightsHashError, match="must start with 7be5be79"):
            LPIPSPlus()

    def test_nowhere(self, tmp_path, monkeypatch):
        for variable in ("TOPIQ_METRICS_WEIGHTS", "TOPIQ_METRICS_CACHE", "TORCH_HOME"):
            monkeypatch.setenv(variable, str(tmp_path))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(WeightsNotFoundError, match=r"download\.pytorch\.org/models/alexnet") as info:
            LPIPSPlus()
        assert f"torchvision's cache: {tmp_path / 'hub' / 'checkpoints'}" in str(info.value)
        assert "topiq weights fetch lpips+" in str(info.value)
        assert "HF_HUB_OFFLINE is set" in str(info.value)

    def test_file_of_ours(self, tmp_path):
        net = load_network("lpips+", None)
        save_network(net, tmp_path / "net.safetensors", card={}, dtype=torch.float32)
        again = load_network("lpips+", tmp_path / "net.safetensors")
        assert all(torch.equal(again.state_dict()[key], value) for key, value in net.state_dict().items())

    def test_file_of_another_architecture(self, alexnet):
        with pytest.raises(WeightsMismatchError, match="does not hold the network of 'lpips-vgg\\+'"):
            load_network("lpips-vgg+", alexnet[0])

    def test_config_has_the_published_layer(self):
        assert load_network("lpips+", None).config == LPIPSPlusConfig("alexnet", 2)
