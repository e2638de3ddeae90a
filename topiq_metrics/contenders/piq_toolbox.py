"""The metrics of piq."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from topiq_metrics.catalog import Mode
from topiq_metrics.contenders.base import SCORES_SETS, ToolboxMetric, ToolboxPredictor, require, toolbox_metric
from topiq_metrics.images.size import MIN_SIDE


@dataclass(frozen=True)
class _Metric:
    """A function of piq, or a class.

    Attributes:
        call: its name.
        ranged: it is told that images are in [0, 1]; the others take it for granted.
        late: it looks for its weights when it is called.
    """

    call: str
    mode: Mode
    higher_is_better: bool
    least_side: int = MIN_SIDE
    ranged: bool = True
    late: bool = False


_METRICS = {
    "psnr": _Metric("psnr", "FR", True),
    "ssim": _Metric("ssim", "FR", True),
    "multi_scale_ssim": _Metric("multi_scale_ssim", "FR", True, least_side=161),
    "information_weighted_ssim": _Metric("information_weighted_ssim", "FR", True, least_side=161),
    "vif_p": _Metric("vif_p", "FR", True, least_side=41),
    "fsim": _Metric("fsim", "FR", True),
    "srsim": _Metric("srsim", "FR", True, least_side=40),
    "gmsd": _Metric("gmsd", "FR", False),
    "multi_scale_gmsd": _Metric("multi_scale_gmsd", "FR", False),
    "vsi": _Metric("vsi", "FR", True),
    "haarpsi": _Metric("haarpsi", "FR", True),
    "mdsi": _Metric("mdsi", "FR", False),
    "dss": _Metric("dss", "FR", True),
    "pieapp": _Metric("PieAPP", "FR", False),
    "lpips": _Metric("LPIPS", "FR", False, ranged=False),
    "dists": _Metric("DISTS", "FR", False, ranged=False),
    # Made to train with, but they do give a pair of images a distance.
    "content_loss": _Metric("ContentLoss", "FR", False, ranged=False),
    "style_loss": _Metric("StyleLoss", "FR", False, ranged=False),
    "brisque": _Metric("brisque", "NR", False, late=True),
    "total_variation": _Metric("total_variation", "NR", False, ranged=False),
    "clip_iqa": _Metric("CLIPIQA", "NR", True),
}
_SETS = {"fid": False, "gs": False, "is": False, "kid": False, "msid": False, "pr": True}
"""By name, whether higher is better."""


def metrics() -> list[ToolboxMetric]:
    """List piq's metrics.

    Raises:
        ModuleNotFoundError: if piq is not installed.
    """
    require("piq", "benchmarks")
    usable = [
        toolbox_metric("piq", name, metric.mode, metric.higher_is_better, least_side=metric.least_side)
        for name, metric in _METRICS.items()
    ]
    return usable + [
        toolbox_metric("piq", name, "FR", higher, unavailable=SCORES_SETS) for name, higher in _SETS.items()
    ]


def open_metric(metric: ToolboxMetric, device: torch.device, _weights: object) -> ToolboxPredictor:
    import piq

    known = _METRICS[metric.name_in_toolbox]
    options = {"data_range": 1.0} if known.ranged else {}
    theirs = getattr(piq, known.call)
    network: nn.Module | None = None
    if isinstance(theirs, type):
        theirs, options = theirs(**options).to(device).eval(), {}
        network = theirs

    def score(image: Tensor, reference: Tensor | None) -> Any:
        return theirs(image, **options) if reference is None else theirs(image, reference, **options)

    if known.late:
        score(torch.rand(1, 3, 64, 64, device=device), None)
    return ToolboxPredictor(metric, score, device, network)
