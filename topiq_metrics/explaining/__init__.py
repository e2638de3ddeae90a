"""Beside a score, why: the maps that it is made of, as arrays and as pictures."""

from topiq_metrics.explaining.explanation import Explanation
from topiq_metrics.explaining.maps import LevelMap
from topiq_metrics.explaining.run import MS_SSIM, explain

__all__ = ["MS_SSIM", "Explanation", "LevelMap", "explain"]
