"""How small may the shorter side of a long, thin picture become? Size rules, measured on panoramas made for it.

A panorama is one of four free photographs (from the scikit-image wheel) and its mirror image, side by side until it has
the aspect ratio, three times enlarged: the quality is the same all along, so the right score is that of the photograph
by itself, under the rule ``max_side=512``. Photographs are scored as they are and under three kinds of damage in two
degrees; a full-reference metric compares with the photograph as it is.

    python benchmarks/long_pictures.py [--metric topiq_nr-lite] [--ratios 6 12 24] [--least 32 128] [--json FILE]

For each rule it prints the mean absolute difference from the right score and Spearman's correlation with it.
``least=L`` shrinks until the longer side is 512, but the shorter one to no less than L; ``crops`` is the mean over
windows along the longer side, 512 px wide, each at the scale of the photograph.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import skimage
import torch
from torch import Tensor
from torchmetrics.functional.regression import spearman_corrcoef

from topiq_metrics import SizePolicy, get_card, load_image
from topiq_metrics.inference.predictor import NetworkPredictor
from topiq_metrics.training.distortions import distort

NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
DAMAGE = (None, *((kind, level) for kind in ("blur", "noise", "jpeg") for level in (0.4, 0.8)))
HEIGHT, ENLARGED, SIDE = 300, 3, 512
Score = Callable[..., float]


def photographs() -> Iterator[tuple[Tensor, Tensor]]:
    """Each photograph under each damage, and as it is."""
    folder = Path(skimage.__file__).parent / "data"
    for seed, name in enumerate(NAMES):
        original = SizePolicy.parse(f"short_side={HEIGHT}").apply(load_image(folder / name))
        for damage in DAMAGE:
            yield original if damage is None else distort(original, *damage, seed=seed), original


def enlarged(image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    size = (ENLARGED * height, ENLARGED * width)
    return torch.nn.functional.interpolate(image[None], size, mode="bicubic", align_corners=False)[0].clamp(0, 1)


def panorama(image: Tensor, ratio: int) -> Tensor:
    reel = torch.cat([image, image.flip(-1)], dim=-1)
    width = ratio * image.shape[-2]
    return reel.repeat(1, 1, -(-width // reel.shape[-1]))[..., :width]


def shrunk(image: Tensor, least: int) -> Tensor:
    """The longer side to 512, but the shorter one to no less than ``least``."""
    height, width = image.shape[-2:]
    scale = min(1, max(SIDE / width, least / height))
    size = (round(scale * height), round(scale * width))
    return torch.nn.functional.interpolate(image[None], size, mode="bilinear", antialias=True, align_corners=False)[0]


def by_crops(score: Score, images: list[Tensor], photograph: Tensor) -> float:
    """The mean over windows along the longer side, at the scale at which ``photograph`` is scored."""
    height = SizePolicy.parse(f"max_side={SIDE}").output_size(*photograph.shape[-2:])[0]
    scaled = [shrunk(image, height) for image in images]
    width = scaled[0].shape[-1]
    count = -(-width // SIDE)
    starts = [round(i * (width - SIDE) / (count - 1)) for i in range(count)]
    return sum(score(*(image[..., at : at + SIDE] for image in scaled)) for at in starts) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metric", default="topiq_nr-lite")
    parser.add_argument("--ratios", nargs="+", type=int, default=[6, 12, 24])
    parser.add_argument("--least", nargs="+", type=int, default=[32, 64, 96, 128, 192, 256])
    parser.add_argument("--crops", action="store_true", help="also the mean over windows")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    predictor = NetworkPredictor(arguments.metric)
    policy = SizePolicy.parse(f"max_side={SIDE}")
    paired = get_card(arguments.metric).mode == "FR"

    def score(*images: Tensor) -> float:
        return predictor(*(image[None] for image in images)).item()

    pairs = [[enlarged(image) for image in pair[: 2 if paired else 1]] for pair in photographs()]
    right = torch.tensor([score(*map(policy.apply, pair)) for pair in pairs])
    found: dict[str, dict[str, list[float]]] = {}
    for ratio in arguments.ratios:
        rules = {f"least={least}": least for least in arguments.least if least * ratio > SIDE or least == 32}
        results: dict[str, list[float]] = {rule: [] for rule in rules}
        if arguments.crops:
            results["crops"] = []
        for pair in pairs:
            long = [panorama(image, ratio) for image in pair]
            for rule, least in rules.items():
                results[rule].append(score(*(shrunk(image, least) for image in long)))
            if arguments.crops:
                results["crops"].append(by_crops(score, long, pair[0]))
        found[str(ratio)] = results
        for rule, scores in results.items():
            values = torch.tensor(scores)
            difference = (values - right).abs().mean().item()
            bias = (values - right).mean().item()
            order = spearman_corrcoef(values, right).item()
            print(f"{ratio:3}:1  {rule:10}  off by {difference:.3f} (mean {bias:+.3f})  SRCC {order:.3f}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"right": right.tolist(), **found}, indent=2))


if __name__ == "__main__":
    main()
