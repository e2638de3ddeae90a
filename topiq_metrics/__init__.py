"""Image quality assessment with the TOPIQ family: torchmetrics metrics, functions and a command line.

The public names load what they need when they are first used: importing the package imports neither torch nor
anything else that is heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from topiq_metrics._arrival import when_imported
from topiq_metrics._lazy import lazy_names
from topiq_metrics._version import __version__

if TYPE_CHECKING:
    from topiq_metrics.catalog import ModelCard, get_card
    from topiq_metrics.comparing import RankedImage, rank_images
    from topiq_metrics.explaining import Explanation, QualityMap, explain, quality_map
    from topiq_metrics.functional import (
        FaceScores,
        lpips_plus,
        topiq_aesthetic,
        topiq_face,
        topiq_faces,
        topiq_full_reference,
        topiq_no_reference,
    )
    from topiq_metrics.images import SizePolicy, load_image
    from topiq_metrics.metrics import (
        FittedPearsonCorrCoef,
        FittedRootMeanSquaredError,
        LPIPSPlus,
        TOPIQAesthetic,
        TOPIQFace,
        TOPIQFullReference,
        TOPIQNoReference,
        TwoAlternativeForcedChoice,
    )
    from topiq_metrics.registry import create_metric, list_metrics
    from topiq_metrics.scoring import ScoreRow, score_images

__all__ = [
    "Explanation",
    "FaceScores",
    "FittedPearsonCorrCoef",
    "FittedRootMeanSquaredError",
    "LPIPSPlus",
    "ModelCard",
    "QualityMap",
    "RankedImage",
    "ScoreRow",
    "SizePolicy",
    "TOPIQAesthetic",
    "TOPIQFace",
    "TOPIQFullReference",
    "TOPIQNoReference",
    "TwoAlternativeForcedChoice",
    "__version__",
    "create_metric",
    "explain",
    "get_card",
    "list_metrics",
    "load_image",
    "lpips_plus",
    "quality_map",
    "rank_images",
    "score_images",
    "topiq_aesthetic",
    "topiq_face",
    "topiq_faces",
    "topiq_full_reference",
    "topiq_no_reference",
]

_HOMES = {
    "Explanation": "explaining",
    "FaceScores": "functional",
    "FittedPearsonCorrCoef": "metrics",
    "FittedRootMeanSquaredError": "metrics",
    "LPIPSPlus": "metrics",
    "ModelCard": "catalog",
    "QualityMap": "explaining",
    "RankedImage": "comparing",
    "ScoreRow": "scoring",
    "SizePolicy": "images",
    "TOPIQAesthetic": "metrics",
    "TOPIQFace": "metrics",
    "TOPIQFullReference": "metrics",
    "TOPIQNoReference": "metrics",
    "TwoAlternativeForcedChoice": "metrics",
    "create_metric": "registry",
    "explain": "explaining",
    "get_card": "catalog",
    "list_metrics": "registry",
    "load_image": "images",
    "lpips_plus": "functional",
    "quality_map": "explaining",
    "rank_images": "comparing",
    "score_images": "scoring",
    "topiq_aesthetic": "functional",
    "topiq_face": "functional",
    "topiq_faces": "functional",
    "topiq_full_reference": "functional",
    "topiq_no_reference": "functional",
}

__getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)


def _add_names_to_pyiqa() -> None:
    from topiq_metrics.plugins.pyiqa import add_names

    add_names()


# pyiqa asks its plug-ins for networks only, and looks into its own list of names before.
when_imported("pyiqa", _add_names_to_pyiqa)
