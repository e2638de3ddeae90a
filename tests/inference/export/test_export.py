from __future__ import annotations

import json
import warnings

import pytest
import torch
import torch.nn.functional as F

from topiq_metrics.catalog import get_card
from topiq_metrics.errors import WeightsError
from topiq_metrics.images import SizePolicy
from topiq_metrics.inference.export import ExportError, export_metric, files
from topiq_metrics.inference.export.graph import exported_program, output_size, pool_by_products
from topiq_metrics.weights import load_network, shared_network

SIZE = "max_side=64"
"""Small, for speed."""


@pytest.fixture
def open_file():
    """Runs a file in ONNX Runtime as a user would, without this package."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")

    def run(path, *images):
        session = onnxruntime.InferenceSession(path)
        names = [node.name for node in session.get_inputs()]
        return torch.from_numpy(session.run(None, dict(zip(names, (x.numpy() for x in images), strict=True)))[0])

    return run


def pictures(*shape, seed=0):
    torch.manual_seed(seed)
    smooth = F.interpolate(torch.rand(shape[0], 3, 4, 5), size=shape[1:], mode="bilinear")
    return (smooth + 0.1 * torch.randn(smooth.shape)).clamp(0, 1)


@pytest.mark.parametrize("rule", ["native", "max_side=64", "short_side=48", "square=50"])
def test_output_size_is_that_of_the_policy(rule):
    policy = SizePolicy.parse(rule)
    for size in ((64, 64), (33, 65), (64, 30), (1, 999), (4000, 3000), (301, 47), (48, 48)):
        assert output_size(policy, *size) == policy.output_size(*size)


@pytest.mark.parametrize("grid", [(3, 4), (7, 9), (1, 1), (13, 17)])
def test_products_pool_as_torch_does(grid):
    x = torch.rand(2, 5, 13, 17)
    torch.testing.assert_close(pool_by_products(x, grid), F.adaptive_avg_pool2d(x, grid))


@pytest.mark.parametrize("rule", ["max_side=64", "short_side=48"])
def test_onnx_scores_any_batch_and_size(rule, tmp_path, open_file):
    done = export_metric("topiq_nr-lite", tmp_path / "lite.onnx", size=rule)
    assert [file.name for file in tmp_path.iterdir()] == ["lite.onnx"]
    assert done.bytes == done.path.stat().st_size < 25e6
    assert 0 < done.deviation < 1e-5
    net, policy = shared_network("topiq_nr-lite"), SizePolicy.parse(rule)
    for shape in ((1, 63, 47), (2, 150, 90), (3, 90, 151), (1, 64, 64), (1, 40, 300), (1, 500, 36)):
        images = pictures(*shape)
        with torch.inference_mode():
            expected = net(policy.apply(images))
        torch.testing.assert_close(open_file(done.path, images), expected, rtol=0, atol=1e-5)


def test_the_same_image_scores_1(tmp_path, open_file):
    done = export_metric("topiq_fr-lite", tmp_path / "fr.onnx")
    assert done.deviation < 1e-5
    image = pictures(1, 40, 60)
    assert open_file(done.path, image, image).item() == 1


def test_full_reference_has_two_inputs(tmp_path, open_file, fr_weights):
    done = export_metric("topiq_fr", tmp_path / "fr.onnx", weights=fr_weights)
    image, reference = pictures(2, 40, 60), pictures(2, 40, 60, seed=1)
    with torch.inference_mode():
        expected = shared_network("topiq_fr", fr_weights)(image, reference)
    torch.testing.assert_close(open_file(done.path, image, reference), expected, rtol=0, atol=1e-4)
    assert (open_file(done.path, reference, image) - expected).abs().max() > 1e-3
    assert done.metadata["license"] != get_card("topiq_fr").weights.license


def test_what_a_file_says_about_itself(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    done = export_metric("topiq_nr-lite", tmp_path / "half.onnx", size=SIZE, precision="float16")
    model = onnx.load(done.path)
    about = {entry.key: entry.value for entry in model.metadata_props}
    card = get_card("topiq_nr-lite")
    assert about == done.metadata
    assert about["weights_sha256"] == card.weights.sha256
    assert about["license"] == card.weights.license
    assert json.loads(about["score_range"]) == [0, 1]
    assert json.loads(about["higher_is_better"]) is True
    assert (about["metric"], about["size"], about["opset"]) == ("topiq_nr-lite", SIZE, "18")
    inputs = model.graph.input[0].type.tensor_type
    assert [d.dim_param or d.dim_value for d in inputs.shape.dim] == ["batch", 3, "height", "width"]
    assert inputs.elem_type == onnx.TensorProto.FLOAT
    assert done.bytes < 12e6


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_openvino(precision, tmp_path):
    openvino = pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    done = export_metric("topiq_nr-lite", tmp_path / "lite.xml", size=SIZE, precision=precision)
    assert {file.name for file in tmp_path.iterdir()} == {"lite.xml", "lite.bin"}
    model = openvino.Core().read_model(done.path)
    assert model.get_rt_info(["topiq_metrics", "metric"]).value == "topiq_nr-lite"
    done.path.unlink()
    with pytest.raises(FileExistsError, match=r"lite\.bin is there already"):
        export_metric("topiq_nr-lite", tmp_path / "lite.xml")


def test_exported_program(tmp_path):
    # A fixed size: sizes that depend on the image take torch a minute to load.
    done = export_metric("topiq_nr-lite", tmp_path / "lite.pt2", size="square=50")
    assert [file.name for file in tmp_path.iterdir()] == ["lite.pt2"]
    files = {"topiq_metrics.json": ""}
    program = torch.export.load(done.path, extra_files=files)
    assert json.loads(files["topiq_metrics.json"])["metric"] == "topiq_nr-lite"
    images = pictures(3, 70, 120)
    with torch.inference_mode():
        expected = shared_network("topiq_nr-lite")(SizePolicy.parse("square=50").apply(images))
    assert (program.module()(images) - expected).abs().max() < 1e-5


def test_a_program_takes_any_size():
    net = shared_network("topiq_nr-lite")
    program = exported_program(net, SizePolicy.parse(SIZE)).module()
    for shape in ((1, 70, 120), (3, 49, 33)):
        images = pictures(*shape)
        with torch.inference_mode():
            expected = net(SizePolicy.parse(SIZE).apply(images))
        assert (program(images) - expected).abs().max() < 1e-5


def test_the_network_stays_as_it_is(tmp_path):
    pytest.importorskip("onnxruntime")
    images = pictures(1, 64, 64)
    net = shared_network("topiq_nr-lite")
    with torch.inference_mode():
        before = net(images)
        export_metric("topiq_nr-lite", tmp_path / "lite.onnx", size=SIZE, precision="float16")
        assert torch.equal(net(images), before)
    assert shared_network("topiq_nr-lite") is net


def test_a_file_that_fails_the_check_is_not_there(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    target = tmp_path / "lite.onnx"
    target.write_text("what was there")
    monkeypatch.setattr(files, "TOLERANCES", {"float32": 0.0})
    with pytest.raises(ExportError, match=r"deviate by .*, and 0 is allowed in float32"):
        export_metric("topiq_nr-lite", target, size=SIZE, overwrite=True)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["what was there"]


def test_a_wrong_graph_fails_the_check(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    other = load_network("topiq_nr-lite")
    with torch.no_grad():
        other.head[-1].bias.add_(2e-4)
    write = files.FORMATS[".onnx"].write
    wrong = type(files.FORMATS[".onnx"])
    spoiled = wrong(**{**vars(files.FORMATS[".onnx"]), "write": lambda net, *rest: write(other, *rest)})
    monkeypatch.setitem(files.FORMATS, ".onnx", spoiled)
    with pytest.raises(ExportError, match=r"deviate by 0\.0002"):
        export_metric("topiq_nr-lite", tmp_path / "lite.onnx", size=SIZE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "file", "options", "error", "message"),
    [
        ("topiq_nr-light", "a.onnx", {}, ValueError, "topiq_nr-lite"),
        ("topiq_nr-lite", "a.tflite", {}, ValueError, r"must end in one of .*'\.onnx', '\.pt2', '\.xml'"),
        ("topiq_nr-lite", "a.onnx", {"precision": "half"}, ValueError, "'float32', 'float16'"),
        ("topiq_nr-lite", "a.onnx", {"size": "big"}, ValueError, "max_side=N"),
        ("topiq_nr-lite", "a.onnx", {"weights": None}, ValueError, "untrained"),
        ("topiq_nr-lite", "a.onnx", {"weights": "none.pth"}, WeightsError, "does not exist"),
        ("topiq_iaa", "a.onnx", {"size": "native"}, ValueError, "no other size than square=384"),
        ("topiq_nr-lite", "none/a.onnx", {}, FileNotFoundError, "There is no folder"),
        ("topiq_nr-lite", "there.onnx", {}, FileExistsError, "there.onnx is there already: .*--force"),
        ("topiq_nr-lite", "folder.onnx", {"overwrite": True}, IsADirectoryError, "is a folder"),
    ],
)
def test_what_cannot_be_done(name, file, options, error, message, tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "there.onnx").touch()
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(error, match=message):
        export_metric(name, tmp_path / file, **options)
    assert {entry.name for entry in tmp_path.iterdir()} == {"there.onnx", "folder.onnx"}


@pytest.mark.parametrize(("suffix", "extra"), [(".onnx", "onnx"), (".xml", "openvino")])
def test_a_missing_extra(suffix, extra, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=rf"pip install 'topiq-metrics\[{extra}\]'"):
        export_metric("topiq_nr-lite", tmp_path / f"a{suffix}")


def test_other_weights_than_the_metric_needs(tmp_path, fr_weights):
    pytest.importorskip("onnxruntime")
    with pytest.raises(WeightsError, match="holds the network of 'topiq_fr'"):
        export_metric("topiq_nr-lite", tmp_path / "a.onnx", weights=fr_weights)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("options", "code", "line"), [((), 0, "opset 18, deviation"), (("--size", "x"), 2, "Error: ")])
def test_command(options, code, line, tmp_path):
    from typer.testing import CliRunner

    from topiq_metrics.cli.app import app

    pytest.importorskip("onnxruntime")
    out = tmp_path / "lite.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = CliRunner().invoke(app, ["export", "topiq_nr-lite", str(out), "--size", SIZE, *options])
    assert result.exit_code == code, result.output
    assert line in result.output
    assert out.exists() == (code == 0)
