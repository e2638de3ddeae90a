"""From a photograph to its aligned faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from topiq_metrics.faces.alignment import align_faces, load_facexlib
from topiq_metrics.faces.detection import Detections, FaceDetector

Which: TypeAlias = Literal["largest", "all"]


@dataclass(frozen=True, eq=False)
class Faces:
    """The K faces of a photograph; K may be 0.

    Attributes:
        crops: the aligned faces, ``(K, 3, 512, 512)``, RGB in [0, 1], float32, on the photograph's device.
        boxes: ``(K, 4)``: left, top, right, bottom, in pixels of the photograph; on the CPU.
        landmarks: ``(K, 5, 2)``, as in `Detections`; on the CPU.
        confidences: ``(K,)``, in [0, 1]; on the CPU.
    """

    crops: Tensor
    boxes: Tensor
    landmarks: Tensor
    confidences: Tensor


def find_faces(photograph: Tensor, detector: FaceDetector, which: Which) -> Faces:
    """Find, align and crop the faces of a photograph; not differentiable.

    The detector gets the pixels as 8-bit integers; the crops are made from the original values.

    Args:
        photograph: ``(3, H, W)``, RGB in [0, 1], floating point.
        detector: finds the faces.
        which: ``"all"`` in the detector's order, or the ``"largest"``, by the area of its box inside the photograph.

    Raises:
        ValueError: if the detector's result is not as described in `Detections`.
        RuntimeError: if the faces cannot be aligned.
        ModuleNotFoundError: if facexlib is not installed.
    """
    rgb = photograph.detach().to("cpu", torch.float32).permute(1, 2, 0).numpy()
    bgr = np.ascontiguousarray(rgb[..., ::-1]) * np.float32(255)
    found = _check(detector.detect(bgr.round().clip(0, 255).astype(np.uint8)), detector)
    if which == "largest" and len(found.boxes) > 1:
        _, index = load_facexlib().get_largest_face(found.boxes, *bgr.shape[:2])
        found = Detections(*(values[index : index + 1] for values in found))
    crops = align_faces(bgr, found.landmarks)[..., ::-1] / np.float32(255)
    tensor = torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2)))
    boxes, landmarks, confidences = (torch.from_numpy(values) for values in found)
    return Faces(tensor.to(photograph.device), boxes, landmarks, confidences)


def _check(found: object, detector: FaceDetector) -> Detections:
    arrays: list[npt.NDArray[np.float32]] = []
    if isinstance(found, tuple) and len(found) == len(Detections._fields):
        arrays = [np.array(values, dtype=np.float32) for values in found]
    count = arrays[2].shape[0] if arrays and arrays[2].ndim == 1 else -1
    shapes = [values.shape for values in arrays]
    if shapes != [(count, 4), (count, 5, 2), (count,)] or not all(np.isfinite(values).all() for values in arrays):
        got = shapes or type(found).__name__
        raise ValueError(
            f"{detector!r} must find boxes (K, 4), landmarks (K, 5, 2) and confidences (K,), all finite, but got {got}."
        )
    return Detections(*arrays)
