"""From a photograph to aligned crops: what facexlib's alignment makes of landmarks that are known."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch
from face_tester import TEMPLATE, Face, StandIn, detections, photograph

pytest.importorskip("facexlib", reason="the extra `face` is not installed")

from topiq_metrics.faces import Detections, align_faces, find_faces, load_facexlib

pytestmark = pytest.mark.quick


def picture(x, y):
    """A smooth picture ``(H, W, 3)``, the channels of which differ, at any place."""
    return np.stack([0.5 + 0.3 * np.sin(x / 70) * np.cos(y / (50 + 15 * k)) + 0.05 * k for k in range(3)], axis=-1)


def show(face, height, width):
    """A photograph that shows the picture where the face is."""
    y, x = np.mgrid[0:height, 0:width]
    places = face.to_template(np.stack([x, y], axis=-1).astype(float))
    return torch.from_numpy(picture(places[..., 0], places[..., 1])).permute(2, 0, 1).float()


def official_helper(rows):
    """Facexlib's helper with its own constructor, and a detector that finds ``rows``."""
    module = load_facexlib()
    detector = SimpleNamespace(detect_faces=lambda image, threshold: np.array(rows, dtype=np.float32))
    with (
        mock.patch.object(module, "init_detection_model", return_value=detector),
        mock.patch.object(module, "init_parsing_model", return_value=None),
    ):
        return module.FaceRestoreHelper(1, face_size=512, crop_ratio=(1, 1), device="cpu")


def row(face):
    return [*face.box, face.confidence, *face.to_photograph(TEMPLATE).ravel()]


@pytest.mark.parametrize(
    "face",
    [
        pytest.param(Face(1.0, 0, (30, 17)), id="shift"),
        pytest.param(Face(0.5, 0, (12.25, 40.5)), id="small"),
        pytest.param(Face(1.7, 0, (-150, -200)), id="large"),
        pytest.param(Face(0.8, 25, (250, 20)), id="turned"),
        pytest.param(Face(1.2, -160, (560, 640)), id="upside-down"),
    ],
)
def test_the_crop_is_the_picture(face):
    found = find_faces(show(face, 900, 800), Fixed(face), "all")
    corners = face.to_photograph(np.array([[0, 0], [511, 0], [0, 511], [511, 511]]))
    y, x = np.mgrid[0:512, 0:512]
    expected = torch.from_numpy(picture(x, y)).permute(2, 0, 1).float()
    inside = torch.ones(512, 512, dtype=torch.bool)
    if corners.min() < 0 or (corners > [799, 899]).any():
        places = face.to_photograph(np.stack([x, y], axis=-1).astype(float))
        inside = torch.from_numpy(((places >= 1) & (places <= [798, 898])).all(-1))
        assert inside.float().mean() > 0.3
    assert found.crops.shape == (1, 3, 512, 512)
    assert found.crops.dtype == torch.float32
    assert ((found.crops[0] - expected).abs().amax(0)[inside]).max() < 3e-3


class Fixed:
    """Finds the same faces everywhere."""

    def __init__(self, *faces):
        self.found = detections(*faces)

    def detect(self, image):
        return self.found


def test_beyond_the_photograph_is_grey():
    found = find_faces(torch.zeros(3, 64, 64), Fixed(Face(1, 0, (-200, -200))), "all")
    assert torch.equal(found.crops[0, :, 201:262, 201:262], torch.zeros(3, 61, 61))
    assert torch.equal((found.crops[0, :, 0, 0] * 255).round(), torch.tensor([132.0, 133.0, 135.0]))


def test_the_helper_is_facexlibs():
    helper = official_helper([])
    assert np.array_equal(helper.face_template, TEMPLATE)
    face = Face(0.7, 33, (300, 40))
    image = np.random.default_rng(0).random((500, 600, 3), dtype=np.float32) * 255
    helper = official_helper([row(face)])
    helper.input_img = image
    assert helper.get_face_landmarks_5(eye_dist_threshold=5) == 1
    helper.align_warp_face()
    ours = align_faces(image, detections(face).landmarks.astype(np.float32))
    assert np.array_equal(ours[0], helper.cropped_faces[0])


def test_the_crop_is_pyiqas():
    arch = pytest.importorskip("pyiqa.archs.topiq_arch", reason="pyiqa is not installed")
    face, image = Face(0.3, -14, (40, 60)), photograph(7, 240, 200)
    with pytest.warns(UserWarning, match="aligned, cropped and resized"):
        theirs = arch.CFANet.preprocess_face(SimpleNamespace(face_helper=official_helper([row(face)])), image[None])
    ours = find_faces(image, Fixed(face), "largest").crops
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_the_detector_sees_bgr_of_8_bits():
    detector = StandIn([[]])
    image = torch.rand(3, 40, 50, generator=torch.manual_seed(0))
    image[:, 0, 0] = torch.tensor([0, 0.3, 1.0005])
    find_faces(image, detector, "all")
    (seen,) = detector.seen
    assert seen.dtype == np.uint8
    assert seen.flags.c_contiguous
    expected = (image * 255).round().clamp(0, 255).byte().flip(0).permute(1, 2, 0)
    assert np.array_equal(seen, expected.numpy())


def test_the_largest_is_by_what_is_in_the_photograph():
    inside = Face(0.1, 0, (40, 20), box=(40, 20, 80, 60))
    reaching_out = Face(0.2, 0, (0, 0), box=(-300, 0, 30, 40))
    found = find_faces(photograph(0), Fixed(reaching_out, inside), "largest")
    assert found.boxes.tolist() == [[40, 20, 80, 60]]
    both = find_faces(photograph(0), Fixed(reaching_out, inside), "all")
    assert both.boxes.tolist() == [[-300, 0, 30, 40], [40, 20, 80, 60]]
    assert torch.equal(both.crops[1], found.crops[0])
    assert both.confidences.tolist() == pytest.approx([0.99, 0.99])
    np.testing.assert_allclose(both.landmarks[1].numpy(), inside.to_photograph(TEMPLATE), rtol=1e-6)


@pytest.mark.parametrize("which", ["largest", "all"])
def test_no_face(which):
    found = find_faces(photograph(0), Fixed(), which)
    shapes = [tuple(values.shape) for values in (found.crops, found.boxes, found.landmarks, found.confidences)]
    assert shapes == [(0, 3, 512, 512), (0, 4), (0, 5, 2), (0,)]


@pytest.mark.parametrize(
    "found",
    [
        None,
        Detections(np.zeros((1, 5)), np.zeros((1, 5, 2)), np.zeros(1)),
        Detections(np.zeros((2, 4)), np.zeros((1, 5, 2)), np.zeros(1)),
        Detections(np.zeros((1, 4)), np.zeros((1, 10)), np.zeros(1)),
        Detections(np.zeros((1, 4)), np.full((1, 5, 2), np.nan), np.zeros(1)),
    ],
)
def test_a_detector_that_gives_something_else(found):
    detector = Fixed()
    detector.found = found
    with pytest.raises(ValueError, match=r"Fixed object.* must find boxes \(K, 4\), landmarks \(K, 5, 2\)"):
        find_faces(photograph(0), detector, "all")


def test_landmarks_that_cannot_be_aligned():
    detector = Fixed(Face(scale=0))
    with pytest.raises(RuntimeError, match="OpenCV cannot align the faces of an image of 128x96 pixels"):
        find_faces(photograph(0), detector, "all")


def test_without_facexlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "facexlib.utils.face_restoration_helper", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'topiq-metrics\[face\]'"):
        find_faces(photograph(0), Fixed(Face()), "all")
