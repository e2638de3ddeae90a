"""Which of several images is best, as far as a metric can tell, and where they differ."""

from __future__ import annotations

from topiq_metrics.comparing.outputs import check_comparison_folder, save_comparison
from topiq_metrics.comparing.pictures import find_pictures
from topiq_metrics.comparing.ranking import RankedImage, rank_images

__all__ = ["RankedImage", "check_comparison_folder", "find_pictures", "rank_images", "save_comparison"]
