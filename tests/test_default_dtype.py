"""Another default dtype than float32, as Lightning's true precisions set it, changes no weight, score or state."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

import topiq_metrics
from topiq_metrics import TOPIQFullReference, TOPIQNoReference, TwoAlternativeForcedChoice, load_image
from topiq_metrics.inference import open_predictor
from topiq_metrics.inference.backends import choose_backend
from topiq_metrics.losses import LPIPSPlusLoss, TOPIQLoss, TOPIQNoReferenceLoss
from topiq_metrics.models.network import float32_by_default
from topiq_metrics.training.distortions import DISTORTIONS, distort
from topiq_metrics.weights import load_network, sharing

DTYPES = [torch.bfloat16, torch.float16, torch.float64]


@pytest.fixture
def images():
    smooth = F.interpolate(torch.rand(3, 3, 10, 12, generator=torch.Generator().manual_seed(0)), (64, 80))
    # Exact in every type.
    return (smooth * 128).round() / 128


@pytest.fixture(params=DTYPES, ids=str)
def under(request):
    """A function that calls another one under a default dtype and gives what it gives."""

    def under(function, *args):
        torch.set_default_dtype(request.param)
        try:
            found = function(*args)
            assert torch.get_default_dtype() == request.param
        finally:
            torch.set_default_dtype(torch.float32)
        return found

    under.dtype = request.param
    return under


def test_images(under, tmp_path):
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(tmp_path / "a.png")
    expected = load_image(tmp_path / "a.png")
    assert expected.dtype == torch.float32
    torch.testing.assert_close(under(load_image, tmp_path / "a.png"), expected, atol=0, rtol=0)


@pytest.mark.parametrize("name", ["topiq_nr-lite", "topiq_fr-lite", "lpips+"])
def test_networks(name, under):
    weights = None if name == "lpips+" else "default"
    torch.manual_seed(0)
    wanted = load_network(name, weights)
    torch.manual_seed(0)
    net = under(load_network, name, weights)
    for key, tensor in (*net.named_parameters(), *net.named_buffers()):
        assert tensor.dtype == torch.float32 or not tensor.is_floating_point(), key
        assert torch.equal(tensor, dict((*wanted.named_parameters(), *wanted.named_buffers()))[key]), key


def test_functions_and_metrics(under, images, monkeypatch):
    calls = {
        "function": lambda x: topiq_metrics.topiq_no_reference(x, reduction="none"),
        "full-reference function": lambda x: topiq_metrics.topiq_full_reference(x, x.flip(0), reduction="none"),
        "metric": lambda x: TOPIQNoReference(reduction="none")(x),
        "mean": lambda x: TOPIQNoReference()(x),
        "full-reference metric": lambda x: TOPIQFullReference(reduction="none")(x, x.flip(0)),
        "explanation": lambda x: torch.tensor(topiq_metrics.explain(x[0]).score, dtype=torch.float32),
    }
    for name, call in calls.items():
        found = under(call, images.to(under.dtype))
        assert found.dtype == torch.float32, name
        assert torch.equal(found, call(images)), name
    monkeypatch.setattr(sharing, "load_network", lambda *args: pytest.fail("the network was loaded again"))
    under(calls["function"], images)


def test_results_of_no_images_and_states(under):
    metrics = under(
        lambda: [TOPIQNoReference(reduction="none"), TOPIQNoReference(), TwoAlternativeForcedChoice()],
    )
    for metric in metrics:
        with pytest.warns(UserWarning, match="before the ``update`` method"):
            assert under(metric.compute).dtype == torch.float32
        assert metric.dtype == torch.float32
        assert {default.dtype for default in metric._defaults.values() if isinstance(default, torch.Tensor)} <= {
            torch.float64,
            torch.int64,
        }


@pytest.mark.parametrize("kind", [TOPIQLoss, TOPIQNoReferenceLoss, LPIPSPlusLoss])
def test_losses(kind, under, images):
    options = {"weights": None} if kind is LPIPSPlusLoss else {}

    def descend(x, y):
        torch.manual_seed(0)
        x = x.clone().requires_grad_()
        loss = kind(**options)(x, y)
        loss.backward()
        return loss.detach(), x.grad

    loss, gradient = under(descend, images.to(under.dtype), images.flip(0).to(under.dtype))
    wanted, slope = descend(images, images.flip(0))
    assert loss.dtype == torch.float32
    assert loss == wanted
    assert gradient.dtype == under.dtype
    torch.testing.assert_close(gradient.float(), slope.to(under.dtype).float(), rtol=0.02, atol=1e-6)
    whole = (images * 255).round().to(torch.uint8)
    assert under(kind(255, **options), whole, whole).dtype == torch.float32


@pytest.mark.parametrize("name", ["torch", "onnxruntime", "openvino"])
def test_backends(name, under, images):
    if name != "torch":
        pytest.importorskip(name)
        pytest.importorskip("onnx")
    backend = choose_backend(name)
    found = under(lambda: open_predictor("topiq_nr-lite", device="cpu", backend=backend)(images))
    assert found.dtype == torch.float32
    assert (found - open_predictor("topiq_nr-lite", device="cpu")(images)).abs().max() < 1e-5


def test_pyiqa(under, images):
    pyiqa = pytest.importorskip("pyiqa", reason="pyiqa is not installed")
    from topiq_metrics.plugins.pyiqa import register

    register()

    def score(x):
        metric = pyiqa.create_metric("topiq_nr-lite", device="cpu")
        assert {parameter.dtype for parameter in metric.net.parameters()} == {torch.float32}
        return metric(x)

    # pyiqa refuses a 1 in half precision, where it is not below 1 + 1e-6.
    images = images / 2
    found = under(score, images.to(under.dtype))
    assert found.dtype == torch.float32
    assert torch.equal(found, score(images))
    options = {"pretrained": False, "backbone_pretrain": False, "device": "cpu"}
    net = under(lambda: pyiqa.create_metric("topiq_nr", **options).net)
    assert {tensor.dtype for tensor in net.state_dict().values() if tensor.is_floating_point()} == {torch.float32}


def test_distortions(images):
    for kind in ("blur", "noise", "jitter", "chromatic-aberration", "color-noise"):
        assert kind in DISTORTIONS
        wanted = distort(images[0], kind, 0.5, seed=1)
        torch.set_default_dtype(torch.bfloat16)
        try:
            found = distort(images[0], kind, 0.5, seed=1)
        finally:
            torch.set_default_dtype(torch.float32)
        assert torch.equal(found, wanted), kind


@pytest.mark.parametrize("precision", ["bf16-true", "16-true", "64-true"])
def test_lightning(precision, images):
    lightning = pytest.importorskip("pytorch_lightning", reason="needs pip install 'topiq-metrics[training]'")
    trainer = lightning.Trainer(accelerator="cpu", devices=1, precision=precision, logger=False)
    with trainer.init_module():
        metric = TOPIQNoReference(reduction="none")
    with trainer.precision_plugin.forward_context():
        found = metric(images.to(torch.get_default_dtype()))
    assert torch.get_default_dtype() == torch.float32
    assert torch.equal(found, TOPIQNoReference(reduction="none")(images))


def test_threads_give_the_default_back():
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with float32_by_default():
            inside.set()
            leave.wait(10)

    torch.set_default_dtype(torch.bfloat16)
    try:
        thread = threading.Thread(target=hold)
        with float32_by_default():
            thread.start()
            assert inside.wait(10)
            assert torch.get_default_dtype() == torch.float32
        assert torch.get_default_dtype() == torch.float32
        leave.set()
        thread.join()
        assert torch.get_default_dtype() == torch.bfloat16
    finally:
        leave.set()
        torch.set_default_dtype(torch.float32)
