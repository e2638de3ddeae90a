"""The torchmetrics metrics."""

from topiq_metrics.metrics.agreement import (
    FittedPearsonCorrCoef,
    FittedRootMeanSquaredError,
    TwoAlternativeForcedChoice,
)
from topiq_metrics.metrics.face import TOPIQFace
from topiq_metrics.metrics.lpips import LPIPSPlus
from topiq_metrics.metrics.topiq import TOPIQAesthetic, TOPIQFullReference, TOPIQNoReference

__all__ = [
    "FittedPearsonCorrCoef",
    "FittedRootMeanSquaredError",
    "LPIPSPlus",
    "TOPIQAesthetic",
    "TOPIQFace",
    "TOPIQFullReference",
    "TOPIQNoReference",
    "TwoAlternativeForcedChoice",
]
