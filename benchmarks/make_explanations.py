"""Make the pictures of the docs on explanations, and measure what they are to show: do the maps find the subject?

    python benchmarks/make_explanations.py docs/explain [--json FILE]

On the photographs of `docs/photographs`, whose subjects are outlined here by hand. First, where the maps are hot: how
much of a map is on the subject, per area, against all of the picture (1: no more than anywhere). Then, what counts:
the same damage on the subject only and on the rest only, and how much of the loss of score comes from the subject, per
area (50%: no more than from the rest). To compare with, the same for the left and for the upper half of each picture.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from topiq_metrics import Explanation, explain, load_image
from topiq_metrics.explaining.overlays import heat_on
from topiq_metrics.models.network import QualityNetwork
from topiq_metrics.training.distortions import distort
from topiq_metrics.weights import load_network

PHOTOGRAPHS = Path(__file__).parents[1] / "docs" / "photographs"
SUBJECTS = {  # x and y of the outline's corners, in pixels
    "astronaut": (  # the person, without the helmet that she holds
        (135, 70), (160, 20), (205, 12), (245, 25), (262, 75), (245, 130), (275, 170), (270, 230), (318, 300),
        (265, 335), (245, 385), (245, 447), (20, 447), (25, 300), (40, 235), (105, 185), (100, 150), (135, 130),
    ),
    "chelsea": (  # the cat, as far as it is in focus
        (5, 110), (40, 75), (60, 0), (390, 0), (372, 65), (355, 135), (330, 230), (300, 297), (20, 297),
    ),
    "coffee": (  # cup, saucer and spoon
        (60, 160), (80, 105), (130, 75), (135, 40), (170, 18), (215, 10), (265, 20), (300, 50), (318, 60), (308, 90),
        (345, 130), (358, 170), (340, 230), (300, 265), (225, 290), (150, 280), (95, 240), (65, 200),
    ),
    "rocket": ((217, 120), (222, 93), (229, 93), (234, 120), (237, 297), (213, 297)),
}  # fmt: skip
DAMAGE = {"blur": (0.55, 0.8), "jpeg": (0.6, 0.9), "noise": (0.5, 0.75)}  # as the photographs of the docs have it
LITE, MS_SSIM = "topiq_nr-lite", "ms_ssim"
COMPARED = (("attention", LITE), ("gate", LITE), ("contrast-structure", MS_SSIM))
SOFT_EDGE = 4
SHOWN = (("astronaut", LITE), ("coffee", LITE), ("coffee", MS_SSIM))  # with blur, slight


def outline(name: str, height: int, width: int) -> Image.Image:
    """White where the subject is."""
    return polygon(SUBJECTS[name], height, width)


def polygon(corners: Sequence[Sequence[float]], height: int, width: int) -> Image.Image:
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).polygon([tuple(corner) for corner in corners], fill=255)
    return mask


def parts(name: str, height: int, width: int) -> dict[str, Tensor]:
    """The subject and what it is compared with, with soft edges: ``(H, W)`` in [0, 1]."""
    x, y = width / 2, height / 2
    masks = {
        "subject": outline(name, height, width),
        "left half": polygon([(0, 0), (x, 0), (x, height), (0, height)], height, width),
        "upper half": polygon([(0, 0), (width, 0), (width, y), (0, y)], height, width),
    }
    blur = ImageFilter.GaussianBlur(SOFT_EDGE)
    return {part: torch.from_numpy(np.array(mask.filter(blur), dtype=np.float32)) / 255 for part, mask in masks.items()}


def on_subject(found: Explanation, kind: str, subject: np.ndarray) -> float:
    """The mean heat on the subject over that of the whole picture, as the mean over the levels."""
    ratios = []
    for level_map in found.maps.values():
        if level_map.kind == kind:
            heat = heat_on(level_map, *subject.shape)
            covered = ~np.isnan(heat)
            ratios.append(np.average(heat[covered], weights=subject[covered]) / heat[covered].mean())
    return float(np.mean(ratios))


def share_of(inside: Tensor, original: Tensor, damaged: Tensor, net: QualityNetwork) -> dict[str, float]:
    """By metric: how much of the loss per area comes from inside, when inside and outside are damaged one by one."""
    shares = {}
    for metric in (LITE, MS_SSIM):
        losses = []
        for part in (inside, 1 - inside):
            image = original + part * (damaged - original)
            if metric == LITE:
                loss = explain(original, net=net).score - explain(image, net=net).score
            else:
                loss = 1 - explain(image, original, MS_SSIM).score
            losses.append(max(loss, 0.0) / float(part.mean()))
        shares[metric] = losses[0] / sum(losses)
    return shares


Shares: TypeAlias = "dict[str, dict[str, dict[str, float]]]"
"""By part of the picture, metric and damage."""


def measure(name: str, net: QualityNetwork, folder: Path) -> tuple[dict[str, float], Shares]:
    """Both measurements on one photograph; the pictures of those that are shown are saved."""
    original = load_image(PHOTOGRAPHS / name / "0-original.jpg")
    size = original.shape[-2], original.shape[-1]
    subject = np.array(outline(name, *size), dtype=np.float32) / 255
    hot: dict[str, list[float]] = {kind: [] for kind, _ in COMPARED}
    shares: Shares = {part: {LITE: {}, MS_SSIM: {}} for part in parts(name, *size)}
    for damage, severities in DAMAGE.items():
        for degree, severity in enumerate(severities, start=1):
            damaged = distort(original, damage, severity, seed=0)
            found = {LITE: explain(damaged, net=net), MS_SSIM: explain(damaged, original, MS_SSIM)}
            for kind, metric in COMPARED:
                hot[kind].append(on_subject(found[metric], kind, subject))
            for part, inside in parts(name, *size).items():
                for metric, share in share_of(inside, original, damaged, net).items():
                    shares[part][metric][f"{damage}-{degree}"] = share
            for metric, one in found.items():
                if (name, metric) in SHOWN and (damage, degree) == ("blur", 1):
                    one.sheet().save(folder / f"{name}-{metric}.jpg", quality=85, optimize=True)
    return {"area": float(subject.mean())} | {kind: statistics.mean(values) for kind, values in hot.items()}, shares


def show(hot: dict[str, dict[str, float]], shares: dict[str, Shares]) -> None:
    print("How hot the maps are on the subject, per area (1: as everywhere), mean over levels and damage")
    print(f"{'':10} {'area':>6} {'attention':>10} {'gate':>6} {'ms_ssim':>8}")
    for name, values in hot.items():
        area, attention, gate, ms_ssim = values.values()
        print(f"{name:10} {area:6.0%} {attention:10.2f} {gate:6.2f} {ms_ssim:8.2f}")
    print("\nHow much of the loss per area comes from the subject (50%: as much as from the rest)")
    damages = [f"{damage}-{degree}" for damage, degrees in DAMAGE.items() for degree in range(1, len(degrees) + 1)]
    print(f"{'':10} {'':14}" + "".join(f"{damage:>10}" for damage in damages))
    for name, by_part in shares.items():
        for metric, values in by_part["subject"].items():
            print(f"{name:10} {metric:14}" + "".join(f"{values[damage]:10.0%}" for damage in damages))
    print(f"\nIn how many cases {LITE} gives a part more weight than {MS_SSIM} does, and the mean shares")
    for part in next(iter(shares.values())):
        cases = [(s[part][LITE][damage], s[part][MS_SSIM][damage]) for s in shares.values() for damage in damages]
        more = sum(lite > ms_ssim for lite, ms_ssim in cases)
        lite, ms_ssim = (statistics.mean(values) for values in zip(*cases, strict=True))
        print(f"{part:12} {more:3} of {len(cases)}   {lite:4.0%} {ms_ssim:4.0%}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="for the pictures")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    net = load_network(LITE, device="cpu")
    hot, shares = {}, {}
    for name in SUBJECTS:
        hot[name], shares[name] = measure(name, net, arguments.folder)
    show(hot, shares)
    if arguments.json:
        arguments.json.write_text(json.dumps({"hot": hot, "shares": shares}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
