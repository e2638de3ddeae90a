"""How well trained networks agree with opinion, and how much their scores mind what an image shows.

    python benchmarks/qfm_models.py --biq2021 FOLDER topiq_nr-lite qfm_iqm-lite=trained.safetensors

The images are those that no model of the recipe was trained on. The sensitivity is the mean change of a score, in
deviations of the model's scores, when the features of an image are moved to those of one that is as good but shows
something else: what the sensitivity loss of QFM-IQM is against, with the settings of the recipe. Prints a table.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from topiq_metrics import SizePolicy
from topiq_metrics.catalog import get_card
from topiq_metrics.datasets import BIQ2021
from topiq_metrics.evaluation import evaluate
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.training import qfm
from topiq_metrics.training.data import DataSplit, Scale, WholeImages
from topiq_metrics.training.recipe import load_recipe
from topiq_metrics.training.splitting import split_records
from topiq_metrics.weights import load_network

RECIPE = load_recipe("qfm_iqm-lite")
DRAWS = 5
"""Partners are drawn so many times for each image."""


@torch.inference_mode()
def measure(net: CFANet, images: DataLoader[tuple[Tensor, ...]]) -> tuple[Tensor, Tensor, float]:
    """The scores, the opinion scores, and the sensitivity."""
    levels, scores, opinion = [], [], []
    for image, score in images:
        levels.append(torch.cat(list(net.levels(image)), dim=1))
        scores.append(net.head.score(net.regress(split(net, levels[-1]))))
        opinion.append(score.float())
    predicted, truth = torch.cat(scores), torch.cat(opinion)
    means = torch.cat([qfm.mean_features(level) for level in levels])
    settings = RECIPE.matching
    changes = []
    for seed in range(DRAWS):
        found = qfm.match(
            means,
            truth,
            means,
            truth,
            max_score_difference=settings.max_score_difference,
            min_distance_quantile=settings.min_distance_quantile,
            generator=torch.Generator().manual_seed(seed),
        )
        noise = qfm.semantic_noise(means, means, found)
        for index in torch.nonzero(found != qfm.UNMATCHED)[:, 0].tolist():
            moved = qfm.add_noise(levels[index], noise[index, None], settings.bound)
            changes.append((net.head.score(net.regress(split(net, moved))) - predicted[index]).abs())
    return predicted, truth, (torch.cat(changes).mean() / predicted.std()).item()


def split(net: CFANet, features: Tensor) -> tuple[Tensor, ...]:
    return torch.split(features, net.config.dim, dim=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME[=FILE]", help="a metric, with its weights file")
    parser.add_argument("--biq2021", type=Path, required=True, help="its folder")
    parser.add_argument("--images", type=int, help="so many of the test part; all if left out")
    arguments = parser.parse_args()
    dataset = BIQ2021(arguments.biq2021, "train", partial=True)
    test = split_records(dataset, RECIPE.data).test[: arguments.images]
    part = DataSplit(dataset, test, Scale(*dataset.facts.score_range, lower_is_better=False))
    print(f"{len(test)} images of BIQ2021")
    print(f"{'':40} {'SRCC':>24} {'PLCC':>7} {'sensitivity':>12}")
    for model in arguments.models:
        name, _, file = model.partition("=")
        net = cast(CFANet, load_network(name, file or "default"))
        images = DataLoader(WholeImages(part, SizePolicy.parse(get_card(name).size)), num_workers=1)
        scores, opinion, moved = measure(net, images)
        found = evaluate(scores, opinion)
        interval = f"{found.srcc.value:.3f} [{found.srcc.low:.3f}, {found.srcc.high:.3f}]"
        print(f"{model[-40:]:40} {interval:>24} {found.plcc.value:7.3f} {moved:12.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
