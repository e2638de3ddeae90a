"""The bundled model beside what else scores a photograph without a download, on images that it never saw.

Scores BIQ2021's official test part and prints SRCC and raw PLCC with human opinion. Needs the dataset's folder.

    python benchmarks/baselines.py --data BIQ2021 [--sizes] [--limit N] [--json FILE]

`--sizes` measures size rules for the bundled model instead: on the validation part of its recipe, as the images are,
enlarged, as photographs from a camera are, and shrunk, as thumbnails are.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.regression import pearson_corrcoef, spearman_corrcoef

from topiq_metrics import SizePolicy, create_metric
from topiq_metrics.contenders import get_toolbox_metric
from topiq_metrics.datasets import BIQ2021
from topiq_metrics.training.recipe import load_recipe
from topiq_metrics.training.splitting import split_records

Score = Callable[[Tensor], float]
RULES = {
    1: ("native", "max_side=512", "max_side=448", "max_side=384", "short_side=512"),
    2: ("native", "max_side=768", "max_side=640", "max_side=512", "max_side=448", "max_side=384", "short_side=512"),
    0.5: ("native", "short_side=384", "short_side=512"),
    0.25: ("native", "short_side=256", "short_side=512"),
}
"""The size rules to try on copies whose sides are so many times as long."""


def lower_is_better(name: str) -> Score:
    """A metric of another toolbox, turned round."""
    predictor = get_toolbox_metric(name).open()
    return lambda image: -predictor(image[None]).item()


def total_variation() -> Score:
    def score(image: Tensor) -> float:
        rows = (image[:, 1:] - image[:, :-1]).abs().mean()
        columns = (image[:, :, 1:] - image[:, :, :-1]).abs().mean()
        return (rows + columns).item()

    return score


def laplacian_variance() -> Score:
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]).view(1, 1, 3, 3)
    return lambda image: F.conv2d(image.mean(0)[None, None], kernel).var().item()


def lite(size: str | None = None) -> Score:
    metric = create_metric("topiq_nr-lite", size=size)
    return lambda image: metric(image[None]).item()


def correlations(score: Score, images: BIQ2021, indices: list[int], prepare: Callable[[Tensor], Tensor]) -> dict:
    scores, mos, failed = [], [], 0
    for index in indices:
        image, opinion = images[index]
        value = score(prepare(image))
        if np.isfinite(value):
            scores.append(value)
            mos.append(opinion)
        else:
            failed += 1
    x, y = torch.tensor(scores), torch.tensor(mos)
    return {
        "images": len(scores),
        "failed": failed,
        "srcc": spearman_corrcoef(x, y).item(),
        "plcc": pearson_corrcoef(x, y).item(),
        "mean": x.mean().item(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sizes", action="store_true")
    parser.add_argument("--limit", type=int, help="score the first images only")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    # The size rule is chosen on the validation part; the test part is for the result alone.
    images = BIQ2021(arguments.data, "train", partial=True) if arguments.sizes else BIQ2021(arguments.data, "test")
    rows = {}
    if arguments.sizes:
        indices = split_records(images, load_recipe("topiq_nr-lite").data).validation[: arguments.limit]
        for factor, rules in RULES.items():

            def copy(image: Tensor, factor: float = factor) -> Tensor:
                size = [round(factor * side) for side in image.shape[-2:]]
                resized = F.interpolate(
                    image[None], size=size, mode="bicubic", align_corners=False, antialias=factor < 1
                )
                return resized[0].clamp(0, 1)

            for rule in rules:
                rows[f"x{factor} {rule}"] = correlations(lite(rule), images, indices, copy)
    else:
        indices = list(range(len(images)))[: arguments.limit]
        contenders = {
            "topiq_nr-lite": lite,
            "pyiqa piqe": functools.partial(lower_is_better, "pyiqa:piqe"),
            "brisque": functools.partial(lower_is_better, "brisque:brisque"),
            "total variation": total_variation,
            "Laplacian variance": laplacian_variance,
        }
        for name, build in contenders.items():
            rows[name] = correlations(build(), images, indices, SizePolicy.parse("native").apply)
            print(f"{name}: done", file=sys.stderr)
    print(f"{'':22} {'images':>6} {'failed':>6} {'SRCC':>7} {'PLCC':>7} {'mean':>7}")
    for name, row in rows.items():
        print(f"{name:22} {row['images']:6} {row['failed']:6} {row['srcc']:7.4f} {row['plcc']:7.4f} {row['mean']:7.4f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
