"""What the commands say of colour profiles that differ."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

NOTE = "the image has no colour profile, its reference the colour profile 'Display P3 (cICP)'"


@pytest.fixture
def pair(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    info = PngImagePlugin.PngInfo()
    info.add(b"cICP", bytes([12, 13, 0, 1]))
    for name, chunks in (("image.png", None), ("other.png", None), ("reference.png", info)):
        Image.fromarray(values).save(tmp_path / name, pnginfo=chunks)
    return tmp_path / "image.png", tmp_path / "reference.png"


def test_score(topiq, pair, fake_network, tmp_path):
    image, reference = pair
    result = topiq("score", image, tmp_path / "other.png", "-m", "topiq_fr", "-r", reference)
    assert result.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert all(row["note"].startswith(f"profiles-differ: {NOTE}") for row in rows)
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"Note on 2 of them: profiles-differ: {NOTE}")
    assert "--profiles ignore" in result.stderr
    result = topiq("score", image, "-m", "topiq_fr", "-r", reference, "--profiles", "ignore")
    assert (result.exit_code, result.stderr) == (0, "")
    assert next(csv.DictReader(io.StringIO(result.stdout)))["note"] == ""


def test_compare(topiq, pair, tmp_path):
    image, reference = pair
    result = topiq("compare", image, tmp_path / "other.png", "-r", reference)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].startswith(f"Note on {image.name}, other.png: profiles-differ: {NOTE}")
    assert "Note" not in topiq("compare", image, tmp_path / "other.png", "-r", reference, "--profiles", "ignore").stdout


def test_explain(topiq, pair):
    image, reference = pair
    result = topiq("explain", image, reference)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].startswith(f"Note: profiles-differ: {NOTE}")
    assert "Note" not in topiq("explain", image, reference, "--profiles", "ignore").stdout


@pytest.mark.parametrize("command", ["score", "compare", "explain"])
def test_other_words(command, topiq, pair):
    image, reference = pair
    result = topiq(command, image, reference, "--profiles", "drop")
    assert result.exit_code == 2
    assert "Option --profiles must be 'apply' or 'ignore', but got 'drop'" in result.stderr
