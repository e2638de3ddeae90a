"""Make the leaderboards of the documentation again.

    python benchmarks/leaderboard.py no-reference docs/boards --biq2021 FOLDER
    python benchmarks/leaderboard.py full-reference docs/boards

no-reference: the part of BIQ2021 that the bundled model has neither been trained nor chosen on, dealt by the names of
its files, under every no-reference metric of all toolboxes that are installed.

full-reference: eight free pictures (public domain or CC0, from the scikit-image wheel), each in five levels of eight
kinds of damage, under every full-reference metric. The level is the label, and what counts is how well a metric orders
levels across pictures within one kind of damage, since levels of two kinds cannot be compared.

Each writes NAME.json, NAME.csv, NAME.md and NAME.html, without a picture. Scores are kept (--scores), so that a second
run computes what is missing only.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import skimage
from torchvision.utils import save_image

from topiq_metrics import load_image
from topiq_metrics.catalog import Mode
from topiq_metrics.contenders import find_toolbox_metrics, missing_toolboxes
from topiq_metrics.datasets import BIQ2021, CSVDataset, IQADataset
from topiq_metrics.images import SizePolicy
from topiq_metrics.leaderboard.outputs import SUFFIXES, write_outputs
from topiq_metrics.leaderboard.ranking import Rules
from topiq_metrics.leaderboard.run import run_leaderboard
from topiq_metrics.leaderboard.tables import as_markdown
from topiq_metrics.training.distortions import PLAIN, distort
from topiq_metrics.training.recipe import load_recipe
from topiq_metrics.training.splitting import split_records

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


def held_out(folder: Path) -> IQADataset:
    """The images that `topiq_nr-lite` was not trained or chosen on."""
    dataset = BIQ2021(folder, "train", partial=True)
    test = split_records(dataset, load_recipe("topiq_nr-lite").data).test
    dataset.records = [dataset.records[index] for index in test]
    dataset.split = "held-out part of train"
    return dataset


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
    dataset = held_out(arguments.biq2021) if mode == "NR" else damaged(arguments.scores / "pictures")
    metrics = [each for each in find_toolbox_metrics(arguments.metrics, mode) if each.mode == mode]
    board = run_leaderboard(
        [dataset], metrics, store=arguments.scores, notice=lambda text: print(text, file=sys.stderr, flush=True)
    )
    paths = [(arguments.output / arguments.board).with_suffix(suffix) for suffix in SUFFIXES]
    rankings = write_outputs(board, paths, Rules(median_of="distortion"), title=TITLES[arguments.board])
    print(as_markdown(rankings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
