"""What people would say of a pair, foretold from full-reference metrics.

    python benchmarks/consensus.py PAIRS/measured.csv KINDS.csv

Human scores are KADID-10k's means by kind and level of damage. Prints how well each teacher orders them, on the
training pairs that have such a damage, and how well they are foretold together: always for kinds that the weights were
*not* fitted to, since it is for other kinds of damage that the prediction is used.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls
from scipy.stats import spearmanr
from teachers import TEACHERS

Values = npt.NDArray[np.float64]
Rows = Sequence[dict[str, str]]

MOVED = 4.6
"""The score of an image that is moved by a pixel: hardly anyone sees it, though the teachers do."""

CONTENT_SHARE = 0.5
LARGEST_CONTENT = 0.4
"""Of what the teachers say that a content changes, so much is believed, and never more than that."""


def human_means(rows: Rows, kinds: Path) -> Values:
    """KADID-10k's mean score of each row's kind and level, from 1 to 5; NaN for other damage."""
    with kinds.open(newline="", encoding="utf-8") as stream:
        known = {(row["kind"], int(row["level"])): float(row["mean_mos"]) for row in csv.DictReader(stream)}
    means = np.full(len(rows), np.nan)
    for index, row in enumerate(rows):
        prefix, _, number = row["kind"].partition("-")
        if prefix == "kadid":
            levels = np.arange(1, 6)
            means[index] = np.interp(float(row["level"]), levels, [known[number, level] for level in levels])
    return means


def ranks(rows: Rows, names: Sequence[str], training: npt.NDArray[np.bool_]) -> Values:
    """Each teacher's values as ranks among the training pairs, from 0 (worst) to 1: ``(N, T)``."""
    columns = []
    for name in names:
        values = TEACHERS[name][0] * np.array([float(row[name] or "nan") for row in rows])
        known = np.sort(values[training & np.isfinite(values)])
        below, not_above = (np.searchsorted(known, values, side) for side in ("left", "right"))
        columns.append((below + not_above) / 2 / len(known))
    return np.stack(columns, axis=1)


def fit_linear(features: Values, scores: Values) -> tuple[Values, float]:
    """Weights that are not below 0, and the score where all features are 0."""
    extended = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    weights, _ = nnls(extended, scores)
    return weights[:-1], float(weights[-1])


def label(rows: Rows, kinds: Path) -> list[dict[str, str]]:
    """The rows with a score from 0 to 1."""
    names = [name for name in rows[0] if name in TEACHERS]
    taught = np.array([all(row[name] for name in names) for row in rows])
    training = taught & np.array([row["split"] == "train" for row in rows])
    means = human_means(rows, kinds)
    known = np.isfinite(means)
    features = ranks(rows, names, training)
    weights, offset = fit_linear(features[training & known], means[training & known])
    foretold = features @ weights + offset
    scores = np.where(known, means, foretold)
    for kind in {row["kind"] for row in rows}:
        of_kind = np.array([row["kind"] == kind for row in rows])
        if kind == "shift":
            scores[of_kind] = MOVED
        elif (known & of_kind).any():
            fitted, there = of_kind & training, of_kind & taught
            # Of what is foretold, the level is known better from people: what is left is the content's.
            usual = np.polynomial.Polynomial.fit(means[fitted], foretold[fitted], 2 if fitted.sum() > 20 else 1)
            content = CONTENT_SHARE * (foretold[there] - usual(means[there]))
            scores[there] += content.clip(-LARGEST_CONTENT, LARGEST_CONTENT)
    return [{**row, "score": f"{(score - 1) / 4:.5f}"} for row, score in zip(rows, scores.clip(1, 4.8), strict=True)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path, help="what make_pairs.py has measured")
    parser.add_argument("kinds", type=Path, help="KADID-10k's mean scores by kind and level")
    arguments = parser.parse_args()
    with arguments.measured.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    names = [name for name in rows[0] if name in TEACHERS]
    rows = [row for row in rows if row["kind"].startswith("kadid-") and all(row[name] for name in names)]
    training = np.array([row["split"] == "train" for row in rows])
    means = human_means(rows, arguments.kinds)
    features = ranks(rows, names, training)
    rows, means, features = [row for row in rows if row["split"] == "train"], means[training], features[training]
    kinds = np.array([row["kind"] for row in rows])
    columns = {name: features[:, index] for index, name in enumerate(names)}
    columns["mean of the ranks"] = features.mean(axis=1)
    unseen = np.zeros(len(rows))
    for kind in set(kinds):
        inside = kinds == kind
        weights, offset = fit_linear(features[~inside], means[~inside])
        unseen[inside] = features[inside] @ weights + offset
    columns["weighted, kind unseen"] = unseen
    weights, _ = fit_linear(features, means)
    shares = dict(zip(names, weights / weights.sum(), strict=True))
    print(f"{len(rows)} pairs; SRCC with the human mean of kind and level")
    for name, values in columns.items():
        within = [spearmanr(values[kinds == kind], means[kinds == kind]).statistic for kind in sorted(set(kinds))]
        share = f", weight {shares[name]:.2f}" if name in shares else ""
        print(
            f"{name:26} all {spearmanr(values, means).statistic:.3f}, "
            f"within a kind: median {statistics.median(within):.3f}, least {min(within):.3f}{share}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
