"""Agreement of metrics with human scores: the public names of `topiq_metrics.statistics`."""

from __future__ import annotations

from topiq_metrics.statistics.bootstrap import Bootstrap, Interval
from topiq_metrics.statistics.correlation import krcc, plcc, rmse, srcc
from topiq_metrics.statistics.grouped import (
    Breakdown,
    Summary,
    evaluate_groups,
    evaluate_splits,
)
from topiq_metrics.statistics.logistic import Fit, fit_logistic
from topiq_metrics.statistics.preference import Preference, agreement_of_pairs, evaluate_preferences
from topiq_metrics.statistics.protocol import FIGURES, Evaluation, Figure, evaluate
from topiq_metrics.statistics.significance import (
    Comparison,
    Pair,
    compare,
    compare_agreements,
    holm,
    steiger_test,
    williams_test,
)

__all__ = [
    "FIGURES",
    "Bootstrap",
    "Breakdown",
    "Comparison",
    "Evaluation",
    "Figure",
    "Fit",
    "Interval",
    "Pair",
    "Preference",
    "Summary",
    "agreement_of_pairs",
    "compare",
    "compare_agreements",
    "evaluate",
    "evaluate_groups",
    "evaluate_preferences",
    "evaluate_splits",
    "fit_logistic",
    "holm",
    "krcc",
    "plcc",
    "rmse",
    "srcc",
    "steiger_test",
    "williams_test",
]
