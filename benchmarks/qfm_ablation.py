"""Does QFM-IQM help? Two heads on frozen features, each with and without matching and selection, and distillation.

The features are those of an EfficientNet-Lite0 with ImageNet weights: five levels of every photograph of BIQ2021 that
is there, averaged to 4 x 4 places for CFANet and to one for a plain head. Tested is the test part of the recipe of
`qfm_iqm-lite`; its validation part chooses the epoch, and chose the settings, with other seeds. "few" knows the labels
of a fifth of the training images, "all" of all; with distillation, the others of "few" are scored by teachers, which
are heads of other seeds trained on the same labels.

    python benchmarks/qfm_ablation.py --biq2021 FOLDER --cache FILE.npz [--seeds 5] [--json FILE]

Prints, as the mean over seeds with its 95 % interval (t), SRCC on the test part and the sensitivity: how far matched
noise moves a score, in deviations of the scores. What is in the JSON file is not run again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics.functional.regression import spearman_corrcoef

from topiq_metrics import SizePolicy
from topiq_metrics.catalog import get_card
from topiq_metrics.datasets import BIQ2021
from topiq_metrics.models.backbones import build_backbone
from topiq_metrics.models.cfanet import CFANet, CFANetConfig
from topiq_metrics.models.feature_selection import FeatureSelection
from topiq_metrics.models.folding import fold
from topiq_metrics.training import losses, qfm
from topiq_metrics.training.backbones import load_pretrained_backbone
from topiq_metrics.training.recipe import load_recipe
from topiq_metrics.training.splitting import split_records

BACKBONE, METRIC = "efficientnet_lite0", "qfm_iqm-lite"
CHANNELS = (16, 24, 40, 112, 320)
GRID = 8
"""Places of the features as they are kept, along a side."""
LABELLED = 5
"""One of so many training images keeps its label in "few"."""

BATCH, QUEUE = 64, 512
TEACHERS = 3
MATCHING = {"max_score_difference": 0.05, "min_distance_quantile": 0.7}
BOUND, STRENGTHS, SENSITIVITY_WEIGHT = 1.0, 2, 0.3
CONFIDENCE_SCALE = 0.05


class Images(Dataset[Tensor]):
    def __init__(self, dataset: BIQ2021) -> None:
        self.dataset, self.size = dataset, SizePolicy.parse(get_card(METRIC).size)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Tensor:
        return self.size.apply(self.dataset[index][0])


def extract(folder: Path, cache: Path) -> None:
    """Write the features of every photograph, with its score and its part."""
    dataset = BIQ2021(folder, "train", partial=True)
    parts = split_records(dataset, load_recipe(METRIC).data)
    part = np.zeros(len(dataset), dtype=np.int8)
    part[parts.validation], part[parts.test] = 1, 2
    backbone = build_backbone(BACKBONE)
    load_pretrained_backbone(backbone, BACKBONE)
    backbone = fold(Features(backbone).eval().requires_grad_(False)).to(memory_format=torch.channels_last)
    features = np.empty((len(dataset), sum(CHANNELS), GRID, GRID), dtype=np.float16)
    start = time.monotonic()
    with torch.inference_mode():
        for index, image in enumerate(DataLoader(Images(dataset), num_workers=1)):
            levels = backbone(image)
            features[index] = torch.cat([F.adaptive_avg_pool2d(level, GRID) for level in levels], dim=1)[0].half()
            if index % 500 == 0:
                print(f"{index} of {len(dataset)}, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    np.savez(cache, features=features, scores=[record.score for record in dataset.records], part=part)


class Features(nn.Module):
    """A backbone with its normalisation."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, image: Tensor) -> list[Tensor]:
        levels: list[Tensor] = self.backbone((image - 0.5) / 0.5)
        return levels


class PlainHead(nn.Module):
    """A multilayer perceptron on the features' means over places."""

    grid = 1

    def __init__(self) -> None:
        super().__init__()
        width = sum(CHANNELS)
        self.layers = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 128), nn.GELU(), nn.Linear(128, 1))

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.layers(features.mean(dim=(2, 3)))[:, 0]
        return out


class CFANetHead(nn.Module):
    """CFANet behind its local pooling, which here is an average without gates."""

    grid = 4

    def __init__(self) -> None:
        super().__init__()
        net = CFANet(CFANetConfig(BACKBONE, dim=64))
        for name in ("backbone", "gated_pools"):
            delattr(net, name)
        self.net = net

    def forward(self, features: Tensor) -> Tensor:
        levels = [reduce(level) for reduce, level in zip(self.net.reduce, features.split(CHANNELS, 1), strict=True)]
        return self.net.head.score(self.net.regress(levels))


HEADS = {"plain": PlainHead, "CFANet": CFANetHead}


Results = list[dict[str, tuple[float, float]]]
"""For each seed and variant: SRCC and sensitivity."""


@dataclass(frozen=True)
class Variant:
    """What is trained, and how."""

    head: str
    labels: str
    matching: bool
    distillation: bool

    def __str__(self) -> str:
        extras = [name for name in ("matching", "distillation") if getattr(self, name)]
        return f"{self.head}, {self.labels} labels{''.join(f' + {extra}' for extra in extras)}"


VARIANTS = [
    *(Variant(head, "few", m, d) for head in HEADS for d, m in itertools.product((False, True), repeat=2)),
    *(Variant(head, "all", m, False) for head in HEADS for m in (False, True)),
]


@dataclass
class Data:
    features: Tensor
    scores: Tensor
    training: Tensor
    validation: Tensor
    test: Tensor

    @classmethod
    def load(cls, cache: Path, grid: int) -> Data:
        with np.load(cache) as file:
            features, scores, part = (torch.from_numpy(file[name]) for name in ("features", "scores", "part"))
        features = torch.cat([F.adaptive_avg_pool2d(some.float(), grid) for some in features.split(512)])
        deviation, mean = torch.std_mean(features[part == 0], dim=(0, 2, 3), keepdim=True)
        features = (features - mean) / deviation
        places = (torch.nonzero(part == which)[:, 0] for which in range(3))
        return cls(features, scores.float(), *places)

    def of(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        return self.features[indices], self.scores[indices]


def predict(net: nn.Module, data: Data, indices: Tensor) -> Tensor:
    with torch.inference_mode():
        return torch.cat([net(data.features[part]) for part in torch.split(indices, 512)])


def train(
    data: Data, variant: Variant, labelled: Tensor, taught: tuple[Tensor, Tensor, Tensor], seed: int
) -> nn.Module:
    """The state of the epoch that is best on the validation part."""
    torch.manual_seed(seed)
    head = HEADS[variant.head]()
    net = nn.Sequential(FeatureSelection(sum(CHANNELS)), head) if variant.matching else nn.Sequential(head)
    queue = qfm.FeatureQueue(QUEUE, sum(CHANNELS))
    epochs = 12 if len(labelled) > 2000 else 30
    steps = epochs * (len(labelled) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    unlabelled, scores_taught, weights = taught
    best, best_srcc = {name: value.clone() for name, value in net.state_dict().items()}, -1.0
    for _ in range(epochs):
        net.train()
        for batch in labelled[torch.randperm(len(labelled))].split(BATCH)[: len(labelled) // BATCH]:
            features, scores = data.of(batch)
            features = features.flip(-1) if torch.rand(()) < 0.5 else features
            predicted = net(features)
            loss = losses.mse(predicted, scores) + losses.nin(predicted, scores)
            if variant.distillation:
                drawn = torch.randint(len(unlabelled), (BATCH,))
                others = data.features[unlabelled[drawn]]
                shares = weights[drawn] / weights[drawn].mean()
                loss = loss + qfm.distillation_loss(net(others), scores_taught[drawn], shares)
            if variant.matching:
                means = qfm.mean_features(features)
                pool = torch.cat([means, queue.features]), torch.cat([scores, queue.scores])
                noise = qfm.semantic_noise(means, pool[0], qfm.match(means, scores, *pool, **MATCHING))
                queue.add(means, scores)
                # Dropout would look like sensitivity.
                net.eval()
                loss = loss + SENSITIVITY_WEIGHT * qfm.sensitivity_loss(
                    net, features, noise, bound=BOUND, steps=STRENGTHS
                )
                net.train()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        net.eval()
        srcc = spearman_corrcoef(predict(net, data, data.validation), data.scores[data.validation]).item()
        if srcc > best_srcc:
            best, best_srcc = {name: value.clone() for name, value in net.state_dict().items()}, srcc
    net.load_state_dict(best)
    return net.eval()


def judge(net: nn.Module, data: Data) -> tuple[float, float]:
    """SRCC on the test part, and the sensitivity to matched noise there."""
    predicted = predict(net, data, data.test)
    features, scores = data.of(data.test)
    means = qfm.mean_features(features)
    found = qfm.match(means, scores, means, scores, **MATCHING, generator=torch.Generator().manual_seed(0))
    noise = qfm.semantic_noise(means, means, found)
    parts = torch.split(torch.nonzero(found != qfm.UNMATCHED)[:, 0], 256)
    with torch.inference_mode():
        moved = [qfm.sensitivity(net, features[part], noise[part], torch.ones(len(part))) for part in parts]
    srcc = spearman_corrcoef(predicted, data.scores[data.test]).item()
    return srcc, (torch.cat(moved).mean() / predicted.std()).item()


def run(data: Data, seed: int, chosen: list[Variant]) -> dict[str, tuple[float, float]]:
    """Each variant's SRCC and sensitivity; the variants are of one head."""
    generator = torch.Generator().manual_seed(seed)
    mixed = data.training[torch.randperm(len(data.training), generator=generator)]
    few, others = mixed[: len(mixed) // LABELLED], mixed[len(mixed) // LABELLED :]
    nothing = others[:0], data.scores[:0], data.scores[:0]
    taught = nothing
    if any(variant.distillation for variant in chosen):
        plain = Variant(chosen[0].head, "few", False, False)
        teachers = [train(data, plain, few, nothing, 1000 * (seed + 1) + i) for i in range(TEACHERS)]
        views = torch.stack([predict(teacher, data, others) for teacher in teachers])
        taught = others, views.mean(dim=0), qfm.confidence(views.std(dim=0), CONFIDENCE_SCALE)
    results = {}
    for variant in chosen:
        labelled = few if variant.labels == "few" else mixed
        results[str(variant)] = judge(train(data, variant, labelled, taught, seed), data)
        print(f"seed {seed}: {variant}: {results[str(variant)]}", file=sys.stderr, flush=True)
    return results


def interval(values: list[float], sign: str = "") -> str:
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:{sign}.3f}"
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:{sign}.3f} ± {half:.3f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--biq2021", type=Path, help="its folder; not needed once the features are in --cache")
    parser.add_argument("--cache", type=Path, required=True, help="an .npz file of features; made if it is not there")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--heads", nargs="+", default=list(HEADS), choices=HEADS)
    parser.add_argument("--extract-only", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if not arguments.cache.exists():
        if arguments.biq2021 is None:
            parser.error("there are no features yet: name the dataset with --biq2021")
        extract(arguments.biq2021, arguments.cache)
    if arguments.extract_only:
        return 0
    results: Results = [{} for _ in range(arguments.seeds)]
    if arguments.json and arguments.json.exists():
        kept = json.loads(arguments.json.read_text())[: arguments.seeds]
        results = kept + results[len(kept) :]
    for head in arguments.heads:
        data = None
        for seed, row in enumerate(results):
            chosen = [variant for variant in VARIANTS if variant.head == head and str(variant) not in row]
            if chosen:
                data = data or Data.load(arguments.cache, HEADS[head].grid)
                row.update(run(data, seed, chosen))
                if arguments.json:
                    arguments.json.write_text(json.dumps(results, indent=2))
    print(f"{len(results)} seeds; each difference is to the same without the additions, with the same seed")
    print(f"{'':50} {'SRCC':>17} {'difference':>18} {'sensitivity':>17} {'difference':>18}")
    for variant in VARIANTS:
        if variant.head in arguments.heads:
            plain = str(replace(variant, matching=False, distillation=False))
            cells = []
            for figure in range(2):
                values = [row[str(variant)][figure] for row in results]
                differences = [row[str(variant)][figure] - row[plain][figure] for row in results]
                cells += [interval(values), "" if str(variant) == plain else interval(differences, "+")]
            print(f"{variant!s:50} {cells[0]:>17} {cells[1]:>18} {cells[2]:>17} {cells[3]:>18}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
