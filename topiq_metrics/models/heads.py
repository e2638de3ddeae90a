"""What CFANet's last features become: a score, a distribution of ratings, or a score with 1 for equal images.

A head's layers give the raw output ``(N, K)``; `Head.score` tells what it means.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_UNSEEN = 2**-16
"""The mean absolute difference τ below which two images are all but the same: a 257th of a level of 8 bits."""

_BEND = 20.0
"""How sharply an anchored score bends below 1."""


class Head(nn.Sequential):
    """Two normalised and activated linear layers, and one to K numbers: ``(N, D) -> (N, K)``."""

    def __init__(self, dim: int, bins: int) -> None:
        super().__init__(
            nn.LayerNorm(dim),
            nn.Linear(dim, dim),
            nn.GELU(),
            nn.LayerNorm(dim),
            nn.Linear(dim, dim),
            nn.GELU(),
            nn.Linear(dim, bins),
        )

    def score(self, output: Tensor, image: Tensor | None = None, reference: Tensor | None = None) -> Tensor:
        """The scores ``(N,)`` that the raw output ``(N, K)`` for these images stands for."""
        raise NotImplementedError

    def distribution(self, output: Tensor) -> Tensor:  # noqa: ARG002
        """The share of each rating 1…K that the raw output stands for, ``(N, K)``.

        Raises:
            ValueError: if it stands for a score.
        """
        raise ValueError("This network predicts a score, not a distribution of ratings.")


class ScoreHead(Head):
    """The output is the score."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, 1)

    def score(self, output: Tensor, image: Tensor | None = None, reference: Tensor | None = None) -> Tensor:  # noqa: ARG002
        return output[:, 0]


class DistributionHead(Head):
    """The output is the logarithm, up to a constant, of the share of each rating 1…K; the score is the mean rating."""

    def score(self, output: Tensor, image: Tensor | None = None, reference: Tensor | None = None) -> Tensor:  # noqa: ARG002
        return expected_rating(self.distribution(output))

    def distribution(self, output: Tensor) -> Tensor:
        return output.softmax(dim=1)


class AnchoredHead(ScoreHead):
    """The output S is bent below 1, the score of an image that equals its reference.

        S' = 1 − (1 − exp(−Δ/τ)) · softplus(β (1 − S)) / β

    Δ is the mean absolute difference of image and reference, τ = 2⁻¹⁶ and β = 20. So S' is 1 for equal images and less
    for all others, and S' ≈ S where S is well below 1. Without images, it is S.
    """

    def score(self, output: Tensor, image: Tensor | None = None, reference: Tensor | None = None) -> Tensor:
        score = super().score(output)
        if image is None or reference is None:
            return score
        return self.anchored(score, self.difference(image, reference))

    @staticmethod
    def difference(image: Tensor, reference: Tensor) -> Tensor:
        """Δ of images ``(N, 3, H, W)`` and their references: ``(N,)``."""
        return (image - reference).abs().mean(dim=(1, 2, 3))

    @staticmethod
    def anchored(score: Tensor, difference: Tensor) -> Tensor:
        """S' for S and Δ, both ``(N,)``."""
        # Written so that exporters know every operator.
        return 1 - AnchoredHead.differs(difference) * F.softplus(_BEND * (1 - score)) / _BEND

    @staticmethod
    def differs(difference: Tensor) -> Tensor:
        """1 − exp(−Δ/τ): 0 where Δ is 0, and 1 where it is any that can be seen."""
        return 1 - torch.exp(-difference / _UNSEEN)


def expected_rating(distribution: Tensor) -> Tensor:
    """The mean rating Σ i·pᵢ of a distribution ``(N, K)`` over 1…K: ``(N,)``."""
    ratings = torch.arange(1, distribution.shape[1] + 1, dtype=distribution.dtype, device=distribution.device)
    return (distribution * ratings).sum(dim=1)
