"""The functional twins of the metrics: stateless and differentiable."""

from topiq_metrics.functional.face import FaceScores, topiq_face, topiq_faces
from topiq_metrics.functional.lpips import lpips_plus
from topiq_metrics.functional.topiq import topiq_aesthetic, topiq_full_reference, topiq_no_reference

__all__ = [
    "FaceScores",
    "lpips_plus",
    "topiq_aesthetic",
    "topiq_face",
    "topiq_faces",
    "topiq_full_reference",
    "topiq_no_reference",
]
