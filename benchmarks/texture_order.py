"""Does the score fall as the damage grows, whatever the picture shows? Twelve kinds of texture, one picture each.

Some are crops of free photographs (public domain or CC0, from the scikit-image wheel), and the others are made from
these: a flat wall, a night shot, film grain, and a subject before a blurred background. Each is damaged by blur, noise
and JPEG at five levels. Printed is Spearman's correlation between the level and the falling score.

    python benchmarks/texture_order.py [--metric topiq_nr-lite] [--weights FILE] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import skimage
import torch
from damage_order import KINDS, LEVELS, SIDE, spearman_of_levels
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from topiq_metrics import create_metric, load_image

DATA = Path(skimage.__file__).parent / "data"


def crop(name: str, top: int = 0, left: int = 0) -> Tensor:
    return load_image(DATA / name)[:, top : top + SIDE, left : left + SIDE]


def noise(seed: int) -> Tensor:
    return torch.randn(1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def flat_wall() -> Tensor:
    """Paint: nearly one colour, a slow change of light, and a faint grain of some pixels' width."""
    light = torch.linspace(0.95, 0.8, SIDE)[None, None] * torch.linspace(1, 0.95, SIDE)[None, :, None]
    grain = 0.05 * gaussian_blur(noise(0), [9, 9], [1.5, 1.5])
    return (light * torch.tensor([0.85, 0.80, 0.70])[:, None, None] + grain).clamp(0, 1)


def night() -> Tensor:
    """A photograph at an eighth of its light, with some noise of the sensor."""
    return (crop("coffee.png", 100, 250).pow(2.2).div(8).pow(1 / 2.2) + 0.01 * noise(1)).clamp(0, 1)


def film_grain() -> Tensor:
    return (crop("astronaut.png", 0, 60) + 0.04 * gaussian_blur(noise(2), [5, 5], [0.7, 0.7])).clamp(0, 1)


def bokeh() -> Tensor:
    """Sharp in the middle, out of focus around it."""
    sharp = crop("chelsea.png", 0, 80)
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, SIDE)] * 2, indexing="ij")
    inside = gaussian_blur(((x**2 + y**2) < 0.36).float()[None], [21, 21], [5.0, 5.0])
    return inside * sharp + (1 - inside) * gaussian_blur(sharp, [49, 49], [8.0, 8.0])


TEXTURES: dict[str, Callable[[], Tensor]] = {
    "regular: a wall of bricks": lambda: crop("brick.png", 100, 100),
    "fine: grass": lambda: crop("grass.png", 100, 100),
    "coarse: gravel": lambda: crop("gravel.png", 100, 100),
    "flat: a painted wall": flat_wall,
    "smooth: the surface of the moon": lambda: crop("moon.png", 100, 100),
    "print: a page of a book": lambda: crop("page.png"),
    "objects on a plain ground: coins": lambda: crop("coins.png"),
    "many small things: a workshop": lambda: crop("motorcycle_left.png", 100, 200),
    "points on black: galaxies": lambda: crop("hubble_deep_field.jpg", 300, 300),
    "night": night,
    "film grain": film_grain,
    "bokeh": bokeh,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metric", default="topiq_nr-lite")
    parser.add_argument("--weights", default="default")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    metric = create_metric(arguments.metric, weights=arguments.weights, reduction="none")
    order = {
        name: {kind: spearman_of_levels(metric, make(), kind, seed=0) for kind in KINDS}
        for name, make in TEXTURES.items()
    }
    print(f"{arguments.metric}: Spearman between damage level and falling score, {LEVELS} levels")
    print(f"{'':34}" + "".join(f"{kind:>8}" for kind in KINDS))
    for name, by in order.items():
        print(f"{name:34}" + "".join(f"{by[kind]:8.2f}" for kind in KINDS))
    values = [value for by in order.values() for value in by.values()]
    print(f"{'mean, worst':34}{statistics.mean(values):8.3f}{min(values):8.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"metric": arguments.metric, "order": order}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
