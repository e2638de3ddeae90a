"""Explanations of a score: quality maps, and the maps inside a network, as arrays and as pictures."""

from topiq_metrics.explaining.explanation import Explanation
from topiq_metrics.explaining.local_quality import QualityMap
from topiq_metrics.explaining.maps import LevelMap
from topiq_metrics.explaining.quality import quality_map
from topiq_metrics.explaining.run import MS_SSIM, explain

__all__ = ["MS_SSIM", "Explanation", "LevelMap", "QualityMap", "explain", "quality_map"]
