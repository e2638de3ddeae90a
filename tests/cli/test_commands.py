from __future__ import annotations

import hashlib
import sys
from dataclasses import replace

import pytest

import topiq_metrics
from topiq_metrics import catalog
from topiq_metrics.catalog import CARDS

pytestmark = pytest.mark.quick


@pytest.fixture
def nothing_bundled(tmp_path, monkeypatch):
    monkeypatch.setattr("topiq_metrics.weights.places.BUNDLED", tmp_path / "bundled")


@pytest.fixture
def own_folder(tmp_path, monkeypatch, nothing_bundled):
    """A folder with a file for topiq_nr, as the catalogue wants it."""
    content = b"weights of topiq_nr"
    card = CARDS["topiq_nr"]
    digits = hashlib.sha256(content).hexdigest()[:8]
    monkeypatch.setitem(catalog.CARDS, "topiq_nr", replace(card, weights=replace(card.weights, sha256=digits)))
    monkeypatch.setenv("TOPIQ_METRICS_WEIGHTS", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / card.weights.filename).write_bytes(content)
    return tmp_path / "own"


def test_version(topiq):
    result = topiq("--version")
    assert (result.exit_code, result.stdout) == (0, f"topiq-metrics {topiq_metrics.__version__}\n")


@pytest.mark.parametrize("arguments", [["--help"], []])
def test_help_names_the_commands(arguments, topiq):
    result = topiq(*arguments)
    assert all(name in result.output for name in ("score", "list", "train", "weights"))


def test_unknown_command(topiq):
    result = topiq("scores")
    assert result.exit_code == 2
    assert "No such command 'scores'" in result.stderr


class TestList:
    def names(self, topiq, *arguments):
        result = topiq("list", *arguments)
        assert result.exit_code == 0
        return [name for name in CARDS if f" {name} " in result.stdout]

    def test_every_metric(self, topiq):
        assert self.names(topiq) == list(CARDS)

    @pytest.mark.parametrize("mode", ["NR", "FR"])
    def test_one_mode(self, mode, topiq):
        expected = [card.name for card in CARDS.values() if card.mode == mode]
        assert self.names(topiq, "--mode", mode) == expected

    def test_what_is_said_of_each(self, topiq):
        lines = topiq("list").stdout.splitlines()
        (line,) = [line for line in lines if " topiq_iaa_res50 " in line]
        for text in ("NR", "1 to 10, higher better", "short_side=384", "AVA", "noncommercial use only", "download"):
            assert text in line
        (line,) = [line for line in lines if " lpips+ " in line]
        assert "0 to 1, lower better" in line
        (line,) = [line for line in lines if " topiq_nr-lite " in line]
        assert "bundled" in line
        assert "Apache-2.0" in line

    def test_unknown_mode(self, topiq):
        result = topiq("list", "--mode", "XX")
        assert result.exit_code == 2
        assert "'nr'" in result.stderr.lower()
        assert "'fr'" in result.stderr.lower()


class TestWeights:
    def test_list(self, topiq, own_folder):
        result = topiq("weights", "list")
        assert result.exit_code == 0
        (line,) = [line for line in result.stdout.splitlines() if " topiq_nr " in line]
        assert "cfanet_nr_koniq_res50-9a73138b.pth" in line
        assert "TOPIQ_METRICS_WEIGHTS" in line
        (line,) = [line for line in result.stdout.splitlines() if " topiq_fr " in line]
        assert " no " in line

    def test_path(self, topiq, own_folder):
        result = topiq("weights", "path", "topiq_nr")
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == f"{own_folder / 'cfanet_nr_koniq_res50-9a73138b.pth'}\n"

    def test_path_of_what_is_not_here(self, topiq, own_folder):
        result = topiq("weights", "path", "topiq_fr")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "The weights of topiq_fr (cfanet_fr_kadid_res50-2c4cc61d.pth) were not found." in result.stderr

    def test_verify(self, topiq, own_folder):
        result = topiq("weights", "verify")
        assert result.exit_code == 0
        assert result.stdout.startswith("topiq_nr: prefix-verified, sha256 ")

    def test_verify_finds_what_is_wrong_and_goes_on(self, topiq, own_folder):
        (own_folder / CARDS["topiq_fr"].weights.filename).write_bytes(b"something else")
        result = topiq("weights", "verify")
        assert result.exit_code == 1
        assert result.stdout.startswith("topiq_nr: prefix-verified")
        assert result.stderr.startswith("topiq_fr: ")
        assert "is not the published file: its SHA-256 must start with 2c4cc61d" in result.stderr

    def test_verify_what_is_not_here(self, topiq, own_folder):
        result = topiq("weights", "verify", "topiq_fr")
        assert result.exit_code == 1
        assert "topiq_fr: The weights of topiq_fr" in result.stderr

    def test_verify_without_any(self, topiq, nothing_bundled):
        result = topiq("weights", "verify")
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr == "There are no weights on this machine: get some with `topiq weights fetch NAME`.\n"

    @pytest.mark.parametrize("command", ["path", "verify", "fetch"])
    def test_unknown_names(self, command, topiq):
        result = topiq("weights", command, "topiq_rn")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("Error: There is no metric named 'topiq_rn'. Did you mean ")

    def test_fetch_wants_names(self, topiq):
        assert topiq("weights", "fetch").exit_code == 2

    def test_fetch_says_where_the_file_is(self, topiq, own_folder, tmp_path, monkeypatch):
        def fetch(name, notify):
            notify("Licence of the weights: for tests.")
            return tmp_path / name

        monkeypatch.setattr("topiq_metrics.weights.fetch", fetch)
        result = topiq("weights", "fetch", "topiq_nr", "topiq_fr")
        assert result.stdout.splitlines() == [str(tmp_path / "topiq_nr"), str(tmp_path / "topiq_fr")]
        assert result.stderr.count("Licence of the weights: for tests.") == 2


class TestTrain:
    def test_recipe_and_data_are_wanted(self, topiq, tmp_path):
        for arguments, missing in (([], "recipe"), (["topiq_nr-lite"], "--data")):
            result = topiq("train", *arguments)
            assert result.exit_code == 2
            assert "Missing" in result.stderr
            assert missing in result.stderr.lower()

    def test_unknown_recipe(self, topiq, tmp_path):
        result = topiq("train", "topiq", "--data", tmp_path)
        assert result.exit_code == 2
        assert result.stderr.startswith(
            "Error: There is no recipe 'topiq': give a .toml file or one of ['qfm_iqm-lite', "
        )

    def test_recipe_file_that_is_not_there(self, topiq, tmp_path):
        result = topiq("train", tmp_path / "a.toml", "--data", tmp_path)
        assert (result.exit_code, result.stderr) == (2, f"Error: There is no recipe file {tmp_path / 'a.toml'}.\n")

    def test_folder_that_is_not_there(self, topiq, tmp_path):
        result = topiq("train", "topiq_nr-lite", "--data", tmp_path / "nowhere", "-o", tmp_path / "run")
        assert result.exit_code == 2
        assert result.stderr == f"Error: BIQ2021: there is no folder {tmp_path / 'nowhere'}.\n"
        assert not (tmp_path / "run").exists()

    def test_folder_that_is_another(self, topiq, tmp_path):
        result = topiq("train", "topiq_nr-lite", "--data", tmp_path, "-o", tmp_path / "run")
        assert result.exit_code == 2
        assert "BIQ2021: there is no label file" in result.stderr
        assert "Train (Images and MOS).csv" in result.stderr

    def test_output_that_is_a_file(self, topiq, tmp_path):
        (tmp_path / "run").touch()
        result = topiq("train", "topiq_nr-lite", "--data", tmp_path, "-o", tmp_path / "run")
        assert result.exit_code == 2
        assert f"Error: {tmp_path / 'run'} is to be the folder of the run, but is a file." in result.stderr

    def test_extra_that_is_not_installed(self, topiq, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "pytorch_lightning", None)
        monkeypatch.delitem(sys.modules, "topiq_metrics.training.run", raising=False)
        result = topiq("train", "topiq_nr-lite", "--data", tmp_path)
        assert result.exit_code == 2
        assert "Training needs the extra (pytorch_lightning is not installed): pip install 'topiq-metrics[train]'" in (
            result.stderr
        )
