"""How the bundled full-reference model keeps to the consensus that it was trained to, and to what is beyond doubt.

    python benchmarks/fr_lite.py PAIRS [--weights FILE] [--json FILE]

PAIRS is the folder that `make_pairs.py` has made; measured are its test contents, which the model never saw. Prints
SRCC with the consensus, over all and within each kind of damage, for the model and for each metric of the consensus; on
how many contents the same image scores above every damaged version, and a shift by a pixel costs less than the mildest
blur.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from make_pairs import TEACHERS
from scipy.stats import spearmanr
from torch.utils.data import DataLoader, Dataset

from topiq_metrics.images import load_image
from topiq_metrics.training.distortions import distort
from topiq_metrics.weights import shared_network

MILDEST_BLUR = 0.1
"""The severity of the first of five levels."""


class Pairs(Dataset[torch.Tensor]):
    def __init__(self, folder: Path, rows: list[dict[str, str]]) -> None:
        self.folder, self.rows = folder, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> torch.Tensor:
        row = self.rows[index]
        return torch.stack([load_image(self.folder / row[which]) for which in ("image", "reference")])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, help="the folder of pairs")
    parser.add_argument("--weights", default="default", help="a weights file instead of the bundled one")
    parser.add_argument("--split", default="test")
    parser.add_argument("--contents", type=int, help="so many at most")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with (arguments.pairs / "pairs.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == arguments.split]
    groups = list(dict.fromkeys(row["group"] for row in rows))[: arguments.contents]
    rows = [row for row in rows if row["group"] in set(groups)]
    net = shared_network("topiq_fr-lite", arguments.weights)
    with torch.inference_mode():
        loader = DataLoader(Pairs(arguments.pairs, rows), batch_size=8, num_workers=1)
        scores = torch.cat([net(pair[:, 0], pair[:, 1]) for pair in loader]).tolist()
        same, blurred = [], []
        for group in groups:
            content = load_image(arguments.pairs / "contents" / f"{group}.png")
            mild = distort(content, "blur", MILDEST_BLUR, seed=0)
            pair = net(torch.stack([content, mild]), torch.stack([content, content])).tolist()
            same.append(pair[0])
            blurred.append(pair[1])
    by_kind: dict[str, list[int]] = defaultdict(list)
    moved: dict[str, float] = {}
    damaged = []
    for i, row in enumerate(rows):
        if row["severity"]:
            damaged.append(i)
            by_kind["+" if "+" in row["kind"] else row["kind"]].append(i)
        else:
            moved[row["group"]] = scores[i]
    labels = np.array([float(row["score"]) for row in rows])
    columns = {"topiq_fr-lite": np.array(scores)} | {
        name: np.array([sign * float(row[name] or "nan") for row in rows]) for name, (_, sign, _) in TEACHERS.items()
    }
    result: dict[str, object] = {"contents": len(groups), "pairs": len(damaged)}
    print(f"{len(groups)} contents, {len(damaged)} damaged versions; SRCC with the consensus")
    for name, values in columns.items():
        within = {kind: spearmanr(values[at], labels[at]).statistic for kind, at in by_kind.items() if len(at) > 9}
        overall = spearmanr(values[damaged], labels[damaged]).statistic
        worst = min(within, key=lambda kind: within[kind])
        print(
            f"{name:14} all {overall:.3f}, median within a kind {statistics.median(within.values()):.3f}, "
            f"least {within[worst]:.3f} ({worst}), below 0.85: {sum(value < 0.85 for value in within.values())}"
        )
        result[name] = {"all": overall, "within": within}
    most = dict.fromkeys(groups, -np.inf)
    for i in damaged:
        most[rows[i]["group"]] = max(most[rows[i]["group"]], scores[i])
    shift = [moved[group] for group in groups]
    counts = {
        "the same image above every damaged version of it": sum(s > most[g] for s, g in zip(same, groups, strict=True)),
        "the same image above every damaged version of any": sum(s > max(most.values()) for s in same),
        "a shift by a pixel above the mildest blur": sum(s > b for s, b in zip(shift, blurred, strict=True)),
        "the same image above the shifted one": sum(s > t for s, t in zip(same, shift, strict=True)),
    }
    for what, count in counts.items():
        print(f"{what}: {count} of {len(groups)}")
    print(
        f"medians: same {statistics.median(same):.4f}, shifted {statistics.median(shift):.4f}, mildest blur "
        f"{statistics.median(blurred):.4f}"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps({**result, **counts}, indent=2), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
