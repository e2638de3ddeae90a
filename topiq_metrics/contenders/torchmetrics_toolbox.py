"""The image metrics of torchmetrics."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from topiq_metrics.catalog import Mode
from topiq_metrics.contenders.base import SCORES_SETS, ToolboxMetric, ToolboxPredictor, toolbox_metric
from topiq_metrics.images.size import MIN_SIDE

_PAN_SHARPENING = "it scores pan-sharpening, from images of several resolutions"
_GREY = "luma (ITU-R BT.601) in [0, 1]"
_BYTES = "RGB in 0 … 255"
_LUMA = (0.299, 0.587, 0.114)
_LPIPS = "image.lpip:LearnedPerceptualImagePatchSimilarity"
_RANGE = (("data_range", 1.0),)


@dataclass(frozen=True)
class _Metric:
    """One of torchmetrics' functions, or a class where it has a network.

    A class keeps states, not all of which its ``reset`` resets (1.9: RootMeanSquaredErrorUsingSlidingWindow).

    Attributes:
        home: ``module:name`` below torchmetrics.
        arguments: of the function or class.
        grey: it takes images of one channel only.
        bytes: it takes values in 0 … 255, and cannot be told otherwise: VIF's noise variance of 2 is in their units.
        late: it looks for its weights when it is called first.
    """

    home: str
    mode: Mode
    higher_is_better: bool
    arguments: tuple[tuple[str, Any], ...] = ()
    least_side: int = MIN_SIDE
    grey: bool = False
    bytes: bool = False
    late: bool = False


_METRICS = {
    "psnr": _Metric("functional.image:peak_signal_noise_ratio", "FR", True, _RANGE),
    "psnrb": _Metric("functional.image:peak_signal_noise_ratio_with_blocked_effect", "FR", True, _RANGE, grey=True),
    "ssim": _Metric("functional.image:structural_similarity_index_measure", "FR", True, _RANGE),
    "ms_ssim": _Metric(
        "functional.image:multiscale_structural_similarity_index_measure", "FR", True, _RANGE, least_side=176
    ),
    "uqi": _Metric("functional.image:universal_image_quality_index", "FR", True),
    "vif": _Metric("functional.image:visual_information_fidelity", "FR", True, least_side=41, bytes=True),
    "scc": _Metric("functional.image:spatial_correlation_coefficient", "FR", True),
    "ergas": _Metric("functional.image:error_relative_global_dimensionless_synthesis", "FR", False),
    "sam": _Metric("functional.image:spectral_angle_mapper", "FR", False),
    "rase": _Metric("functional.image:relative_average_spectral_error", "FR", False),
    "rmse_sw": _Metric("functional.image:root_mean_squared_error_using_sliding_window", "FR", False),
    # torchmetrics says that higher is better, but it is a distance: 0 for equal images.
    "d_lambda": _Metric("functional.image:spectral_distortion_index", "FR", False),
    "lpips": _Metric(_LPIPS, "FR", False, (("net_type", "alex"), ("normalize", True))),
    "lpips-vgg": _Metric(_LPIPS, "FR", False, (("net_type", "vgg"), ("normalize", True))),
    "lpips-squeeze": _Metric(_LPIPS, "FR", False, (("net_type", "squeeze"), ("normalize", True))),
    "dists": _Metric("functional.image:deep_image_structure_and_texture_similarity", "FR", False, late=True),
    "total_variation": _Metric("functional.image:total_variation", "NR", False),
    "arniqa": _Metric("image.arniqa:ARNIQA", "NR", True, (("regressor_dataset", "koniq10k"),)),
    "arniqa-kadid10k": _Metric("image.arniqa:ARNIQA", "NR", True, (("regressor_dataset", "kadid10k"),)),
    "clip_iqa": _Metric("multimodal.clip_iqa:CLIPImageQualityAssessment", "NR", True, _RANGE),
}
_UNFIT: dict[str, tuple[Mode, bool, str]] = {
    "fid": ("FR", False, SCORES_SETS),
    "kid": ("FR", False, SCORES_SETS),
    "mifid": ("FR", False, SCORES_SETS),
    "inception_score": ("NR", True, SCORES_SETS),
    "d_s": ("FR", False, _PAN_SHARPENING),
    "qnr": ("FR", True, _PAN_SHARPENING),
    "perceptual_path_length": ("NR", False, "it scores a generator, not an image"),
    "clip_score": ("NR", True, "it scores how well a caption describes the image"),
}


def metrics() -> list[ToolboxMetric]:
    usable = [
        toolbox_metric(
            "torchmetrics",
            name,
            metric.mode,
            metric.higher_is_better,
            least_side=metric.least_side,
            **({"takes": _GREY} if metric.grey else {"takes": _BYTES} if metric.bytes else {}),
        )
        for name, metric in _METRICS.items()
    ]
    unfit = [
        toolbox_metric("torchmetrics", name, mode, higher, unavailable=reason)
        for name, (mode, higher, reason) in _UNFIT.items()
    ]
    return usable + unfit


def open_metric(metric: ToolboxMetric, device: torch.device, _weights: object) -> ToolboxPredictor:
    known = _METRICS[metric.name_in_toolbox]
    module, _, name = known.home.partition(":")
    home = getattr(importlib.import_module(f"torchmetrics.{module}"), name)
    options = dict(known.arguments)
    network: Metric | None = None
    if isinstance(home, type):
        network, options = home(**options).to(device), {}
    luma = torch.tensor(_LUMA, device=device).view(3, 1, 1)

    def score(image: Tensor, reference: Tensor | None) -> Any:
        inputs = [image] if reference is None else [image, reference]
        if known.grey:
            inputs = [(x * luma).sum(dim=1, keepdim=True) for x in inputs]
        if known.bytes:
            inputs = [x * 255 for x in inputs]
        if network is None:
            return home(*inputs, **options)
        try:
            return network(*inputs)
        finally:
            network.reset()

    if known.late:
        score(*torch.rand(2, 1, 3, 64, 64, device=device))
    return ToolboxPredictor(metric, score, device, network)
