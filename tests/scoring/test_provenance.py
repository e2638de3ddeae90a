"""What rows are the result of."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import fields, replace

import pytest

import topiq_metrics
from topiq_metrics.catalog import CARDS, ModelCard, WeightsFile, extensions
from topiq_metrics.errors import WeightsNotFoundError
from topiq_metrics.scoring import provenance as module
from topiq_metrics.scoring.errors import OutputError
from topiq_metrics.scoring.provenance import FileProvenance, MetricProvenance, Provenance, describe_metrics

LITE = "topiq_nr-lite"


def with_metric(provenance, **changes):
    return replace(provenance, metrics=(replace(provenance.metrics[0], **changes), *provenance.metrics[1:]))


def test_json_comes_back(provenance, tmp_path):
    detector = FileProvenance("caf\udce9.pth", "ab", "MIT")
    full = replace(with_metric(provenance, further=(detector,), weights=None), fallback="max_side=1024", shard="3/8")
    full.save(tmp_path / "provenance.json")
    assert Provenance.load(tmp_path / "provenance.json") == full
    values = json.loads((tmp_path / "provenance.json").read_text())
    assert (values["schema"], values["shard"], values["metrics"][0]["weights"]) == (1, "3/8", None)
    assert values["created"].endswith("+00:00")


CONFLICTS = [
    (lambda p: replace(p, metrics=p.metrics[:1]), ["Metrics: topiq_nr-lite there, topiq_nr-lite, topiq_fr here."]),
    (
        lambda p: replace(p, metrics=p.metrics[::-1]),
        ["Metrics: topiq_fr, topiq_nr-lite there, topiq_nr-lite, topiq_fr here."],
    ),
    (
        lambda p: with_metric(p, weights=FileProvenance("topiq_nr-lite.pth", "ff", "MIT")),
        ["Weights of topiq_nr-lite: ff there, ab12 here."],
    ),
    (lambda p: with_metric(p, weights=None), ["Weights of topiq_nr-lite: none there, ab12 here."]),
    (
        lambda p: with_metric(p, further=(FileProvenance("d", "cd", ""),)),
        ["Other files of topiq_nr-lite: cd there, none here."],
    ),
    (lambda p: with_metric(p, size="square=384"), ["Size policy of topiq_nr-lite: square=384 there, native here."]),
    (lambda p: with_metric(p, distribution="shiny 2"), ["Distribution of topiq_nr-lite: shiny 2 there, none here."]),
    (
        lambda p: replace(p, fallback="max_side=512"),
        ["Size policy where memory does not suffice: max_side=512 there, none here."],
    ),
    (lambda p: replace(p, backend="onnx"), ["Backend: onnx there, torch here."]),
    (lambda p: replace(p, precision="bfloat16"), ["Precision: bfloat16 there, float32 here."]),
    (lambda p: replace(p, profiles="ignore"), ["Colour profiles: ignore there, apply here."]),
    (lambda p: replace(p, image_column="sharp"), ["Column of images: sharp there, none here."]),
    (lambda p: replace(p, decode="fast"), ["Decoding: fast there, exact here."]),
    (lambda p: replace(p, limits="lpips+ <= 0.5"), ["Limits of scores: lpips+ <= 0.5 there, none here."]),
    (lambda p: replace(p, shard="0/3"), ["Number of shards: 3 there, 1 here."]),
    (
        lambda p: replace(p, versions={"torch": "2.7.0", "numpy": "2"}),
        ["Version of torch: 2.7.0 there, 2.6.0 here.", "Version of numpy: 2 there, none here."],
    ),
]


@pytest.mark.parametrize(("change", "sentences"), CONFLICTS)
def test_what_fixes_a_score_conflicts(change, sentences, provenance):
    assert provenance.conflicts(change(provenance)) == sentences
    assert len(change(provenance).conflicts(provenance)) == len(sentences)


def test_where_and_when_is_no_conflict(provenance):
    told = {"device": "cuda", "python": "3.99", "system": "Windows", "created": "1999", "complete": True}
    assert provenance.conflicts(replace(provenance, **told)) == []
    assert replace(provenance, shard="0/4").conflicts(replace(provenance, shard="3/4")) == []
    compared = {"metrics", "fallback", "references", "shard", "backend", "precision", "profiles", "decode", "limits"}
    compared |= {"versions", "image_column"}
    assert compared | set(told) == {field.name for field in fields(Provenance)}


def test_the_name_of_a_file_is_no_conflict(provenance):
    renamed = with_metric(provenance, weights=FileProvenance("copy.pth", "ab12", "unknown"))
    assert provenance.conflicts(renamed) == []


@pytest.mark.parametrize("shard", ["1/1", "4/4", "-1/4", "0/0", "one", "1", "0/1\n"])
def test_a_shard_that_is_none(shard, provenance):
    with pytest.raises(ValueError, match="Argument `shard` must be 'i/n'"):
        replace(provenance, shard=shard)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Expecting value"),
        ("[]", "it is not of topiq-metrics"),
        ("{}", "it is not of topiq-metrics"),
        ('{"schema": 2}', "it has schema 2, and this version of topiq-metrics reads 1"),
        ('{"schema": 1}', "it lacks something: 'metrics'"),
        ('{"schema": 1, "metrics": [{}]}', "it lacks something: 'weights'"),
        ('{"schema": 1, "metrics": [], "colour": 1}', "it lacks something: .*colour"),
    ],
)
def test_a_file_that_is_no_provenance(text, problem, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(OutputError, match=rf"x.json does not say how its rows were computed: {problem}"):
        Provenance.load(tmp_path / "x.json")


def test_of_this_machine():
    metrics = describe_metrics([LITE])
    card = CARDS[LITE]
    assert metrics == (
        MetricProvenance(
            LITE, "max_side=512", FileProvenance(card.weights.filename, card.weights.sha256, card.weights.license)
        ),
    )
    here = Provenance.of_this_machine(metrics, fallback="max_side=1024", shard="1/4", device="cpu")
    assert (here.fallback, here.shard, here.device, here.backend) == ("max_side=1024", "1/4", "cpu", "torch")
    assert here.versions["topiq-metrics"] == topiq_metrics.__version__
    assert {"torch", "torchvision", "pillow", "numpy"} <= set(here.versions)
    assert "torchmetrics" not in here.versions


def test_weights_of_ones_own(tmp_path):
    (tmp_path / "mine.safetensors").write_bytes(b"mine")
    (metric,) = describe_metrics([LITE], weights=tmp_path / "mine.safetensors", size="native")
    digits = hashlib.sha256(b"mine").hexdigest()
    assert metric == MetricProvenance(LITE, "native", FileProvenance("mine.safetensors", digits, ""))
    (untrained,) = describe_metrics([LITE], weights=None)
    assert untrained.weights is None


def test_a_face_metric_names_its_detector(tmp_path, monkeypatch):
    face = CARDS["topiq_nr-face"]
    digits = {}
    monkeypatch.setenv("TOPIQ_METRICS_WEIGHTS", str(tmp_path))
    for file in face.files:
        (tmp_path / file.filename).write_bytes(file.filename.encode())
        digits[file.filename] = hashlib.sha256(file.filename.encode()).hexdigest()
    monkeypatch.setattr("topiq_metrics.weights.hashes.has_expected_sha256", lambda path, file: True)
    (metric,) = describe_metrics([face.name])
    files = [metric.weights, *metric.further]
    assert {file.name: file.sha256 for file in files} == digits
    assert metric.size == "native"
    assert "facexlib" in Provenance.of_this_machine([metric]).versions or not importlib.util.find_spec("facexlib")


def test_weights_that_are_nowhere(monkeypatch, tmp_path):
    card = replace(CARDS[LITE], weights=replace(CARDS[LITE].weights, filename="nowhere.safetensors"))
    monkeypatch.setattr(module, "get_card", lambda name: card)
    with pytest.raises(WeightsNotFoundError):
        describe_metrics([LITE])


def test_a_metric_of_another_distribution(monkeypatch):
    weights = WeightsFile("shiny.pth", "ab12", "proprietary")
    card = ModelCard("shininess", "NR", "", (0, 1), "shiny:Metric", weights=weights)

    class Point:
        class dist:  # noqa: N801
            name, version = "shiny", "2.1"

    class Damaged:
        class dist:  # noqa: N801
            name = version = None

    monkeypatch.setattr(module, "get_card", lambda name: card)
    monkeypatch.setattr(extensions, "_claims", lambda: {"shininess": (Point(),)})
    (metric,) = describe_metrics(["shininess"])
    assert metric == MetricProvenance(
        "shininess", "native", FileProvenance("shiny.pth", "ab12", "proprietary"), distribution="shiny 2.1"
    )
    assert "torchmetrics" in Provenance.of_this_machine([metric]).versions
    monkeypatch.setattr(extensions, "_claims", lambda: {"shininess": (Damaged(),)})
    assert describe_metrics(["shininess"])[0].distribution == ""
