"""Faces in photographs: found by a detector, aligned and cropped as the face metrics were trained on.

Detection by default, and alignment always, are facexlib's; it comes with the extra ``face`` and is imported when a
photograph is searched, not before.
"""

from topiq_metrics.faces.alignment import FACE_SIDE, align_faces, load_facexlib
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
