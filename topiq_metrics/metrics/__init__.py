"""The torchmetrics metrics."""

from topiq_metrics.metrics.topiq import TOPIQAesthetic, TOPIQFullReference, TOPIQNoReference

__all__ = ["TOPIQAesthetic", "TOPIQFullReference", "TOPIQNoReference"]
