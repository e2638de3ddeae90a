"""Facexlib's detector: its weights by our resolver, and its results."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import shutil
from collections import deque
from unittest import mock

import numpy as np
import pytest
import torch
from face_tester import tiny_network

pytest.importorskip("facexlib", reason="the extra `face` is not installed")

from topiq_metrics.catalog.cards import FACE_DETECTOR
from topiq_metrics.errors import WeightsHashError, WeightsMismatchError, WeightsNotFoundError
from topiq_metrics.faces import FacexlibDetector, detection, shared_detector
from topiq_metrics.functional.face import topiq_faces
from topiq_metrics.weights import sharing

FILE = "detection_Resnet50_Final.pth"


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """RetinaFace with weights that nobody trained, in a file as facexlib publishes it."""
    path = tmp_path_factory.mktemp("detector") / FILE
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = detection._build(torch.device("cpu"))
    # It is sure of many faces.
    network.ClassHead[0].conv1x1.bias.data[1::2] += 30
    torch.save({f"module.{key}": value for key, value in network.state_dict().items()}, path)
    return path


class FakeNetwork(torch.nn.Module):
    """As RetinaFace answers: rows of a box, a confidence and five places."""

    def __init__(self, *rows):
        super().__init__()
        self.rows = np.array(rows, dtype=np.float32).reshape(-1, 15)

    def detect_faces(self, image, threshold):
        self.asked = image, threshold
        return self.rows


def fake_detector(tmp_path, *rows):
    torch.save({}, tmp_path / "file.pth")
    with mock.patch.object(detection, "_build", return_value=FakeNetwork(*rows)):
        return FacexlibDetector(tmp_path / "file.pth")


def test_boxes_landmarks_and_confidences(tmp_path):
    eyes_apart, eyes_together = [10, 10, 20, 10], [10, 10, 13, 13.9]
    rows = [[*range(5), *eyes, 15, 15, 11, 20, 19, 20] for eyes in (eyes_apart, eyes_together)]
    detector = fake_detector(tmp_path, *rows)
    image = np.zeros((40, 50, 3), np.uint8)
    boxes, landmarks, confidences = detector.detect(image)
    assert boxes.tolist() == [[0, 1, 2, 3]]
    assert confidences.tolist() == [4]
    assert landmarks.tolist() == [[[10, 10], [20, 10], [15, 15], [11, 20], [19, 20]]]
    assert detector._network.asked == (image, 0.97)


def test_nothing_found(tmp_path):
    shapes = [values.shape for values in fake_detector(tmp_path).detect(np.zeros((40, 50, 3), np.uint8))]
    assert shapes == [(0, 4), (0, 5, 2), (0,)]


@pytest.fixture
def any_detector(monkeypatch):
    """Lets a network that is not trained pass for the published file."""
    monkeypatch.setattr(detection, "FACE_DETECTOR", dataclasses.replace(FACE_DETECTOR, sha256=""))


@pytest.mark.usefixtures("any_detector")
def test_retinaface_from_the_folder_of_weights(untrained, no_network):
    shutil.copy(untrained, no_network / FILE)
    torch.manual_seed(3)
    detector = shared_detector()
    after = torch.rand(1)
    assert torch.equal(after, torch.rand(1, generator=torch.Generator().manual_seed(3)))
    assert shared_detector() is detector
    assert detector.weights == no_network / FILE

    state = torch.load(untrained, weights_only=True)
    own = detector._network.state_dict()
    assert [f"module.{key}" for key in own] == list(state)
    assert all(torch.equal(value, state[f"module.{key}"]) for key, value in own.items())
    assert not detector._network.training

    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = detector._network.detect_faces(image, 0.97)
    wide = np.hypot(*(expected[:, 5:7] - expected[:, 7:9]).T) >= 5
    assert 0 < wide.sum() < len(wide)
    with torch.autocast("cpu", torch.bfloat16):
        boxes, landmarks, confidences = detector.detect(image)
    assert np.array_equal(np.c_[boxes, confidences, landmarks.reshape(-1, 10)], expected[wide])

    assert copy.deepcopy(detector) is detector
    pickled = pickle.loads(pickle.dumps(detector))
    assert repr(pickled) == repr(detector)
    assert np.array_equal(pickled.detect(image).landmarks, landmarks)


@pytest.mark.usefixtures("any_detector")
def test_a_function_builds_the_detector_once(untrained, no_network, monkeypatch):
    shutil.copy(untrained, no_network / FILE)
    monkeypatch.setattr(sharing.HOLDINGS, "recent", deque(maxlen=sharing.RECENT))
    build = mock.Mock(side_effect=lambda device: FakeNetwork())
    monkeypatch.setattr(detection, "_build", build)
    monkeypatch.setattr(FakeNetwork, "load_state_dict", lambda self, state: None)
    for _ in range(2):
        (faces,) = topiq_faces(torch.rand(1, 3, 40, 50), net=tiny_network(), on_no_face="nan")
        assert len(faces.scores) == 0
    assert build.call_count == 1


def test_the_published_file_is_told_from_others(untrained, no_network):
    shutil.copy(untrained, no_network / FILE)
    with pytest.raises(WeightsHashError, match="its SHA-256 must start with 6d1de9c2"):
        shared_detector()


def test_another_checkpoint(tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / FILE)
    with pytest.raises(WeightsMismatchError, match=r"does not hold facexlib's face detector: .* Missing key"):
        FacexlibDetector(tmp_path / FILE)


def test_no_weights(no_network, monkeypatch):
    monkeypatch.setattr("topiq_metrics.weights.places._other_cache", lambda package: None)
    with pytest.raises(WeightsNotFoundError, match=f"asked for a download of {FILE}"):
        shared_detector()
