"""Alignment of faces to the pose, size and position that the networks expect, by facexlib."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from topiq_metrics._extras import missing
from topiq_metrics.catalog.cards import FACE_SIDE

# Where eyes, nose and corners of the mouth are in an aligned face (x, y): those of FFHQ, as facexlib has them inside
# the constructor of its helper.
_TEMPLATE = (
    (192.98138, 239.94708),
    (318.90277, 240.1936),
    (256.63416, 314.01935),
    (201.26117, 371.41043),
    (313.08905, 371.15118),
)


def align_faces(image: npt.NDArray[np.float32], landmarks: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Crop faces from an image so that their landmarks lie as in FFHQ.

    As facexlib's ``align_warp_face``: a similarity transform (rotation, scale, shift) by least median of squares, with
    bilinear interpolation; grey where the crop reaches beyond the image.

    Args:
        image: ``(H, W, 3)``, BGR, float32.
        landmarks: ``(K, 5, 2)``, x and y in pixels of left eye, right eye, nose, left and right corner of the mouth,
            as the viewer sees them.

    Returns:
        ``(K, 512, 512, 3)``, BGR, float32.

    Raises:
        RuntimeError: if no similarity transform fits the landmarks, or the image is too large for OpenCV.
        ModuleNotFoundError: if facexlib is not installed.
    """
    helper = make_helper(image)
    helper.all_landmarks_5 = list(landmarks)
    try:
        helper.align_warp_face()
    except load_facexlib().cv2.error as error:
        height, width = image.shape[:2]
        raise RuntimeError(
            f"OpenCV cannot align the faces of an image of {width}x{height} pixels: {error.err}."
        ) from error
    crops = np.empty((len(landmarks), FACE_SIDE, FACE_SIDE, 3), dtype=np.float32)
    for crop, face in zip(crops, helper.cropped_faces, strict=True):
        crop[...] = face
    return crops


def make_helper(image: npt.NDArray[Any]) -> Any:
    """Make facexlib's helper for an image ``(H, W, 3)``, BGR, without the networks that its constructor downloads."""
    helper_class = load_facexlib().FaceRestoreHelper
    helper = helper_class.__new__(helper_class)
    helper.clean_all()
    helper.template_3points = helper.pad_blur = False
    helper.face_size = (FACE_SIDE, FACE_SIDE)
    helper.face_template = np.array(_TEMPLATE)
    helper.input_img = image
    return helper


def load_facexlib() -> Any:
    """Import the part of facexlib that finds and aligns faces.

    Raises:
        ModuleNotFoundError: if it is not installed; the message has the command that installs it.
    """
    try:
        # It greets an import with warnings of what it imports itself.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module("facexlib.utils.face_restoration_helper")
    except ModuleNotFoundError as error:
        raise missing(
            "face", f"Faces in photographs need the extra ({error.name} is not installed)", error.name
        ) from error
