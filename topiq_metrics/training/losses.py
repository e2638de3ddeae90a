"""Losses by their names in the field; each takes scores ``(N,)`` and is 0 for perfect predictions."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor


def mse(predictions: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error."""
    return F.mse_loss(predictions, targets)


def nin(predictions: Tensor, targets: Tensor) -> Tensor:
    """Norm-in-norm, p = 1, q = 2 (Li, Jiang, Jiang. "Norm-in-Norm Loss with Faster Convergence …", ACM MM 2020).

    Both batches are centred and divided by their L2 norm; the result is their L1 distance over ``2 sqrt(N)``, in
    [0, 1]. A batch of one image, or of equal scores, has no direction: its normalised scores are 0.
    """
    distance = (_unit(predictions) - _unit(targets)).abs().sum()
    return distance / (2 * math.sqrt(predictions.numel()))


def rank(better: Tensor, worse: Tensor, margin: Tensor) -> Tensor:
    """Pairwise hinge: mean of ``max(0, margin - (better - worse))``; 0 for no pairs.

    Liu, van de Weijer, Bagdanov. "RankIQA: Learning from Rankings for No-Reference Image Quality Assessment",
    ICCV 2017.
    """
    if better.numel() == 0:
        return better.sum()
    return F.relu(margin - (better - worse)).mean()


def _unit(scores: Tensor) -> Tensor:
    centred = scores - scores.mean()
    # The floor is inside the root: a constant batch then has finite gradients.
    return centred / (centred.square().sum() + 1e-12).sqrt()
