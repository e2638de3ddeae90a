"""What all commands have in common: how they are started, their help, and the names of their options."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import topiq_metrics
from topiq_metrics.catalog import CARDS
from topiq_metrics.cli.train import _lightning_precision
from topiq_metrics.errors import suggest

COMMANDS = [
    [],
    ["score"],
    ["explain"],
    ["compare"],
    ["serve"],
    ["list"],
    ["train"],
    ["export"],
    ["weights"],
    ["weights", "fetch"],
    ["datasets", "check"],
    ["leaderboard"],
    ["leaderboard", "merge"],
]


def test_as_a_module():
    command = [sys.executable, "-m", "topiq_metrics", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"topiq-metrics {topiq_metrics.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help(command, topiq):
    long, short = topiq(*command, "--help"), topiq(*command, "-h")
    assert (long.exit_code, short.exit_code) == (0, 0)
    assert short.stdout == long.stdout
    assert "-h" in short.stdout
    # What takes no value has no type.
    assert "bool" not in short.stdout.lower()


def test_completion(topiq):
    assert "--install-completion" in topiq("--help").stdout
    env = {**os.environ, "_TOPIQ_COMPLETE": "complete_bash", "COMP_WORDS": "topiq exp", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-m", "topiq_metrics"], env=env, capture_output=True, text=True)
    assert done.stdout.split() == ["explain", "export"] or done.stdout.split() == ["export", "explain"]


@pytest.mark.parametrize("option", ["-r", "--ref", "--reference"])
class TestReferences:
    """One picture and its reference, by every name of the option."""

    @pytest.fixture
    def pair(self, tmp_path, save_picture):
        return [save_picture(tmp_path / name, 64, 48, seed=seed) for seed, name in enumerate(["a.png", "b.png"])]

    def test_score(self, option, topiq, pair, fake_network):
        result = topiq("score", pair[0], option, pair[1])
        assert result.exit_code == 0
        assert result.stdout.startswith("path,topiq_fr-lite,")

    def test_explain(self, option, topiq, pair, monkeypatch):
        self.check_argument("explain", "topiq_metrics.explaining.quality_map", option, topiq, pair, monkeypatch)

    def test_compare(self, option, topiq, pair, monkeypatch):
        self.check_argument("compare", "topiq_metrics.comparing.rank_images", option, topiq, pair, monkeypatch)

    def check_argument(self, command, function, option, topiq, pair, monkeypatch):
        seen = []

        def refuse(images, reference, *_, **__):
            seen.append(reference)
            raise ValueError("seen")

        monkeypatch.setattr(function, refuse)
        assert topiq(command, pair[0], option, pair[1]).exit_code == 2
        assert seen == [pair[1]]


def test_a_reference_without_an_option(topiq, tmp_path):
    (tmp_path / "a.png").touch()
    result = topiq("explain", tmp_path / "a.png", "b.png", "--ref", "c.png")
    assert (result.exit_code, result.stderr) == (2, "Error: The reference is named twice: b.png and c.png.\n")


class TestExport:
    @pytest.fixture
    def written(self, monkeypatch):
        """The paths that would be written."""
        paths = []

        def export_metric(name, path, **options):
            paths.append(str(path))
            raise ValueError("nothing is written")

        monkeypatch.setattr("topiq_metrics.inference.export.export_metric", export_metric)
        return paths

    @pytest.mark.parametrize("arguments", [["m.onnx"], ["-o", "m.onnx"], ["--output", "m.onnx"]])
    def test_the_file(self, arguments, topiq, written):
        assert topiq("export", "topiq_nr-lite", *arguments).exit_code == 2
        assert written == ["m.onnx"]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "Name the file with -o, such as -o model.onnx."),
            (["a.onnx", "-o", "b.onnx"], "The file is named twice: a.onnx and b.onnx."),
        ],
    )
    def test_no_file_or_two(self, arguments, message, topiq, written):
        result = topiq("export", "topiq_nr-lite", *arguments)
        assert (result.exit_code, result.stderr) == (2, f"Error: {message}\n")
        assert written == []

    def test_a_file_that_is_there(self, topiq, tmp_path):
        path = tmp_path / "m.onnx"
        path.write_text("mine")
        result = topiq("export", "topiq_nr-lite", "-o", path)
        assert result.exit_code == 2
        assert f"{path} already exists: give another path, or overwrite it (--force)." in result.stderr
        assert path.read_text() == "mine"


@pytest.mark.parametrize(
    "command", [["score", "a.png"], ["export", "topiq_nr-lite", "-o", "m.onnx"], ["train", "topiq_nr", "--data", "a"]]
)
def test_precisions(command, topiq):
    result = topiq(*command, "--precision", "half")
    assert result.exit_code == 2
    assert all(name in result.stderr for name in ("float32", "bfloat16", "float16"))


def test_precisions_of_a_recipe():
    assert [_lightning_precision(name) for name in ("float32", "bfloat16", "float16")] == [
        "32-true",
        "bf16-mixed",
        "16-mixed",
    ]
    assert _lightning_precision("bf16-mixed") == "bf16-mixed"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("TOPIQ_NR", "'topiq_nr'?"),
        ("topiq_nr_lite", "'topiq_nr-lite'?"),
        ("TOPIQ FR", "'topiq_fr'?"),
        ("LPIPS+", "'lpips+'?"),
        ("topiq-iaa-res50", "'topiq_iaa_res50'?"),
        ("topiq_nr-light", "'topiq_nr-lite' or"),
    ],
)
def test_near_names(name, near, topiq):
    assert suggest(name, CARDS).startswith(f"Did you mean {near}")
    result = topiq("score", "a.png", "-m", name, "-r", "b.png")
    assert (result.exit_code, result.stderr.split("Did you mean ")[1].startswith(near)) == (2, True)
