"""How a no-reference metric weighs kinds of damage against each other, beside what people said.

Makes twelve of KADID-10k's kinds of damage that are seen without a reference, at their five levels, on the pictures of
CID22 that are kept for tests (`make_pairs.py` deals them). Prints SRCC of the scores with KADID-10k's mean opinion
scores of kind and level: over all pictures; within each picture, the median; and within a kind, the mean of the
pictures. `topiq_fr-lite`, which teaches the loss `damage`, has learned these means on other pictures.

    python benchmarks/damage_kinds.py --cid22 FOLDER --kadid10k FOLDER [--weights FILE ...] [--pictures N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from consensus import human_means
from fr_lite import in_8_bits
from make_pairs import WHOLE, split_pictures
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor
from torchmetrics import Metric

from topiq_metrics import create_metric
from topiq_metrics.images import load_image
from topiq_metrics.training.distortions.kadid import KADID, kadid_damage

METRIC = "topiq_nr-lite"
SEEN = (1, 2, 3, 9, 10, 11, 12, 13, 14, 21, 22, 24)
"""The numbers of these kinds: blur, compression, noise, pixelation, quantization, too much sharpening."""


LEVELS = range(1, 6)


@torch.inference_mode()
def score(metrics: Sequence[Metric], pictures: Sequence[Tensor]) -> NDArray[np.float64]:
    """The scores of the damaged pictures, ``(metrics, pictures, kinds, levels)``."""
    shape = (len(pictures), len(SEEN), len(LEVELS))
    scores = np.empty((len(metrics), *shape))
    for picture, kind, level in np.ndindex(shape):
        damaged = in_8_bits(kadid_damage(pictures[picture], SEEN[kind], LEVELS[level], seed=picture))
        scores[:, picture, kind, level] = [metric(damaged[None]).item() for metric in metrics]
    return scores


def agreement(scores: NDArray[np.float64], opinions: NDArray[np.float64]) -> dict[str, Any]:
    """SRCC of scores ``(pictures, kinds, levels)`` with opinions ``(kinds, levels)``."""

    def srcc(own: NDArray[np.float64], told: NDArray[np.float64]) -> float:
        return float(spearmanr(own.ravel(), told.ravel()).statistic)

    return {
        "all": srcc(scores, np.broadcast_to(opinions, scores.shape)),
        "median of the pictures": statistics.median(srcc(of_picture, opinions) for of_picture in scores),
        "within a kind": {
            KADID[number].name: statistics.mean(srcc(of_picture[index], opinions[index]) for of_picture in scores)
            for index, number in enumerate(SEEN)
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cid22", type=Path, required=True)
    parser.add_argument("--kadid10k", type=Path, required=True, help="folder with kinds.csv")
    parser.add_argument("--weights", nargs="+", default=["default"], help=f"of {METRIC} (default: its own)")
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    parts = split_pictures(arguments.cid22).items()
    kept = [path for path, part in parts if part == "test"][: arguments.pictures]
    pictures = [load_image(path)[:, : WHOLE[0], : WHOLE[1]] for path in kept]
    rows = [{"kind": f"kadid-{number}", "level": str(level)} for number in SEEN for level in LEVELS]
    opinions = human_means(rows, arguments.kadid10k / "kinds.csv").reshape(len(SEEN), len(LEVELS))
    scores = score([create_metric(METRIC, weights=weights) for weights in arguments.weights], pictures)
    results = {weights: agreement(own, opinions) for weights, own in zip(arguments.weights, scores, strict=True)}
    print(f"SRCC with KADID-10k's mean opinion scores of kind and level, {len(kept)} pictures, {len(SEEN)} kinds")
    for weights, result in results.items():
        worst = sorted(result["within a kind"].items(), key=lambda item: item[1])[:3]
        least = ", ".join(f"{value:.3f} ({kind})" for kind, value in worst)
        inside = result["median of the pictures"]
        print(f"{weights}: all {result['all']:.3f}, within a picture {inside:.3f}, within a kind: least {least}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
