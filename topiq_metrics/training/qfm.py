"""Quality-aware feature matching: train a network not to mind what an image shows, only how good it is.

After QFM-IQM: "Adaptive Feature Selection for No-Reference Image Quality Assessment by Mitigating Semantic Noise
Sensitivity", ICML 2024, arXiv 2312.06158. Images of similar quality that show different things are matched; the
difference of their features is semantic noise, to which a score should not be sensitive. The abstract fixes that
much; equations and settings are chosen here.

Features are ``(N, C, ...)``, one row for each image, and are matched by their means over places, ``(N, C)``: noise
moves all places of an image alike, so that images of different sizes can be matched. Scores are ``(N,)`` in the range
of the training targets.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Head = Callable[[Tensor], Tensor]
"""From features ``(N, C, ...)`` to scores ``(N,)``."""

UNMATCHED = -1


class FeatureQueue(nn.Module):
    """The mean features and scores of the last images, to match those of a batch with; a part of checkpoints.

    Args:
        length: the most images that it holds.
        channels: C.
    """

    def __init__(self, length: int, channels: int) -> None:
        super().__init__()
        if length < 1:
            raise ValueError(f"Argument `length` must be at least 1, but got {length}.")
        self._features: Tensor
        self._scores: Tensor
        self._count: Tensor
        self.register_buffer("_features", torch.zeros(length, channels))
        self.register_buffer("_scores", torch.zeros(length))
        self.register_buffer("_count", torch.zeros((), dtype=torch.long))

    @property
    def features(self) -> Tensor:
        """Of the images that it holds, ``(M, C)``."""
        return self._features[: len(self)]

    @property
    def scores(self) -> Tensor:
        """Of the same images, ``(M,)``."""
        return self._scores[: len(self)]

    def __len__(self) -> int:
        return min(int(self._count), len(self._scores))

    @torch.no_grad()
    def add(self, features: Tensor, scores: Tensor) -> None:
        """Take in a batch; the oldest images make room."""
        length = len(self._scores)
        features, scores = features.detach()[-length:], scores.detach()[-length:]
        places = (int(self._count) + torch.arange(len(scores), device=scores.device)) % length
        self._features[places] = features.to(self._features.dtype)
        self._scores[places] = scores.to(self._scores.dtype)
        self._count += len(scores)


def mean_features(features: Tensor) -> Tensor:
    """Over all places: ``(N, C, ...) -> (N, C)``, without a gradient."""
    means = features.detach()
    return means.flatten(2).mean(dim=2) if means.ndim > 2 else means


def match(
    features: Tensor,
    scores: Tensor,
    pool_features: Tensor,
    pool_scores: Tensor,
    *,
    max_score_difference: float,
    min_distance_quantile: float,
    generator: torch.Generator | None = None,
) -> Tensor:
    """For each image, one of the pool that is as good but shows something else.

    Of the images whose scores differ by δ at most, those are left whose features are farther away than a quantile of
    all distances to these; of what is left, one is drawn at random. The distance is ``1 - cosine``.

    Args:
        features: mean ones of the batch, ``(N, C)``.
        scores: of the batch, ``(N,)``.
        pool_features: those of the images to choose from, ``(M, C)``; the batch itself may be among them.
        pool_scores: ``(M,)``.
        max_score_difference: δ, in the units of the scores.
        min_distance_quantile: from 0 (any image) to below 1 (the farthest only).
        generator: of the draw; PyTorch's own if there is none.

    Returns:
        Indices into the pool, ``(N,)``; `UNMATCHED` where there is none.
    """
    if not 0 <= min_distance_quantile < 1:
        raise ValueError(
            f"Argument `min_distance_quantile` must be from 0 to below 1, but got {min_distance_quantile}."
        )
    # Half precision would not tell features apart that are near.
    with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
        directions, pool_directions = (nn.functional.normalize(f.float(), dim=1) for f in (features, pool_features))
        distances = 1 - directions @ pool_directions.T
        alike = (scores[:, None] - pool_scores).abs() <= max_score_difference
        # An image is no match for itself, or for its copy in the queue.
        alike &= distances > 1e-6
        if not alike.any():
            return torch.full((len(scores),), UNMATCHED, dtype=torch.long, device=scores.device)
        fitting = alike & (distances >= distances[alike].float().quantile(min_distance_quantile))
        draws = torch.rand(fitting.shape, generator=generator, device=generator.device if generator else scores.device)
        draws = draws.to(scores.device).masked_fill(~fitting, -1.0)
        best = draws.max(dim=1)
        return torch.where(best.values < 0, UNMATCHED, best.indices)


def semantic_noise(features: Tensor, pool_features: Tensor, matches: Tensor) -> Tensor:
    """What it takes to move each image's mean features to those of its match, ``(N, C)``; 0 where there is none."""
    noise = pool_features[matches.clamp(min=0)].to(features.dtype) - features
    return (noise * (matches != UNMATCHED)[:, None]).detach()


def add_noise(features: Tensor, noise: Tensor, strengths: Tensor | float) -> Tensor:
    """``f + αn`` at every place: features ``(N, C, ...)``, noise ``(N, C)``, strengths α ``(N,)`` or one for all."""
    if isinstance(strengths, Tensor):
        strengths = strengths[:, None]
    return features + (strengths * noise).view(*noise.shape, *[1] * (features.ndim - 2))


def worst_strength(
    head: Head, features: Tensor, noise: Tensor, *, bound: float, steps: int = 2, scores: Tensor | None = None
) -> Tensor:
    """The strength of the noise, of ``steps`` even ones up to ``bound``, that changes each score most: ``(N,)``.

    One number for each image is sought, so trying some is the surest maximisation. Nothing is differentiated.
    ``scores`` are those of the features without noise, where they are known.
    """
    if steps < 1 or bound <= 0:
        raise ValueError(f"Expected `bound` above 0 and at least one of `steps`, but got {bound} and {steps}.")
    with torch.no_grad():
        clean = head(features) if scores is None else scores
        strengths = [bound * step / steps for step in range(1, steps + 1)]
        changes = torch.stack([(head(add_noise(features, noise, strength)) - clean).abs() for strength in strengths])
        return torch.tensor(strengths, dtype=features.dtype, device=features.device)[changes.argmax(dim=0)]


def sensitivity(head: Head, features: Tensor, noise: Tensor, strengths: Tensor, scores: Tensor | None = None) -> Tensor:
    """How much each score changes under its noise, ``(N,)``: ``|head(f + αn) - head(f)|``; see `worst_strength`."""
    clean = head(features) if scores is None else scores
    return (head(add_noise(features, noise, strengths)) - clean).abs()


def sensitivity_loss(
    head: Head, features: Tensor, noise: Tensor, *, bound: float, steps: int = 2, count: float | None = None
) -> Tensor:
    """Mean squared change of the scores under the worst strength of their noise, over the images that have any.

    0 where none has. It has no scale of its own: beside a loss of the scores it cannot make them all alike.

    Args:
        head: from features to scores.
        features: ``(N, C, ...)``.
        noise: ``(N, C)``, 0 for images without a match.
        bound: the strongest noise.
        steps: how many strengths are tried for the worst.
        count: divides the sum instead of the number of these images that have noise: of several processes, the mean
            number.
    """
    found = noise.any(dim=1)
    if not found.any():
        return features.sum() * 0
    features, noise = features[found], noise[found]
    scores = head(features)
    strengths = worst_strength(head, features, noise, bound=bound, steps=steps, scores=scores)
    changes = sensitivity(head, features, noise, strengths, scores).square()
    return changes.mean() if count is None else changes.sum() / count


def confidence(deviations: Tensor, scale: float) -> Tensor:
    """How much a teacher's score counts, in (0, 1]: ``exp(-(σ / scale)²)`` of its deviation over views of the image."""
    if scale <= 0:
        raise ValueError(f"Argument `scale` must be above 0, but got {scale}.")
    return torch.exp(-(deviations / scale).square())


def distillation_loss(scores: Tensor, taught: Tensor, weights: Tensor) -> Tensor:
    """Mean over the images of the squared error to a teacher's score times its confidence."""
    return (weights * (scores - taught).square()).mean()
