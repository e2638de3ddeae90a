"""A backend is chosen by name, refused early where it does not fit, and made in no one's mode but its own."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from topiq_metrics import TOPIQNoReference, create_metric
from topiq_metrics.inference import NetworkPredictor, open_predictor
from topiq_metrics.inference.backends import BACKENDS, base, choose_backend
from topiq_metrics.models.cfanet import CFANet, CFANetConfig
from topiq_metrics.models.folding import fold
from topiq_metrics.weights import load_network

pytestmark = pytest.mark.quick


@pytest.fixture
def net() -> CFANet:
    torch.manual_seed(0)
    return fold(CFANet(CFANetConfig("efficientnet_lite0", dim=8, heads=2, gate_width=4)).eval().requires_grad_(False))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TOPIQ_METRICS_CACHE", str(tmp_path))


def only(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    monkeypatch.setattr(base, "_is_installed", lambda name: BACKENDS[name].package in packages)


@pytest.mark.parametrize(
    ("packages", "precision", "expected"),
    [
        (("torch",), "float32", "torch"),
        (("torch", "onnxruntime"), "float32", "onnxruntime"),
        (("torch", "onnxruntime", "openvino"), "float32", "openvino"),
        (("torch", "onnxruntime"), "bfloat16", "torch"),
    ],
)
def test_auto_is_the_fastest_that_is_installed(monkeypatch, packages, precision, expected) -> None:
    only(monkeypatch, *packages)
    assert choose_backend("auto", precision).on("cpu").name == expected
    assert choose_backend("auto", precision).on("mps").name == "torch"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tensorrt",), r"`backend` must be one of .*'auto'.*'tensorrt'"),
        ((["torch"],), r"`backend` must be one of"),
        (("onnxruntime", "bfloat16"), r"`precision` must be one of \('float32',\).*'onnxruntime'.*'bfloat16'"),
        (("auto", "int8"), r"`precision` must be one of .*'float16'\).*'int8'"),
        (("torch", "float32", "much"), r"`max_memory` must be such as '2GB'"),
        (("torch", "float32", 2), r"`max_memory` must be at least 50 MB, but got 2 bytes: 2GB\?"),
    ],
)
def test_what_there_is_not(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        choose_backend(*arguments)


def test_a_missing_package_is_named_with_its_extra(monkeypatch) -> None:
    only(monkeypatch, "torch")
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'topiq-metrics\[openvino\]'"):
        create_metric("topiq_nr-lite", backend="openvino")


@pytest.mark.parametrize(
    ("name", "precision", "device"), [("openvino", "float32", "cuda"), ("compile", "float32", "mps")]
)
def test_a_device_that_it_does_not_run_on(monkeypatch, name, precision, device) -> None:
    only(monkeypatch, "torch", "openvino")
    with pytest.raises(ValueError, match=rf"{name}.*{device}.*take backend 'torch'"):
        choose_backend(name, precision).on(device)


def test_a_precision_that_cannot_run_is_refused_before_the_first_image() -> None:
    with pytest.raises(ValueError, match="bfloat16"):
        open_predictor("topiq_nr-lite", device="cpu", backend=choose_backend("torch", "float16"))


def test_gradients_only_where_they_are(net: CFANet) -> None:
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    choose_backend()(net, image).sum().backward()
    assert image.grad.abs().sum() > 0
    with pytest.raises(ValueError, match="no gradients"):
        choose_backend("torch", "bfloat16")(net, image)
    with torch.no_grad():
        assert choose_backend("torch", "bfloat16")(net, image).isfinite().all()


def test_a_network_that_was_cast_is_refused(net: CFANet) -> None:
    with pytest.raises(ValueError, match=r"takes networks in float32.*float64"):
        choose_backend("torch", "bfloat16")(net.double(), torch.rand(1, 3, 64, 64).double())


def test_a_reference_must_fit_the_network(net: CFANet) -> None:
    images = [torch.rand(1, 3, 64, 64)] * 2
    with pytest.raises(ValueError, match="takes no reference"):
        choose_backend()(net, *images)


@pytest.mark.parametrize("name", ["onnxruntime", pytest.param("openvino", marks=pytest.mark.slow)])
def test_the_mode_of_who_asks_first_is_not_in_the_graph(net: CFANet, name: str) -> None:
    pytest.importorskip(name)
    image = torch.rand(1, 3, 64, 96)
    expected = net(image)
    state = torch.get_rng_state()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
            first = choose_backend(name)(net, image)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(state, torch.get_rng_state())
    again = choose_backend(name)(copy.deepcopy(net), image)
    for scores in (first, again):
        torch.testing.assert_close(scores, expected, rtol=0, atol=1e-5)


def score(metric: Callable[[Tensor], Tensor]) -> Tensor:
    return metric(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))


def test_metrics_run_on_backends_and_travel() -> None:
    pytest.importorskip("openvino")
    plain = create_metric("topiq_nr-lite", reduction="none")
    fast = create_metric("topiq_nr-lite", reduction="none", backend="openvino")
    torch.testing.assert_close(score(fast), score(plain), rtol=0, atol=1e-5)
    assert (plain.is_differentiable, fast.is_differentiable) == (True, False)
    for other in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
        assert other.backend.name == "openvino"
        torch.testing.assert_close(score(other), score(plain), rtol=0, atol=1e-5)


def test_sparing_memory_gives_the_same_score() -> None:
    predictor = NetworkPredictor("topiq_nr-lite", size="native", device="cpu")
    image = torch.rand(1, 3, 200, 300)
    torch.testing.assert_close(predictor(image, spare_memory=True), predictor(image), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("change", ["in place", "new weights"])
def test_a_network_whose_weights_change_is_opened_anew(name: str, change: str) -> None:
    """Such as a moving average of weights, which is scored after each epoch."""
    pytest.importorskip(name)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    net = load_network("topiq_nr-lite")
    metric = TOPIQNoReference(net=net, backend=name)
    before = metric(image)
    with torch.no_grad():
        if change == "in place":
            for parameter in net.parameters():
                parameter.mul_(0.95)
        else:
            net.load_state_dict({key: value * 0.95 for key, value in net.state_dict().items()})
    expected = TOPIQNoReference(net=net)(image)
    assert abs(expected - before) > 1e-3
    for changed in (metric, TOPIQNoReference(net=net, backend=name)):
        torch.testing.assert_close(changed(image), expected, rtol=1e-4, atol=1e-5)
