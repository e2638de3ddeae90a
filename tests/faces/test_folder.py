"""A folder of photographs, some without a face: each is a row."""

from __future__ import annotations

import csv
import io
import sys

import numpy as np
import pytest
import torch
from face_tester import FACES, StandIn, photograph, tiny_network
from PIL import Image
from typer.testing import CliRunner

pytest.importorskip("facexlib", reason="the extra `face` is not installed")

from topiq_metrics.cli.app import app
from topiq_metrics.errors import NoFaceError
from topiq_metrics.faces import find_faces
from topiq_metrics.inference import FacePredictor, NetworkPredictor, open_predictor
from topiq_metrics.scoring import open_source, score_items


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    """The faces and the network of these tests, where facexlib's and the published one would be asked for."""
    detector = StandIn(FACES)
    monkeypatch.setattr("topiq_metrics.inference.faces.shared_detector", lambda *_: detector)
    monkeypatch.setattr("topiq_metrics.inference.predictor.shared_network", lambda *_, **__: tiny_network())
    return detector


@pytest.fixture
def folder(tmp_path):
    """Photographs 0 to 3 in PNG, of two sizes, and a file that is none."""
    for number in range(4):
        pixels = (photograph(number, 96 + 8 * (number % 2), 128) * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / f"{number}.png")
    (tmp_path / "4.png").write_bytes(b"no image")
    return tmp_path


def scores_of(name="topiq_nr-face"):
    """The scores of the largest faces; by the card's size rule, as the metric does it."""
    predictor = open_predictor(name, device="cpu")
    crops = [find_faces(photograph(n, 96 + 8 * (n % 2), 128), StandIn(FACES), "largest").crops for n in (0, 2, 3)]
    with torch.no_grad():
        return predictor.net(predictor._face_size.apply(torch.cat(crops))).tolist()


def test_one_photograph_without_a_face_is_a_row(folder, stand_in):
    predictor = open_predictor("topiq_nr-face", device="cpu")
    rows = list(score_items(open_source([folder]).items(), [predictor]))
    assert [row.status for row in rows] == ["ok", "error", "ok", "ok", "error"]
    assert rows[1].error == "no-face: no face was found"
    assert (rows[1].width, rows[1].height) == (128, 104)
    assert rows[4].error.startswith("not-an-image: ")
    scores = [row.scores["topiq_nr-face"] for row in rows]
    # What is saved has 8 bits.
    assert [scores[0], scores[2], scores[3]] == pytest.approx(scores_of(), abs=0.02)
    assert scores[1] is None
    assert rows[0].size == "native"
    assert len(stand_in.seen) == 4


def test_beside_another_metric(folder):
    predictors = [open_predictor(name, device="cpu") for name in ("topiq_nr-face", "topiq_nr-lite")]
    assert [type(predictor) for predictor in predictors] == [FacePredictor, NetworkPredictor]
    rows = list(score_items(open_source([folder]).items(), predictors))
    assert [row.status for row in rows] == ["ok", "partial", "ok", "ok", "error"]
    assert rows[1].error == "topiq_nr-face: no-face: no face was found"
    assert rows[1].scores["topiq_nr-lite"] is not None


def test_the_cards_size_is_that_of_the_face(folder, stand_in):
    predictor = open_predictor("topiq_nr_swin-face", device="cpu")
    shapes = []
    predictor.net.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))
    rows = list(score_items(open_source([folder / "0.png"]).items(), [predictor]))
    assert rows[0].scores["topiq_nr_swin-face"] == pytest.approx(scores_of("topiq_nr_swin-face")[0], abs=0.02)
    assert shapes == [(1, 3, 384, 384)]
    assert stand_in.seen[0].shape == (96, 128, 3)


def test_a_size_rule_of_the_user_is_for_the_photograph(folder, stand_in):
    predictor = open_predictor("topiq_nr-face", size="square=64", device="cpu")
    stand_in.faces = [FACES[0]] * 256
    (row,) = score_items(open_source([folder / "1.png"]).items(), [predictor])
    assert row.size == "square=64"
    assert stand_in.seen[0].shape == (64, 64, 3)


def test_a_batch():
    predictor = FacePredictor("topiq_nr-face", device="cpu", detector=StandIn(FACES))
    images = torch.stack([photograph(number) for number in (0, 2, 3)])
    torch.testing.assert_close(predictor(images).tolist()[0], predictor(images[:1]).tolist()[0], rtol=1e-4, atol=2e-5)
    with pytest.raises(NoFaceError, match="no face was found in image 1 of 2"):
        predictor(torch.stack([photograph(0), photograph(1)]))


def test_an_image_error_costs_no_other_image_its_score(folder):
    predictor = open_predictor("topiq_nr-face", device="cpu")
    predictor.max_batch = 8
    rows = list(score_items(open_source([folder / "0.png", folder / "2.png", folder / "1.png"]).items(), [predictor]))
    assert [row.status for row in rows] == ["ok", "ok", "error"]


def test_on_the_command_line(folder):
    result = CliRunner().invoke(app, ["score", str(folder), "-m", "topiq_nr-face"])
    assert result.exit_code == 1
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["status"] for row in rows] == ["ok", "error", "ok", "ok", "error"]
    assert [rows[1]["topiq_nr-face"], rows[1]["error"]] == ["", "no-face: no face was found"]


def test_on_the_command_line_without_facexlib(folder, monkeypatch):
    from topiq_metrics.faces import shared_detector

    monkeypatch.setattr("topiq_metrics.inference.faces.shared_detector", shared_detector)
    monkeypatch.setitem(sys.modules, "facexlib.utils.face_restoration_helper", None)
    result = CliRunner().invoke(app, ["score", str(folder), "-m", "topiq_nr-face"])
    assert result.exit_code == 2
    assert "pip install 'topiq-metrics[face]'" in result.stderr
