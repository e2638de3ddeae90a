"""Metrics against human opinion: correlations, intervals, tests, preferences and breakdowns."""

from __future__ import annotations

from topiq_metrics.evaluation.bootstrap import Bootstrap, Interval
from topiq_metrics.evaluation.correlation import krcc, plcc, rmse, srcc
from topiq_metrics.evaluation.grouped import (
    Breakdown,
    Summary,
    evaluate_groups,
    evaluate_splits,
)
from topiq_metrics.evaluation.logistic import Fit, fit_logistic
from topiq_metrics.evaluation.preference import Preference, agreement_of_pairs, evaluate_preferences
from topiq_metrics.evaluation.protocol import FIGURES, Evaluation, Figure, evaluate
from topiq_metrics.evaluation.significance import (
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
