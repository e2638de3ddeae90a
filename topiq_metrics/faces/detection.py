"""Detection of faces in photographs."""

from __future__ import annotations

import importlib
import os
import threading
import warnings
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch

from topiq_metrics.catalog.cards import FACE_DETECTOR
from topiq_metrics.errors import WeightsMismatchError
from topiq_metrics.faces.alignment import load_facexlib, make_helper
from topiq_metrics.models.network import float32_by_default
from topiq_metrics.weights.checkpoints import read_state
from topiq_metrics.weights.resolve import resolve
from topiq_metrics.weights.sharing import HOLDINGS, canonical_device, file_identity

_MIN_EYE_DISTANCE = 5


class Detections(NamedTuple):
    """The K faces of a photograph; coordinates are in its pixels, and a box may reach beyond its edge.

    Attributes:
        boxes: ``(K, 4)``: left, top, right, bottom.
        landmarks: ``(K, 5, 2)``: x and y of left eye, right eye, nose, left and right corner of the mouth, as the
            viewer sees them.
        confidences: ``(K,)``, in [0, 1].
    """

    boxes: npt.NDArray[Any]
    landmarks: npt.NDArray[Any]
    confidences: npt.NDArray[Any]


class FaceDetector(Protocol):
    """Interface of a face detector.

    Detectors with different results must have a different ``repr``: metrics are told apart by it.
    """

    def detect(self, image: npt.NDArray[np.uint8]) -> Detections:
        """Find the faces of a photograph ``(H, W, 3)``, uint8, BGR, as OpenCV reads it."""
        ...


class FacexlibDetector:
    """RetinaFace with a ResNet-50, as in facexlib: faces with a confidence above 0.97, in descending order.

    The photograph is searched at its own size. Faces whose eyes are less than 5 pixels apart, because they are small or
    seen from the side, are left out.

    Args:
        weights: path of ``detection_Resnet50_Final.pth``, or a state dict with its keys.
        device: where to run.

    Raises:
        ModuleNotFoundError: if facexlib is not installed.
        WeightsError: if the weights cannot be read or do not fit.

    References:
        Deng et al. "RetinaFace: Single-Shot Multi-Level Face Localisation in the Wild". CVPR 2020.
    """

    def __init__(self, weights: str | os.PathLike[str], *, device: torch.device | str = "cpu") -> None:
        self.weights = Path(weights)
        self.device = canonical_device(device)
        self._network = _build(self.device)
        state = read_state(self.weights)
        try:
            self._network.load_state_dict(state)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise WeightsMismatchError(f"{weights} does not hold facexlib's face detector: {reason[:300]}") from None
        self._network.requires_grad_(False)
        self._lock = threading.Lock()

    def detect(self, image: npt.NDArray[np.uint8]) -> Detections:
        helper = make_helper(image)
        helper.face_det = self._network
        # The network notes the size of the image in itself while it runs.
        with self._lock, float32_by_default(), torch.autocast(self.device.type, enabled=False):
            helper.get_face_landmarks_5(eye_dist_threshold=_MIN_EYE_DISTANCE)
        found = np.array(helper.det_faces, dtype=np.float32).reshape(-1, 5)
        landmarks = np.array(helper.all_landmarks_5, dtype=np.float32).reshape(-1, 5, 2)
        return Detections(found[:, :4], landmarks, found[:, 4])

    def __repr__(self) -> str:
        return f"FacexlibDetector({str(self.weights)!r})"

    def __deepcopy__(self, memo: dict[int, Any]) -> FacexlibDetector:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())


def shared_detector(device: torch.device | str = "cpu") -> FacexlibDetector:
    """Facexlib's detector with its published weights; all callers with the same device share one.

    Args:
        device: where to run.

    Raises:
        ModuleNotFoundError: if facexlib is not installed.
        WeightsError: if the weights cannot be found or loaded.
    """
    load_facexlib()
    path = resolve(FACE_DETECTOR)
    key = (FACE_DETECTOR, file_identity(path), canonical_device(device))
    return HOLDINGS.share(key, lambda: FacexlibDetector(path, device=device))


def recent_detector(device: torch.device | str = "cpu") -> FacexlibDetector:
    """As `shared_detector`, for somebody who does not hold it: it stays in memory until others have been used."""
    detector = shared_detector(device)
    HOLDINGS.keep(detector)
    return detector


def _build(device: torch.device) -> Any:
    load_facexlib()
    # An initialisation that is thrown away must not advance the user's random numbers.
    with float32_by_default(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # It calls torchvision in an outdated way.
        warnings.simplefilter("ignore")
        return importlib.import_module("facexlib.detection").RetinaFace(device=device)
