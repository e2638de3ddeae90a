"""MS-SSIM's maps, a distance to compare with: torchmetrics' SSIM, scale by scale.

Wang, Simoncelli, Bovik. "Multi-scale structural similarity for image quality assessment". Asilomar 2003.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from topiq_metrics.errors import ImageTooSmallError
from topiq_metrics.explaining.maps import LevelMap
from topiq_metrics.explaining.passes import Findings

BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, fine to coarse."""

MIN_SIDE = 176
"""The shortest side that torchmetrics takes, in pixels."""

BORDER = 5
"""Cells at the edges that torchmetrics leaves out of contrast and structure: half of its window of 11."""

# A constant so large that its term of SSIM rounds to 1 and the other term is left; a power of 2 adds no rounding.
_WITHOUT = 2.0**20

# Beside a loss as large as this one, the others are nothing; a smaller one than that is none.
_ENDLESS, _ROUNDING = 1e9, 1e-6


def explain_ms_ssim(image: Tensor, reference: Tensor) -> Findings:
    """How alike an image and its reference ``(1, 3, H, W)`` are in contrast and structure, at each of five scales.

    A map is the mean over R, G and B of the cells that count. At the last scale, whose factor is the whole SSIM, there
    are its luminance and that SSIM, too.

    Raises:
        ImageTooSmallError: if a side is shorter than 176 pixels.
    """
    height, width = image.shape[-2:]
    if min(height, width) < MIN_SIDE:
        raise ImageTooSmallError(f"MS-SSIM needs {MIN_SIDE} px a side, but the image has {width}x{height}.")
    maps = []
    losses = []
    for level, beta in enumerate(BETAS, start=1):
        if level > 1:
            image, reference = F.avg_pool2d(image, 2), F.avg_pool2d(reference, 2)
        stride = 2 ** (level - 1)
        is_last = level == len(BETAS)
        whole = {"contrast-structure": _ssim(image, reference, k1=_WITHOUT)}
        if is_last:
            whole |= {"luminance": _ssim(image, reference, k2=_WITHOUT), "similarity": _ssim(image, reference)}
        border = 0 if is_last else BORDER
        for kind, values in whole.items():
            rows, columns = values.shape
            inner = values[border : rows - border, border : columns - border].float().cpu().numpy()
            edge = border * stride
            box = (edge / width, edge / height, (columns * stride - edge) / width, (rows * stride - edge) / height)
            maps.append(LevelMap(kind, level, stride, inner, box))
        # Factors multiply, so their logarithms add up.
        factor = float(maps[-1].values.mean(dtype=np.float64))
        losses.append(-beta * math.log(factor) if factor > 0 else math.inf)
    finite = [min(max(loss, 0.0), _ENDLESS) for loss in losses]
    total = sum(finite)
    counting = ["contrast-structure"] * (len(BETAS) - 1) + ["similarity"]
    shares = [loss / total if total > _ROUNDING else 0.0 for loss in finite]
    counted = [replace(m, share=shares[m.level - 1]) if m.kind == counting[m.level - 1] else m for m in maps]
    return Findings(math.exp(-sum(losses)), counted)


def _ssim(image: Tensor, reference: Tensor, k1: float = 0.01, k2: float = 0.03) -> Tensor:
    """The mean over the channels of SSIM's map, ``(h, w)``."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    _, full = structural_similarity_index_measure(
        image, reference, data_range=1.0, k1=k1, k2=k2, return_full_image=True
    )
    mean: Tensor = full[0].mean(dim=0)
    return mean
