"""Losses by their names in the field. Each is 0 for perfect predictions, and finite, with its gradient, everywhere.

All but `emd` take scores ``(N,)``. `nin`, `plcc`, `pairwise_rank` and `rank` couple the images of a batch: over several
processes they are of the whole batch (see `topiq_metrics.training.gathering`).
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor


def mse(predictions: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error, from 0 up."""
    return F.mse_loss(predictions, targets)


def nin(predictions: Tensor, targets: Tensor) -> Tensor:
    """Norm-in-norm, p = 1, q = 2 (Li, Jiang, Jiang. "Norm-in-Norm Loss with Faster Convergence …", ACM MM 2020).

    Both batches are centred and divided by their L2 norm; the result is their L1 distance over ``2 sqrt(N)``, in
    [0, 1]. A batch of one image, or of equal scores, has no direction: its normalised scores are 0.
    """
    distance = (_unit(predictions) - _unit(targets)).abs().sum()
    return distance / (2 * math.sqrt(predictions.numel()))


def plcc(predictions: Tensor, targets: Tensor) -> Tensor:
    """``(1 - PLCC) / 2``, in [0, 1].

    Li, Jiang, Jiang. "Unified Quality Assessment of In-the-Wild Videos with Mixed Datasets Training", IJCV 129, 2021.
    A batch of one image, or of equal scores, has no correlation: 1/2, without a gradient to speak of.
    """
    return (1 - (_unit(predictions) * _unit(targets)).sum()) / 2


def pairwise_rank(predictions: Tensor, targets: Tensor) -> Tensor:
    """Mean over all pairs i, j of ``max(0, |tᵢ - tⱼ| - sign(tᵢ - tⱼ) (pᵢ - pⱼ))``, from 0 up.

    It is 0 where each two predictions are in the right order and at least as far apart as their targets. Wen, Wang. "A
    Strong Baseline for Image and Video Quality Assessment", arXiv 2111.07104, 2021. Pairs of equal targets, and an
    image with itself, add nothing.
    """
    apart = targets[:, None] - targets
    return F.relu(apart.abs() - apart.sign() * (predictions[:, None] - predictions)).mean()


def rank(better: Tensor, worse: Tensor, margin: Tensor) -> Tensor:
    """Pairwise hinge: mean of ``max(0, margin - (better - worse))``, from 0 up; 0 for no pairs.

    Liu, van de Weijer, Bagdanov. "RankIQA: Learning from Rankings for No-Reference Image Quality Assessment",
    ICCV 2017.
    """
    if better.numel() == 0:
        return better.sum()
    return F.relu(margin - (better - worse)).mean()


def emd(predictions: Tensor, targets: Tensor, r: int = 2) -> Tensor:
    """Earth mover's distance of distributions over ordered ratings, ``(N, K)`` each: mean over images, in [0, 1].

    ``(1/K Σₖ |CDF_p(k) - CDF_t(k)|^r)^(1/r)``: Hou, Yu, Samaras. "Squared Earth Mover's Distance-based Loss for
    Training Deep Neural Networks", arXiv 1611.05916, 2016; as Talebi, Milanfar. "NIMA", IEEE TIP 27, 2018, have it.

    Args:
        predictions: shares of the ratings 1…K, which add up to 1.
        targets: likewise.
        r: 1 or 2.
    """
    difference = (predictions.cumsum(dim=1) - targets.cumsum(dim=1)).abs()
    if r == 1:
        return difference.mean()
    # The floor is inside the root: equal distributions then have finite gradients. What it adds is taken off again.
    floor = 1e-16
    distance = (difference.square().mean(dim=1) + floor).sqrt() - math.sqrt(floor)
    return distance.mean()


def _unit(scores: Tensor) -> Tensor:
    centred = scores - scores.mean()
    # The floor is inside the root: a constant batch then has finite gradients.
    return centred / (centred.square().sum() + 1e-12).sqrt()
