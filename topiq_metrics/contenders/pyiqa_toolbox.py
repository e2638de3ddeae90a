"""The metrics of pyiqa."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from topiq_metrics.contenders.base import SCORES_SETS, ToolboxMetric, ToolboxPredictor, require, toolbox_metric
from topiq_metrics.images.size import MIN_SIDE

_FACE = "it scores a face, not a photograph"
_OTHER_TASKS = {
    "clipscore": "it scores how well a caption describes the image",
    "fgresq_pair": "it ranks two images, neither of which is a reference",
}
_LEAST_SIDES = {"cw_ssim": 64, "ms_ssim": 161, "vif": 33}


def metrics() -> list[ToolboxMetric]:
    """List pyiqa's metrics, without those that our plug-in adds.

    Raises:
        ModuleNotFoundError: if pyiqa is not installed.
    """
    require("pyiqa", "pyiqa")
    from pyiqa.default_model_configs import DEFAULT_CONFIGS

    from topiq_metrics.plugins.pyiqa import _CATALOGUE_ARCH as CATALOGUE_ARCH

    return [
        toolbox_metric(
            "pyiqa",
            name,
            row["metric_mode"],
            not row.get("lower_better", False),
            least_side=_LEAST_SIDES.get(name, MIN_SIDE),
            unavailable=_unfit(name, row["metric_opts"]["type"]),
        )
        for name, row in DEFAULT_CONFIGS.items()
        if row["metric_opts"]["type"] != CATALOGUE_ARCH
    ]


def open_metric(metric: ToolboxMetric, device: torch.device, _weights: object) -> ToolboxPredictor:
    import pyiqa

    with _their_networks():
        theirs = pyiqa.create_metric(metric.name_in_toolbox, device=device)

    def score(image: Tensor, reference: Tensor | None) -> Any:
        with _seeded(device):
            output = theirs(image, reference)
        return output[0] if isinstance(output, (tuple, list)) else output

    return ToolboxPredictor(metric, score, device, theirs.net)


def _unfit(name: str, network: str) -> str:
    if network in {"FID", "InceptionScore"}:
        return SCORES_SETS
    return _FACE if "-face" in name else _OTHER_TASKS.get(name, "")


@contextlib.contextmanager
def _their_networks() -> Iterator[None]:
    """Build TOPIQ with pyiqa's network, which our plug-in replaces by ours."""
    from pyiqa.archs.topiq_arch import CFANet
    from pyiqa.utils.registry import ARCH_REGISTRY

    active = ARCH_REGISTRY.get("CFANet")
    ARCH_REGISTRY.register(CFANet, name="CFANet", override=True)
    try:
        yield
    finally:
        ARCH_REGISTRY.register(active, name="CFANet", override=True)


@contextlib.contextmanager
def _seeded(device: torch.device) -> Iterator[None]:
    """Some metrics look at random crops: the score of an image must not depend on those before it."""
    state = np.random.get_state()  # noqa: NPY002 - the generator that pyiqa uses
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(0)
            np.random.seed(0)  # noqa: NPY002
            yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
