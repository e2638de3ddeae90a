"""The functional twins of the metrics: stateless and differentiable."""

from topiq_metrics.functional.topiq import topiq_aesthetic, topiq_full_reference, topiq_no_reference

__all__ = ["topiq_aesthetic", "topiq_full_reference", "topiq_no_reference"]
