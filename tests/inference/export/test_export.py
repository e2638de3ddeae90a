from __future__ import annotations

import functools
import json
import warnings

import pytest
import torch
import torch.nn.functional as F

from topiq_metrics.catalog import get_card
from topiq_metrics.errors import WeightsError
from topiq_metrics.images import SizePolicy
from topiq_metrics.inference.export import ExportError, export_metric, files, formats
from topiq_metrics.inference.export.graph import exported_program, output_size, pool_by_products, resize_by_products
from topiq_metrics.inference.openvino_core import openvino_core
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


@pytest.mark.parametrize("rule", ["native", "max_side=64", "max_short_side=48", "short_side=48", "square=50"])
def test_output_size_is_that_of_the_policy(rule):
    policy = SizePolicy.parse(rule)
    for size in ((64, 64), (33, 65), (64, 30), (1, 999), (4000, 3000), (301, 47), (48, 48)):
        assert output_size(policy, *size) == policy.output_size(*size)


@pytest.mark.parametrize("grid", [(3, 4), (7, 9), (1, 1), (13, 17)])
def test_products_pool_as_torch_does(grid):
    x = torch.rand(2, 5, 13, 17)
    torch.testing.assert_close(pool_by_products(x, grid), F.adaptive_avg_pool2d(x, grid))


@pytest.mark.parametrize(
    ("size", "sides"), [((90, 151), (38, 64)), ((64, 50), (64, 50)), ((33, 40), (70, 35)), ((40, 1999), (32, 64))]
)
def test_products_resize_as_the_policy_does(size, sides):
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    wanted = F.interpolate(x, size=sides, mode="bilinear", align_corners=False, antialias=True)
    torch.testing.assert_close(resize_by_products(x, sides), wanted, rtol=0, atol=1e-5)
    if size == sides:
        assert torch.equal(resize_by_products(x, sides), x)


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    return export_metric("topiq_nr-lite", tmp_path_factory.mktemp("onnx") / "lite.onnx", size=SIZE).path


@pytest.fixture(scope="module")
def onnx_file_with_reference(tmp_path_factory):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    return export_metric("topiq_fr-lite", tmp_path_factory.mktemp("onnx") / "fr.onnx", size=SIZE).path


@pytest.fixture(params=["onnxruntime", pytest.param("openvino", marks=pytest.mark.slow)])
def run_onnx(request, open_file):
    """Runs an ONNX file in a runtime, as a user would."""
    runtime = pytest.importorskip(request.param)
    if request.param == "onnxruntime":
        return open_file

    def run(path, *images):
        core = runtime.Core()
        compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return torch.from_numpy(compiled([x.numpy() for x in images])[0].copy())

    return run


def test_every_runtime_resizes_alike(run_onnx, onnx_file):
    """Noise, which only antialiasing takes away, shrunk to a tenth."""
    net, policy = shared_network("topiq_nr-lite"), SizePolicy.parse(SIZE)
    for shape in ((1, 641, 480), (2, 63, 47)):
        images = pictures(*shape)
        with torch.inference_mode():
            expected = net(policy.apply(images))
        torch.testing.assert_close(run_onnx(onnx_file, images), expected, rtol=0, atol=1e-5)


def test_wrong_images_score_nan(run_onnx, onnx_file):
    images = pictures(5, 70, 80)
    alone = run_onnx(onnx_file, images)
    assert alone.isfinite().all()
    spoiled = images.clone()
    spoiled[1, 0, 3, 4], spoiled[2, 1, 0, 0], spoiled[3, 2, 5, 5] = 1.01, -0.01, torch.nan
    spoiled[4, 0, 0, 0], spoiled[4, 1, 0, 0] = 1.0009, -0.0009
    found = run_onnx(onnx_file, spoiled)
    assert found.isnan().tolist() == [False, True, True, True, False]
    torch.testing.assert_close(found[0], alone[0], rtol=0, atol=1e-6)
    assert run_onnx(onnx_file, images * 255).isnan().all()
    assert run_onnx(onnx_file, 2 * images - 1).isnan().all()
    for height, width, is_scored in ((32, 32, True), (31, 40, False), (40, 16, False), (64, 1500, True)):
        found = run_onnx(onnx_file, pictures(1, height, width))
        assert found.isfinite().all() == is_scored, (height, width)


def test_a_wrong_reference_scores_nan(run_onnx, onnx_file_with_reference):
    image, reference = pictures(1, 64, 80), pictures(1, 64, 80, seed=1)
    assert run_onnx(onnx_file_with_reference, image, reference).isfinite().all()
    for other in (2 * reference - 1, reference * torch.nan, pictures(1, 128, 160)):
        assert run_onnx(onnx_file_with_reference, image, other).isnan().all()


@pytest.mark.parametrize(
    "rule",
    ["max_side=64", *(pytest.param(rule, marks=pytest.mark.slow) for rule in ("max_short_side=48", "short_side=48"))],
)
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


@pytest.mark.parametrize("precision", [pytest.param("float32", marks=pytest.mark.slow), "float16"])
def test_openvino(precision, tmp_path):
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    done = export_metric("topiq_nr-lite", tmp_path / "lite.xml", size=SIZE, precision=precision)
    assert {file.name for file in tmp_path.iterdir()} == {"lite.xml", "lite.bin"}
    model = openvino_core().read_model(done.path)
    assert model.get_rt_info(["topiq_metrics", "metric"]).value == "topiq_nr-lite"
    done.path.unlink()
    with pytest.raises(FileExistsError, match=r"lite\.bin already exists"):
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
    images[1] = 2 * images[1] - 1
    assert program.module()(images).isnan().tolist() == [False, True, False]
    with pytest.raises(AssertionError, match="Guard failed"):
        program.module()(pictures(1, 31, 40))


@pytest.mark.slow
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


def test_a_rule_under_which_the_smallest_images_are_too_small(tmp_path):
    pytest.importorskip("onnxruntime")
    assert export_metric("topiq_nr-lite", tmp_path / "lite.onnx", size="max_side=60").deviation < 1e-5


def test_a_program_takes_the_smallest_sides(tmp_path):
    net = shared_network("topiq_nr-lite")
    program = exported_program(net).module()
    for size in ((1, 32, 32), (2, 32, 100), (1, 65, 32)):
        images = pictures(*size)
        torch.testing.assert_close(program(images), net(images), rtol=1e-4, atol=1e-5)


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


def test_a_file_that_scores_anything_is_not_there(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(formats, "onnx_model", functools.partial(formats.onnx_model, checked=False))
    with pytest.raises(ExportError, match=r"gives images in 0\.\.\.255 a score"):
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
        ("topiq_nr-lite", "there.onnx", {}, FileExistsError, "there.onnx already exists: .*--force"),
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
