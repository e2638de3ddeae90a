"""Agreement with human scores that torchmetrics lacks: after a logistic fit, and on pairs of images.

torchmetrics has SRCC, KRCC and PLCC as `SpearmanCorrCoef`, `KendallRankCorrCoef` and `PearsonCorrCoef`. These metrics
take scores, not images; `topiq_metrics.evaluation` has the same figures with intervals.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics.utilities.data import dim_zero_cat

from topiq_metrics.metrics.states import KeptStates
from topiq_metrics.statistics.correlation import plcc, rmse
from topiq_metrics.statistics.logistic import PARAMETERS, LogisticName, fit_logistic


class _AgreementMetric(KeptStates):
    is_differentiable = False
    full_state_update = False


class _FittedMetric(_AgreementMetric):
    predicted_scores: list[Tensor]
    opinion_scores: list[Tensor]

    def __init__(self, logistic: LogisticName = "logistic4", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if logistic not in PARAMETERS:
            raise ValueError(f"Argument `logistic` must be one of {tuple(PARAMETERS)}, but got {logistic!r}.")
        self.logistic: LogisticName = logistic
        self.add_state("predicted_scores", default=[], dist_reduce_fx="cat")
        self.add_state("opinion_scores", default=[], dist_reduce_fx="cat")
        self._place_state()

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch.

        Args:
            preds: a metric's scores of the images, ``(N,)`` or ``(N, 1)``, in any direction and range.
            target: mean opinion scores (MOS or DMOS) of the images, of the same length.

        Raises:
            ValueError: if lengths or shapes differ, or these are no tensors.
        """
        preds, target = _columns(preds=preds, target=target)
        self.predicted_scores.append(preds.float())
        self.opinion_scores.append(target.float())

    def _compare(self, figure: Callable[[Any, Any], float]) -> Tensor:
        value = math.nan
        if len(self.predicted_scores):
            lists = (self.predicted_scores, self.opinion_scores)
            preds, target = (dim_zero_cat(scores).cpu().double().numpy() for scores in lists)
            # A network that gives no number is no good, whatever it gives elsewhere.
            if np.isfinite(preds).all() and np.isfinite(target).all():
                value = figure(fit_logistic(preds, target, self.logistic)(preds), target)
        return torch.tensor(value, dtype=torch.float32, device=self.device)


class FittedPearsonCorrCoef(_FittedMetric):
    """PLCC: Pearson's linear correlation with human scores after a logistic fit, from 0 to 1, higher is better.

    All scores of an epoch are kept, on all processes, and fitted in ``compute``. ``forward`` also fits each batch,
    which is slow and means little: call ``update``. Requires scipy: ``pip install 'topiq-metrics[evaluation]'``.

    Args:
        logistic: ``"logistic4"`` (four parameters, monotone) or ``"logistic5"`` (five, not always monotone); both as in
            `topiq_metrics.evaluation.fit_logistic`.
        kwargs: those of every `torchmetrics.Metric`.

    Raises:
        ValueError: if an argument is not as above.

    References:
        VQEG. "Final report from the Video Quality Experts Group on the validation of objective models of video quality
        assessment". 2000. Sheikh et al. IEEE TIP 15(11), 2006, for five parameters.

    Examples:
        >>> import torch
        >>> from topiq_metrics import FittedPearsonCorrCoef
        >>> preds = torch.linspace(-3, 3, 20)
        >>> metric = FittedPearsonCorrCoef()
        >>> metric.update(preds, 80 * torch.sigmoid(2 * preds) + 10)
        >>> metric.compute()
        tensor(1.)
    """

    higher_is_better = True
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def compute(self) -> Tensor:
        """The correlation over all batches and processes.

        Returns:
            A float32 scalar: NaN if there is no fit, as with too few images or constant scores, or if a score is not
            finite.

        Raises:
            ModuleNotFoundError: if scipy is not installed.
        """
        return self._compare(plcc)


class FittedRootMeanSquaredError(_FittedMetric):
    """RMSE of the scores after a logistic fit, in the unit of the human scores: from 0, lower is better.

    What `FittedPearsonCorrCoef` says about arguments, states and scipy applies here, too; in a `MetricCollection` the
    two share their states.

    Args:
        logistic: ``"logistic4"`` or ``"logistic5"``.
        kwargs: those of every `torchmetrics.Metric`.

    Raises:
        ValueError: if an argument is not as above.

    Examples:
        >>> import torch
        >>> from topiq_metrics import FittedRootMeanSquaredError
        >>> preds = torch.linspace(-3, 3, 20)
        >>> noise = torch.tensor([0.5, -0.5] * 10)
        >>> metric = FittedRootMeanSquaredError()
        >>> metric.update(preds, 80 * torch.sigmoid(2 * preds) + 10 + noise)
        >>> round(metric.compute().item(), 1)
        0.5
    """

    higher_is_better = False
    plot_lower_bound = 0.0

    def compute(self) -> Tensor:
        """The error over all batches and processes: a float32 scalar; NaN and errors as in `FittedPearsonCorrCoef`."""
        return self._compare(rmse)


class TwoAlternativeForcedChoice(_AgreementMetric):
    """How often a metric prefers the image of a pair that people prefer (2AFC): from 0 to 1, higher is better.

    Chance is 0.5. With p the share of votes for the second image, and j = 1 if its score is the better one, else 0, a
    pair counts p·j + (1 − p)·(1 − j); with tied scores, j = 1/2. For the majority's choice instead, as for PieAPP, pass
    preferences of 0 and 1.

    Args:
        scores_higher_is_better: direction of the scores; by default lower is better, as for a distance.
        kwargs: those of every `torchmetrics.Metric`.

    References:
        Zhang et al. "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric". CVPR 2018.

    Examples:
        >>> import torch
        >>> from topiq_metrics import TwoAlternativeForcedChoice
        >>> metric = TwoAlternativeForcedChoice()
        >>> metric.update(torch.tensor([0.3, 0.1]), torch.tensor([0.1, 0.3]), preference=torch.tensor([0.8, 0.4]))
        >>> metric.compute()
        tensor(0.7000)
    """

    higher_is_better = True
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    agreement: Tensor
    pairs: Tensor

    def __init__(self, *, scores_higher_is_better: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scores_higher_is_better = scores_higher_is_better
        zero = torch.zeros((), dtype=torch.float64, device="cpu")
        self.add_state("agreement", default=zero, dist_reduce_fx="sum")
        self.add_state("pairs", default=zero.long(), dist_reduce_fx="sum")
        self._place_state()

    def update(self, first: Tensor, second: Tensor, preference: Tensor) -> None:
        """Add a batch of pairs.

        Args:
            first: the first image's scores, ``(N,)`` or ``(N, 1)``.
            second: the second image's scores.
            preference: share of people who chose the second image, from 0 to 1.

        Raises:
            ValueError: if lengths or shapes differ, these are no tensors, or a preference is outside 0 to 1.
        """
        first, second, preference = _columns(first=first, second=second, preference=preference)
        if ((preference < 0) | (preference > 1)).any():
            raise ValueError(
                f"Expected `preference` from 0 to 1, but got {preference.min():g} to {preference.max():g}."
            )
        # The device first: not every one has float64.
        first, second, votes = (
            column.to(self.agreement.device).to(self.agreement.dtype) for column in (first, second, preference)
        )
        better = second > first if self.scores_higher_is_better else second < first
        choices = better.to(votes).masked_fill(second == first, 0.5)
        choices = choices.masked_fill(first.isnan() | second.isnan(), math.nan)
        self.agreement = self.agreement + (votes * choices + (1 - votes) * (1 - choices)).sum()
        self.pairs = self.pairs + len(preference)

    def compute(self) -> Tensor:
        """The agreement over all batches and processes; a float32 scalar, NaN if there were no pairs or a NaN."""
        return (self.agreement / self.pairs).float().to(self.device)


def _columns(**columns: Tensor) -> list[Tensor]:
    others = {name: type(column).__name__ for name, column in columns.items() if not isinstance(column, Tensor)}
    if others:
        raise ValueError(f"Expected tensors, but got {', '.join(f'`{name}` {kind}' for name, kind in others.items())}.")
    flat = [column.detach().squeeze(-1) if column.ndim == 2 else column.detach() for column in columns.values()]
    if any(column.ndim != 1 or column.shape != flat[0].shape for column in flat):
        shapes = ", ".join(f"`{name}` {tuple(column.shape)}" for name, column in columns.items())
        raise ValueError(f"Expected scores of one shape, (N,) or (N, 1), but got {shapes}.")
    return flat
