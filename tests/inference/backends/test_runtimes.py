"""ONNX Runtime and OpenVINO score as PyTorch does."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from topiq_metrics.inference.backends import graphs, onnxruntime_backend, openvino_backend
from topiq_metrics.inference.export.formats import FORMATS, openvino_model
from topiq_metrics.inference.openvino_core import openvino_core
from topiq_metrics.models.cfanet import CFANet, CFANetConfig
from topiq_metrics.models.folding import fold
from topiq_metrics.weights import shared_network

BACKENDS = {"onnxruntime": onnxruntime_backend, "openvino": openvino_backend}
SIZES = ((2, 96, 128), (1, 131, 97), (3, 64, 64), (1, 33, 190))
SPREAD = 0.02


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("TOPIQ_METRICS_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request):
    pytest.importorskip("onnx" if request.param == "onnxruntime" else "openvino")
    pytest.importorskip(request.param)
    return BACKENDS[request.param]


@pytest.fixture(scope="module", params=["NR", "FR"])
def net(request):
    return small_network(request.param)


@pytest.fixture(scope="module")
def run(backend, net):
    return backend.open_network(net, "float32", None)


def small_network(mode="NR"):
    torch.manual_seed(0)
    config = CFANetConfig("efficientnet_lite0", mode, dim=8, heads=2, gate_width=4, anchored=mode == "FR")
    net = CFANet(config).eval()
    net = fold(net.requires_grad_(requires_grad=False))
    # Scores that differ between images, so that a comparison can fail.
    net.head[-1].weight *= SPREAD / scores_of_several(net).std()
    return net


def scores_of_several(net):
    return torch.cat([net(*images(net, seed=seed)) for seed in range(3)])


def images(net, batch=1, height=96, width=128, seed=0):
    generator = torch.Generator().manual_seed(seed)
    base = torch.rand(batch, 3, height // 8 + 1, width // 8 + 1, generator=generator)
    image = torch.nn.functional.interpolate(base, (height, width), mode="bilinear")
    return (image, image.flip(-1))[: 2 if net.config.mode == "FR" else 1]


def check(net, run, inputs, tolerance=1e-5):
    expected = net(*inputs)
    scores = run(*inputs)
    assert scores.shape == expected.shape
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", SIZES)
def test_scores_are_those_of_torch(net, run, size):
    check(net, run, images(net, *size))


SMALLEST_FIRST = ((1, 32, 32), (2, 96, 128), (2, 32, 32), (1, 32, 100), (1, 100, 32))


@pytest.mark.parametrize("max_memory", [None, 10**7])
def test_a_first_image_with_one_token_spoils_no_other(backend, net, max_memory):
    run = backend.open_network(net, "float32", max_memory)
    for size in SMALLEST_FIRST:
        check(net, run, images(net, *size))


def test_nor_does_it_in_bfloat16(net):
    pytest.importorskip("openvino")
    run = openvino_backend.open_network(net, "bfloat16", None)
    for size in SMALLEST_FIRST:
        check(net, run, images(net, *size), 0.05)


def test_the_comparison_can_fail(net):
    assert scores_of_several(net).std() > 1000 * 1e-5


def test_memory_layouts_and_views(net, run):
    check(net, run, [x.contiguous(memory_format=torch.channels_last)[..., 3:] for x in images(net)])


def test_threads_may_share_it(net, run):
    inputs = [images(net, 1, 64 + 8 * index, 96) for index in range(4)]
    scores = {}
    threads = [
        threading.Thread(target=lambda i=i: scores.update({i: [run(*inputs[i]) for _ in range(4)]}))
        for i in range(len(inputs))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, some in scores.items():
        torch.testing.assert_close(torch.cat(some), net(*inputs[index]).expand(4), rtol=1e-5, atol=1e-5)
    assert len(scores) == len(inputs)


def test_bfloat16_of_a_pair_in_threads_of_several_sizes():
    """The maps of image and reference lie where OpenVINO made them until they are read."""
    pytest.importorskip("openvino")
    net = small_network("FR")
    run = openvino_backend.open_network(net, "bfloat16", None)
    inputs = [images(net, *size) for size in SIZES]
    with ThreadPoolExecutor(len(SIZES)) as threads:
        found = list(threads.map(lambda pair: run(*pair), inputs * 3))
    for scores, pair in zip(found, inputs * 3, strict=True):
        torch.testing.assert_close(scores, net(*pair), rtol=0.03, atol=0)
        # Not those of the image beside itself.
        assert (net(pair[0], pair[0]) == 1).all()


@pytest.mark.parametrize("max_memory", [1_000_000, 100_000_000])
def test_memory_is_bounded(monkeypatch, max_memory):
    net, groups = small_network(), []

    def run(image):
        groups.append(len(image))
        return net(image)

    inputs = images(net, 5, 256, 256)
    torch.testing.assert_close(graphs.run_within(net, run, max_memory)(*inputs), net(*inputs), rtol=1e-5, atol=1e-5)
    # What does not fit as a whole is not the runtime's.
    assert (not groups) if max_memory == 1_000_000 else (sum(groups) == 5 and max(groups) < 5)


@pytest.mark.slow
def test_bundled_model_in_each_precision():
    pytest.importorskip("openvino")
    net = shared_network("topiq_nr-lite", "default")
    inputs = images(net, 4, 160, 128)
    check(net, openvino_backend.open_network(net, "float32", None), inputs)
    check(net, openvino_backend.open_network(net, "bfloat16", None), inputs, 0.02)


def test_models_share_a_core_that_stays(monkeypatch, tmp_path):
    openvino = pytest.importorskip("openvino")
    net, core = small_network(), openvino_core()
    monkeypatch.setattr(openvino, "Core", lambda: pytest.fail("another core"))
    run = openvino_backend.open_network(net, "float32", None)
    check(net, run, images(net))
    openvino.save_model(openvino_model(net), tmp_path / "net.xml")
    check(net, FORMATS[".xml"].open(tmp_path / "net.xml"), images(net), 1e-4)
    assert openvino_core() is core


def test_uneven_padding_is_the_convolutions_own():
    openvino = pytest.importorskip("openvino")
    net = shared_network("topiq_nr-lite")
    graph = openvino_backend._make_whole(net)
    weights = openvino.Tensor(np.frombuffer(graph["graph.bin"], np.uint8))
    model = openvino_core().read_model(graph["graph.xml"], weights)
    assert "Pad" not in {node.get_type_name() for node in model.get_ordered_ops()}
    run = openvino_backend.open_network(net, "float32", None)
    for size in ((64, 96), (65, 97), (66, 98), (71, 99), (81, 64)):
        check(net, run, images(net, 2, *size))


def test_bfloat16_tells_near_images_apart():
    pytest.importorskip("openvino")
    net = shared_network("topiq_nr-lite")
    base = images(net)[0]
    near = torch.cat([base * (1 - 0.002 * step) for step in range(40)])
    scores = openvino_backend.open_network(net, "bfloat16", None)(near)
    # A head in bfloat16 has 3 places here.
    assert len(scores.unique()) == 40
    assert net(near).std() < 0.01


def test_a_graph_is_made_once_and_kept(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("TOPIQ_METRICS_CACHE", str(tmp_path))
    caplog.set_level(logging.INFO, logger="topiq_metrics")
    net, made = small_network(), []

    def get(which=net):
        return graphs.cached_graph(which, "test", lambda: made.append(1) or {"a": b"123", "b": bytes(range(256))})

    assert get() == get() == {"a": b"123", "b": bytes(range(256))}
    assert len(made) == len(caplog.records) == 1
    (path,) = (tmp_path / "graphs").glob("*.zip")

    for broken in (path.read_bytes()[:-30], b"", path.read_bytes().replace(b"123", b"124")):
        path.write_bytes(broken)
        made.clear()
        assert get()["a"] == get()["a"] == b"123"
        assert len(made) == 1

    other = small_network()
    other.head[-1].bias += 1
    made.clear()
    get(other)
    assert len(made) == 1
    assert len(list((tmp_path / "graphs").glob("*.zip"))) == 2


def test_the_cache_is_bounded(monkeypatch, tmp_path):
    monkeypatch.setenv("TOPIQ_METRICS_CACHE", str(tmp_path))
    net = small_network()
    for index in range(graphs.KEPT + 3):
        graphs.cached_graph(net, f"test{index}", lambda: {"a": b""})
    assert len(list((tmp_path / "graphs").glob("*.zip"))) == graphs.KEPT


def test_an_unwritable_cache_is_done_without(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TOPIQ_METRICS_CACHE", str(tmp_path / "file"))
    assert graphs.cached_graph(small_network(), "test", lambda: {"a": b"123"}) == {"a": b"123"}


def test_threads_make_a_graph_once(monkeypatch, tmp_path):
    monkeypatch.setenv("TOPIQ_METRICS_CACHE", str(tmp_path))
    net, made = small_network(), []
    barrier = threading.Barrier(3)

    def get():
        barrier.wait()
        graphs.cached_graph(net, "test", lambda: made.append(1) or {"a": b"123"})

    threads = [threading.Thread(target=get) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
