"""Faces in photographs: found by a detector, aligned and cropped as the face metrics were trained on.

Alignment and, by default, detection are those of facexlib, which the extra ``face`` installs; it is imported when the
first photograph is searched.
"""

from topiq_metrics.catalog.cards import FACE_SIDE
from topiq_metrics.faces.alignment import align_faces, load_facexlib
from topiq_metrics.faces.detection import Detections, FaceDetector, FacexlibDetector, shared_detector
from topiq_metrics.faces.search import Faces, Which, find_faces

__all__ = [
    "FACE_SIDE",
    "Detections",
    "FaceDetector",
    "Faces",
    "FacexlibDetector",
    "Which",
    "align_faces",
    "find_faces",
    "load_facexlib",
    "shared_detector",
]
