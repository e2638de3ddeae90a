"""How a no-reference metric weighs kinds of damage against each other, beside what people said.

Makes twelve of KADID-10k's kinds of damage that are seen without a reference, at their five levels, on the pictures of
CID22 that are kept for tests (`make_pairs.py` deals them). Prints SRCC of the scores with KADID-10k's mean opinion
scores of kind and level: over all pictures; within each picture, the median; and within a kind, the mean of the
pictures. `topiq_fr-lite` learned these means on other pictures, and `topiq_nr-lite` from it.

    python benchmarks/damage_kinds.py --cid22 FOLDER --kadid10k FOLDER [--weights FILE ...] [--pictures N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from consensus import human_means
from fr_lite import in_8_bits
from make_pairs import WHOLE, picture_splits
from scipy.stats import spearmanr

from topiq_metrics.functional import topiq_no_reference
from topiq_metrics.images import load_image
from topiq_metrics.training.distortions.kadid import KADID, kadid_damage

METRIC = "topiq_nr-lite"
SEEN = (1, 2, 3, 9, 10, 11, 12, 13, 14, 21, 22, 24)
"""The numbers of these kinds: blur, compression, noise, pixelation, quantization, too much sharpening."""


@torch.inference_mode()
def agreement(weights: str, pictures: list[torch.Tensor], means: np.ndarray) -> dict[str, Any]:
    scores = np.array(
        [
            topiq_no_reference(
                in_8_bits(kadid_damage(picture, number, level, seed=index))[None], weights=weights
            ).item()
            for index, picture in enumerate(pictures)
            for number in SEEN
            for level in range(1, 6)
        ]
    ).reshape(len(pictures), len(SEEN), 5)
    opinions = means.reshape(scores.shape)
    within = {
        KADID[number].name: float(np.mean([spearmanr(own, told).statistic for own, told in zip(a, b, strict=True)]))
        for number, a, b in zip(SEEN, scores.swapaxes(0, 1), opinions.swapaxes(0, 1), strict=True)
    }
    return {
        "all": spearmanr(scores.ravel(), opinions.ravel()).statistic,
        "median of the pictures": statistics.median(
            spearmanr(own.ravel(), told.ravel()).statistic for own, told in zip(scores, opinions, strict=True)
        ),
        "within a kind": within,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cid22", type=Path, required=True)
    parser.add_argument("--kadid10k", type=Path, required=True, help="folder with kinds.csv")
    parser.add_argument("--weights", nargs="+", default=["default"], help=f"of {METRIC} (default: its own)")
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    paths = sorted((arguments.cid22 / "images").glob("*.webp"))
    splits = picture_splits([path.stem for path in paths])
    kept = [path for path in paths if splits[path.stem] == "test"][: arguments.pictures]
    pictures = [load_image(path)[:, : WHOLE[0], : WHOLE[1]] for path in kept]
    rows = [{"kind": f"kadid-{number}", "level": str(level)} for number in SEEN for level in range(1, 6)]
    means = np.tile(human_means(rows, arguments.kadid10k / "kinds.csv"), len(pictures))
    results = {weights: agreement(weights, pictures, means) for weights in arguments.weights}
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
