"""Train the read-out that finds damage without a reference, for the bundled no-reference model.

    python benchmarks/fit_readout.py BIQ2021 FILE [--images 2500] [--features CACHE.pt] [--threads 1]

Photographs of BIQ2021's official training part are damaged in one or two places, each by any of the kinds of damage of
`topiq_metrics.training.distortions`, some saved as JPEG after it. What is taught is the map that the bundled
full-reference model makes beside the undamaged photograph; what it is read from are the levels of the no-reference one.
An eighth of the crops is not trained on and reported: how often a damaged cell is worse than another one. Crops are
drawn with replacement, so that some of these are of photographs of which another part was trained on.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from local_maps import area_under_curve, in_bytes, saved
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from topiq_metrics import load_image
from topiq_metrics._version import __version__
from topiq_metrics.datasets import BIQ2021
from topiq_metrics.explaining.quality import WINDOWS, local_scores, pooled_levels
from topiq_metrics.explaining.readout import FINENESS, Readout, probe
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.training.distortions import DISTORTIONS, distort
from topiq_metrics.weights import load_network, resolve
from topiq_metrics.weights.hashes import sha256_of

NR, FR = "topiq_nr-lite", "topiq_fr-lite"
COMMON = ("blur", "noise", "jpeg", "quantization", "lens-blur", "low-resolution", "motion-blur", "webp")
EPOCHS, BATCH, RATE, DECAY, DROPOUT = 25, 16, 2e-3, 1e-2, 0.2


@dataclass(frozen=True)
class Example:
    """A damaged photograph: its levels ``(C, h, w)``, what each place lost ``(h, w)``, where it was damaged."""

    levels: Tensor
    quality: Tensor
    damaged: Tensor
    kind: str


def examples(paths: list[Path], count: int, seed: int) -> Iterator[Example]:
    rng = np.random.default_rng(seed)
    alone, beside = (load_network(name, device="cpu") for name in (NR, FR))
    assert isinstance(alone, CFANet)
    assert isinstance(beside, CFANet)
    for _ in range(count):
        reference = cropped(load_image(paths[rng.integers(len(paths))]), rng)
        mask = places(*reference.shape[-2:], rng)
        kind = str(rng.choice(list(DISTORTIONS) if rng.random() < 0.65 else COMMON))
        damaged = in_bytes(distort(reference, kind, rng.uniform(0.15, 1), seed=int(rng.integers(1 << 30))))
        if rng.random() < 0.1:
            mask = torch.zeros_like(mask)
        picture = torch.where(mask.bool(), damaged, reference)
        if rng.random() < 0.4:
            quality = int(rng.integers(60, 96))
            picture, reference = saved(picture, quality), saved(reference, quality)
        with torch.inference_mode():
            levels = torch.cat(pooled_levels(alone, [picture[None]], FINENESS, None), dim=1)[0]
            taught = local_scores(beside, [picture[None], reference[None]], WINDOWS["FR"])
        yield Example(levels.half(), taught.half(), F.adaptive_avg_pool2d(mask[None], taught.shape)[0], kind)


def cropped(photograph: Tensor, rng: np.random.Generator) -> Tensor:
    """A part of it, shrunk up to twice."""
    factor, side = rng.uniform(0.5, 1.0), int(rng.choice([256, 288, 320, 352, 384]))
    factor = max(factor, side / min(photograph.shape[-2:]))
    if factor < 1:
        photograph = F.interpolate(
            photograph[None], scale_factor=factor, mode="bicubic", antialias=True, align_corners=False
        )[0]
    height, width = photograph.shape[-2:]
    rows, columns = min(height, side), min(width, side + 32 * int(rng.integers(0, 3)))
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    return in_bytes(photograph[:, top : top + rows, left : left + columns])


def places(height: int, width: int, rng: np.random.Generator) -> Tensor:
    """One or two rectangles or ellipses, or all else: ``(H, W)``, 1 where it is to be damaged."""
    mask = torch.zeros(height, width)
    round_ones = rng.random() >= 0.6
    for _ in range(1 if rng.random() < 0.75 else 2):
        rows, columns = (int(side * rng.uniform(0.15, 0.5)) for side in (height, width))
        top, left = int(rng.integers(height - rows)), int(rng.integers(width - columns))
        if round_ones:
            y = (torch.arange(height).view(-1, 1) - top - rows / 2) / (rows / 2)
            x = (torch.arange(width) - left - columns / 2) / (columns / 2)
            mask[y**2 + x**2 <= 1] = 1
        else:
            mask[top : top + rows, left : left + columns] = 1
    return 1 - mask if rng.random() < 0.1 else mask


def fit(known: list[Example], seed: int) -> Readout:
    torch.manual_seed(seed)
    shuffle = random.Random(seed)
    readout = Readout(len(known[0].levels))
    places = torch.cat([each.levels.float().flatten(1)[:, ::7] for each in known], dim=1)
    readout.mean, readout.deviation = places.mean(dim=1), places.std(dim=1) + 1e-3
    optimizer = torch.optim.AdamW(readout.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS)
    by_shape = defaultdict(list)
    for each in known:
        by_shape[each.levels.shape].append(each)
    for _ in tqdm(range(EPOCHS), desc="epochs", mininterval=5):
        batches = []
        for several in by_shape.values():
            shuffle.shuffle(several)
            batches += [several[start : start + BATCH] for start in range(0, len(several), BATCH)]
        shuffle.shuffle(batches)
        for batch in batches:
            levels = torch.stack([each.levels for each in batch]).float()
            taught = torch.stack([each.quality for each in batch]).float()
            if shuffle.random() < 0.5:
                levels, taught = levels.flip(-1), taught.flip(-1)
            mean = readout.mean.view(-1, 1, 1)
            error = readout([F.dropout2d(levels - mean, DROPOUT) + mean]) - taught
            # What counts most is how the places of a picture differ.
            loss = error.square().mean() + 0.5 * (error - error.mean(dim=(1, 2), keepdim=True)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return readout.eval()


def report(readout: Readout, unknown: list[Example]) -> dict[str, float]:
    """The mean area under the curve: of the map that is taught, of the read-out, and by kind."""
    found: dict[str, list[float]] = defaultdict(list)
    for each in unknown:
        with torch.inference_mode():
            mapped = readout([each.levels.float()[None]])[0]
        damaged = each.damaged.numpy() > 0.5
        # Of a picture that is damaged nowhere, or everywhere, there is nothing to find.
        if damaged.any() and not damaged.all():
            found["taught"].append(area_under_curve(-each.quality.float().numpy(), damaged))
            area = area_under_curve(-mapped.numpy(), damaged)
            for name in ("all", *({each.kind} & set(COMMON))):
                found[name].append(area)
    return {name: round(float(np.mean(values)), 3) for name, values in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("biq2021", type=Path, help="its folder")
    parser.add_argument("file", type=Path, help="to write, .safetensors")
    parser.add_argument("--images", type=int, default=2500, help="how many damaged photographs")
    parser.add_argument("--features", type=Path, help="file that keeps what was computed of them")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dataset = BIQ2021(arguments.biq2021, "train", partial=True)
    levels, seed = probe(load_network(NR, device="cpu")), arguments.seed
    made_of = {
        "levels": [round(value, 6) for value in levels],
        "taught_by": sha256_of(resolve(FR)),
        "photographs": dataset.split_hash,
        "crops": arguments.images,
        "seed": seed,
    }
    if arguments.features and arguments.features.exists():
        kept = torch.load(arguments.features)
        if kept["made_of"] != made_of:
            parser.error(f"{arguments.features} was made of other weights, photographs, crops or of another seed")
        made = [Example(*each) for each in kept["examples"]]
    else:
        found = examples([record.image for record in dataset.records], arguments.images, seed)
        made = list(tqdm(found, total=arguments.images, desc="photographs", mininterval=5))
        if arguments.features:
            rows = [(each.levels, each.quality, each.damaged, each.kind) for each in made]
            torch.save({"made_of": made_of, "examples": rows}, arguments.features)
    known = [each for index, each in enumerate(made) if index % 8]
    readout = fit(known, seed)
    areas = report(readout, made[::8])
    print(json.dumps(areas, indent=1))
    about: dict[str, Any] = {
        **made_of,
        "name": NR,
        "about": f"crops of photographs of {dataset.facts.name}'s training part, damaged in places",
        "citation": dataset.facts.citation,
        "license": "Apache-2.0 (see its card for the data)",
        "auc": areas,
        "versions": {"topiq-metrics": __version__, "torch": torch.__version__},
    }
    tensors = {key: value.half().contiguous() for key, value in readout.state_dict().items()}
    save_file(tensors, arguments.file, metadata={"topiq_metrics": json.dumps(about, sort_keys=True)})
    print(arguments.file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
