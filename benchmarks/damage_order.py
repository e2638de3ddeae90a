"""Does the score fall as the damage grows? Spearman's correlation between level and falling score.

Twelve crops of free photographs (public domain or CC0, from the scikit-image wheel) under blur, noise and JPEG, or
other kinds of damage, at five levels; a full-reference metric compares with the crop. The crops, the levels and these
three kinds were fixed before the bundled models were trained.

    python benchmarks/damage_order.py [--metric topiq_nr-lite] [--kinds blur noise jpeg] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import skimage
import torch
from torch import Tensor
from torchmetrics.functional.regression import spearman_corrcoef

from topiq_metrics import create_metric, get_card, load_image
from topiq_metrics.training.distortions import DISTORTIONS, distort

SIDE = 288
CROPS = (  # file, top, left
    ("astronaut.png", 0, 60),
    ("astronaut.png", 224, 120),
    ("chelsea.png", 0, 80),
    ("coffee.png", 40, 20),
    ("coffee.png", 100, 250),
    ("rocket.jpg", 60, 200),
    ("rocket.jpg", 130, 300),
    ("chelsea.png", 12, 160),
    ("hubble_deep_field.jpg", 100, 600),
    ("hubble_deep_field.jpg", 300, 300),
    ("camera.png", 60, 110),
    ("brick.png", 100, 100),
)
KINDS = ("blur", "noise", "jpeg")
LEVELS = 5
BAR_MEAN, BAR_EACH = 0.9, 0.7


def crops() -> list[Tensor]:
    folder = Path(skimage.__file__).parent / "data"
    whole = {name: load_image(folder / name) for name, _, _ in CROPS}
    return [whole[name][:, top : top + SIDE, left : left + SIDE] for name, top, left in CROPS]


def order_by_kind(name: str, kinds: Sequence[str] = KINDS) -> dict[str, list[float]]:
    """Spearman's correlation for each kind of damage and each crop."""
    metric = create_metric(name, reduction="none")
    pictures = crops()
    return {
        kind: [spearman_of_levels(metric, picture, kind, seed=index) for index, picture in enumerate(pictures)]
        for kind in kinds
    }


def spearman_of_levels(metric: Any, picture: Tensor, kind: str, seed: int) -> float:
    """Spearman's correlation between the level of one kind of damage to a picture and its falling score."""
    damaged = [distort(picture, kind, level / LEVELS, seed=seed) for level in range(1, LEVELS + 1)]
    references = [picture.expand(LEVELS, -1, -1, -1)] if get_card(metric.model).mode == "FR" else []
    scores = metric(torch.stack(damaged), *references)
    falling = -scores if metric.higher_is_better else scores
    return spearman_corrcoef(falling, torch.arange(1, LEVELS + 1, dtype=torch.float32)).item()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metric", default="topiq_nr-lite")
    parser.add_argument("--kinds", nargs="+", choices=list(DISTORTIONS), default=KINDS, metavar="KIND")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    order = order_by_kind(arguments.metric, arguments.kinds)
    means = {kind: statistics.mean(values) for kind, values in order.items()}
    overall = statistics.mean(means.values())
    print(f"{arguments.metric}: Spearman between damage level and falling score, {len(CROPS)} crops x {LEVELS} levels")
    print(f"{'damage':16} {'mean':>6} {'worst':>6}")
    for kind, values in order.items():
        print(f"{kind:16} {means[kind]:6.3f} {min(values):6.3f}")
    print(f"{'all':16} {overall:6.3f}   (bar: {BAR_MEAN} over all, {BAR_EACH} for each)")
    if arguments.json:
        arguments.json.write_text(json.dumps({"metric": arguments.metric, "mean": means, "crops": order}, indent=2))
    return 0 if overall >= BAR_MEAN and min(means.values()) >= BAR_EACH else 1


if __name__ == "__main__":
    sys.exit(main())
