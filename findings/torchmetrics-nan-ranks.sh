#!/usr/bin/env bash
# torchmetrics 1.9.0 with torch 2.13.0: Spearman's and Kendall's correlation of predictions that are NaN are numbers.
#
# Good guess: a correlation with NaN is NaN, as it is for SciPy, and for torchmetrics' own Pearson; so Lightning's
# EarlyStopping, which checks that what it monitors is finite, stops a training whose network has become NaN.
# Seen: of 50 predictions that are all NaN, SRCC is -0.53 with scores that rise from row to row, and 0.53 with scores that
#       fall, and KRCC 0. Where every fifth of the predictions is NaN and the others are perfect, SRCC is 0.56 and KRCC
#       0.64. Neither raises or warns (Pearson warns). A table that is sorted by score can thus make a ruined network the
#       best epoch.
# Way round: check that predictions are finite before they are ranked.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torchmetrics==1.9.0 numpy==2.2.6 scipy==1.15.3
"$work/venv/bin/python" - <<'PY'
import math

import torch
from scipy.stats import spearmanr
from torchmetrics.functional.regression import kendall_rank_corrcoef, pearson_corrcoef, spearman_corrcoef

scores = torch.arange(50.0)
ruined = torch.full_like(scores, math.nan)
partly = scores.clone()
partly[::5] = math.nan

for name, predictions, told in (
    ("all NaN, rising scores", ruined, scores),
    ("all NaN, falling scores", ruined, scores.flip(0)),
    ("every fifth NaN", partly, scores),
):
    srcc, krcc, plcc = (
        correlation(predictions, told).item()
        for correlation in (spearman_corrcoef, kendall_rank_corrcoef, pearson_corrcoef)
    )
    scipys = spearmanr(predictions.numpy(), told.numpy()).statistic
    print(f"{name}: SRCC {srcc:.3f}, KRCC {krcc:.3f}, PLCC {plcc}, SciPy's SRCC {scipys}")
    assert math.isfinite(srcc) and abs(srcc) > 0.3, "SRCC is no longer a number"
    assert math.isfinite(krcc), "KRCC is no longer a number"
    assert math.isnan(plcc) and math.isnan(scipys), "Pearson or SciPy no longer say NaN"
PY
