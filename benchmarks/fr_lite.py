"""How the bundled full-reference model agrees with people's scores of damage, and with metrics, at several sizes.

    python benchmarks/fr_lite.py --cid22 FOLDER --kadid10k FOLDER [--weights FILE] [--json FILE]

Measured are the pictures of CID22 that the model never saw (`make_pairs.py` deals them). Prints

- SRCC with KADID-10k's mean scores, of every kind and level of damage made on these pictures at KADID-10k's size: over
  all, and within each kind; for the model and for the quickest teachers;
- SRCC with the consensus of the quickest teachers at 256, 512 and 1024 px, where four pictures make a large one: a sum
  of their ranks at that size, with the weights that foretell KADID-10k's mean scores best at all ``--sizes`` together;
- how far a score moves when both images are enlarged to twice their size;
- whether equal images score 1 and above all others, what moving the image by a pixel costs beside mild blur, and that
  damage of one place is not spared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from consensus import fit_linear, human_means, ranks
from make_pairs import WHOLE, split_pictures
from numpy.typing import NDArray
from scipy.stats import spearmanr
from teachers import QUICK, lpips_network, measure
from torch import Tensor

from topiq_metrics.functional import topiq_full_reference
from topiq_metrics.images import load_image
from topiq_metrics.training.distortions import DISTORTIONS, distort
from topiq_metrics.training.distortions.arrays import as_picture
from topiq_metrics.training.distortions.kadid import KADID, kadid_damage

SIZES = (256, 512, 1024)
VERSIONS = 30
"""Damaged versions of a picture for the consensus, at each size."""


def in_8_bits(image: Tensor) -> Tensor:
    return load_image(as_picture(image))


class Scorer:
    def __init__(self, weights: str, size: str | None) -> None:
        self.weights, self.size = weights, size

    @torch.inference_mode()
    def __call__(self, images: Sequence[Tensor], references: Sequence[Tensor]) -> list[float]:
        scores: list[float] = []
        for image, reference in zip(images, references, strict=True):
            pair = (x[None] for x in (image, reference))
            scores += topiq_full_reference(*pair, weights=self.weights, size=self.size).flatten().tolist()
        return scores


def human(pictures: Sequence[Tensor], kinds: Path, score: Scorer, *, teachers: bool) -> dict[str, object]:
    rows, scores = [], []
    for index, picture in enumerate(pictures):
        clean = picture[:, : WHOLE[0], : WHOLE[1]]
        for number in KADID:
            damaged = [in_8_bits(kadid_damage(clean, number, level, seed=index)) for level in range(1, 6)]
            found = score(damaged, [clean] * 5)
            others = measure(torch.stack(damaged), clean.expand(5, -1, -1, -1), QUICK) if teachers else {}
            for level in range(5):
                rows.append({"kind": f"kadid-{number}", "level": str(level + 1)})
                rows[-1] |= {name: str(values[level]) for name, values in others.items()}
            scores += found
    means = human_means(rows, kinds / "kinds.csv")
    columns = {"topiq_fr-lite": np.array(scores)}
    if teachers:
        quick = ranks(rows, QUICK, np.ones(len(rows), bool))
        columns |= {name: quick[:, index] for index, name in enumerate(QUICK)}
    result: dict[str, object] = {}
    print(f"{len(rows)} pairs of {len(pictures)} pictures; SRCC with KADID-10k's mean scores of kind and level")
    of = np.array([row["kind"] for row in rows])
    for name, values in columns.items():
        within = {kind: spearmanr(values[of == kind], means[of == kind]).statistic for kind in dict.fromkeys(of)}
        overall = spearmanr(values, means).statistic
        worst = sorted(within, key=lambda kind: within[kind])[:3]
        print(
            f"{name:14} all {overall:.3f}, within a kind: median {statistics.median(within.values()):.3f}, least "
            + ", ".join(f"{within[kind]:.3f} ({KADID[int(kind[6:])].name})" for kind in worst)
        )
        result[name] = {"all": overall, "within": within}
    return result


@dataclass(frozen=True)
class Judged:
    """Pairs of one size: kinds and levels, scores, and the teachers' ranks, ``(N, T)``."""

    rows: list[dict[str, str]]
    scores: list[float]
    ranks: NDArray[np.float64]


def agreement(pictures: Sequence[Tensor], sizes: Sequence[int], kinds: Path, score: Scorer) -> dict[int, float]:
    """SRCC with the consensus of the teachers on pictures of each size, in px a side."""
    judged = {size: judge(pictures, size, score) for size in sizes}
    features = np.concatenate([each.ranks for each in judged.values()])
    means = human_means([row for each in judged.values() for row in each.rows], kinds)
    known = np.isfinite(means)
    weights, _ = fit_linear(features[known], means[known])
    print(
        f"weights, fitted to {known.sum()} pairs: "
        + ", ".join(f"{n} {w:.2f}" for n, w in zip(QUICK, weights, strict=True))
    )
    return {size: float(spearmanr(each.scores, each.ranks @ weights).statistic) for size, each in judged.items()}


def judge(pictures: Sequence[Tensor], size: int, score: Scorer) -> Judged:
    """Score damaged versions of pictures cut or put together to ``size`` px a side."""
    clean = []
    for index, picture in enumerate(pictures):
        if size <= 512:
            clean.append(picture[:, :size, :size])
        elif index % 4 == 3:
            top, bottom = (torch.cat(list(pictures[i : i + 2]), dim=2) for i in (index - 3, index - 1))
            clean.append(torch.cat([top, bottom], dim=1))
    rows, scores = [], []
    for index, reference in enumerate(clean):
        generator = torch.Generator().manual_seed(index)
        for version in range(VERSIONS):
            seed = int(torch.randint(2**31, (), generator=generator))
            chosen = torch.rand(2, generator=generator).tolist()
            if version % 2:
                number = list(KADID)[int(chosen[0] * len(KADID))]
                kind, level = f"kadid-{number}", 1 + 4 * chosen[1]
                damaged = kadid_damage(reference, number, level, seed=seed)
            else:
                kind, level = list(DISTORTIONS)[int(chosen[0] * len(DISTORTIONS))], chosen[1]
                damaged = distort(reference, kind, level, seed=seed)
            damaged = in_8_bits(damaged)
            scores += score([damaged], [reference])
            values = measure(damaged[None], reference[None], QUICK)
            rows.append({"kind": kind, "level": str(level)} | {name: str(value[0]) for name, value in values.items()})
    return Judged(rows, scores, ranks(rows, QUICK, np.ones(len(rows), bool)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cid22", type=Path, required=True, help="the folder with CID22's clean pictures in images/")
    parser.add_argument("--kadid10k", type=Path, required=True, help="the folder of kinds.csv: mean scores")
    parser.add_argument("--weights", default="default", help="a weights file instead of the bundled one")
    parser.add_argument("--size", help="a size rule instead of the model's own")
    parser.add_argument("--split", default="test", choices=("validation", "test"))
    parser.add_argument("--pictures", type=int, help="so many at most")
    parser.add_argument("--teachers", action="store_true", help="measure the teachers on the human scores, too")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, choices=SIZES, help="for the consensus")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.teachers or arguments.sizes:
        # What is not installed is said before minutes of work.
        lpips_network("lpips+")
    parts = split_pictures(arguments.cid22).items()
    chosen = [path for path, part in parts if part == arguments.split][: arguments.pictures]
    pictures = [load_image(path) for path in chosen]
    score = Scorer(arguments.weights, arguments.size)
    result: dict[str, object] = {"human": human(pictures, arguments.kadid10k, score, teachers=arguments.teachers)}

    moves, same, shifted, mild, local = [], [], [], [], []
    for index, picture in enumerate(pictures):
        clean = picture[:, : WHOLE[0], : WHOLE[1]]
        small = clean[:, :256, :256]
        for number in list(KADID)[index % 3 :: 3]:
            damaged = kadid_damage(small, number, 2 + index % 3, seed=index)
            pair = [damaged, small]
            twice = [
                F.interpolate(x[None], scale_factor=2, mode="bicubic", align_corners=False)[0].clamp(0, 1) for x in pair
            ]
            once, large = (score([a], [b])[0] for a, b in (pair, twice))
            moves.append(abs(once - large))
        moved = clean.roll(1, dims=2)
        moved[:, :, 0] = clean[:, :, 0]
        struck = clean.clone()
        struck[:, 180:212, 240:272] = 1 - struck[:, 180:212, 240:272]
        found = score([clean, moved, distort(clean, "blur", 0.1, seed=0), struck], [clean] * 4)
        for values, value in zip((same, shifted, mild, local), found, strict=True):
            values.append(value)
    result |= {
        "twice the size, median": statistics.median(moves),
        "twice the size, 95 %": float(np.quantile(moves, 0.95)),
        "equal images score 1": sum(value == 1 for value in same),
        "a pixel's shift above the mildest blur": sum(a > b for a, b in zip(shifted, mild, strict=True)),
        "medians": dict(zip(("same", "shifted", "mild blur", "a square inverted"),
                            map(statistics.median, (same, shifted, mild, local)), strict=True)),
    }  # fmt: skip
    agreed = agreement(pictures, arguments.sizes, arguments.kadid10k / "kinds.csv", score) if arguments.sizes else {}
    result |= {f"consensus at {size} px": value for size, value in agreed.items()}
    for key, value in result.items():
        if key != "human":
            print(f"{key}: {value if not isinstance(value, float) else f'{value:.3f}'} (of {len(pictures)} pictures)")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
