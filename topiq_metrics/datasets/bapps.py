"""BAPPS: which of two patches looks more like the reference (Zhang, Isola, Efros, Shechtman, Wang, CVPR 2018)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, ClassVar

from topiq_metrics.datasets.base import DatasetFacts, IQADataset, PairDataset, PairRecord, Record
from topiq_metrics.datasets.files import Folder, read_npy

_COMMON: dict[str, Any] = {
    "citation": "R. Zhang, P. Isola, A. A. Efros, E. Shechtman, O. Wang. The unreasonable effectiveness of deep "
    "features as a perceptual metric. CVPR 2018",
    "license": "see its page",
    "source": "https://github.com/richzhang/PerceptualSimilarity",
    "score_range": (0.0, 1.0),
    "higher_is_better": True,
}


class BAPPS(PairDataset):
    """``2afc/{split}/{kind}/{ref,p0,p1,judge}/``: the share of votes for ``p1`` over ``p0``, 0 to 1."""

    facts = DatasetFacts(
        name="BAPPS",
        # Published to the nearest hundred for each kind.
        size={"train": 151_300, "val": 36_300},
        rounding=400,
        # Every pair has its own.
        references=187_600,
        note="pairs: scored by agreement with the observers' choices",
        **_COMMON,
    )
    marks: ClassVar = ("2afc/train", "2afc/val")
    kinds: ClassVar = {
        "train": ("traditional", "cnn", "mix"),
        "val": ("traditional", "cnn", "superres", "deblur", "color", "frameinterp"),
    }

    def read(self, folder: Folder) -> Iterator[PairRecord]:
        for split in self.wanted:
            for kind in self.kinds[split]:
                for stem, share, (reference, first, second) in _read(
                    folder, f"2afc/{split}/{kind}", "judge", ("ref", "p0", "p1")
                ):
                    id_ = f"{split}/{kind}/{stem}"
                    extras = {"distortion": kind}
                    yield PairRecord(reference, first, second, share, split, id_, id_, extras)


class BAPPSJND(IQADataset):
    """``jnd/val/{kind}/{p0,p1,same}/``: the share of observers who see no difference between ``p1`` and ``p0``.

    From 0 to 1, higher is better.
    """

    facts = DatasetFacts(
        name="BAPPS JND",
        size={"val": 9600},
        rounding=200,
        references=9600,
        note="the score is the share of observers who see no difference",
        **_COMMON,
    )
    marks: ClassVar = ("jnd/val",)
    kinds: ClassVar = ("traditional", "cnn")

    def read(self, folder: Folder) -> Iterator[Record]:
        for kind in self.kinds:
            for stem, share, (reference, image) in _read(folder, f"jnd/val/{kind}", "same", ("p0", "p1")):
                yield Record(image, share, "val", reference, id=f"{kind}/{stem}", extras={"distortion": kind})


def _read(folder: Folder, place: str, votes: str, roles: tuple[str, ...]) -> Iterator[tuple[str, float, list[Any]]]:
    """The name, share and images of each vote in a folder."""
    if folder.partial and folder.find(place) is None:
        return
    labels = folder.find(folder.folder(f"{place}/{votes}"))
    for name in folder.names(f"{place}/{votes}"):
        stem, _, ending = name.rpartition(".")
        if ending.lower() != "npy" or labels is None:
            continue
        path = f"{labels}{os.sep}{name}"
        images = [folder.image(path, f"{place}/{role}/{stem}.png") for role in roles]
        if None not in images:
            yield stem, read_npy(path), images
