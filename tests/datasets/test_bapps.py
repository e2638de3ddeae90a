"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from reader_tester import PairTests, ReaderTests, save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError, check_folder


class TestBAPPSJND(ReaderTests):
    reader = datasets.BAPPSJND
    higher_is_better = True
    labels = "jnd/val/cnn/same/000001.npy"
    image = "jnd/val/cnn/p1/000001.png"
    expected: ClassVar = {
        "val": [
            ("jnd/val/traditional/p1/000000.png", 1.0),
            ("jnd/val/cnn/p1/000000.png", 0.0),
            ("jnd/val/cnn/p1/000001.png", 0.5),
        ]
    }
    references: ClassVar = {path: path.replace("p1", "p0") for path, _ in expected["val"]}
    extras: ClassVar = {"jnd/val/cnn/p1/000001.png": {"distortion": "cnn"}}

    def make(self, root: Path) -> None:
        save(root, *self.references, *self.references.values())
        for path, score in self.expected["val"]:
            place = root / path.replace("p1", "same").replace("png", "npy")
            place.parent.mkdir(parents=True, exist_ok=True)
            np.save(place, np.array([score], dtype=np.float32))

    def test_missing_label_file(self, root):
        (root / self.labels).unlink()
        with pytest.raises(DatasetError, match="BAPPS JND: expected 3 images in the split 'val', but got 2"):
            self.reader(root)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (np.array([np.nan]), "expected a number as score"),
            (np.zeros(2), r"000001.npy: expected one number, but got 2"),
            (None, r"000001.npy is not a file of numpy"),
        ],
    )
    def test_bad_label_file(self, value, message, root):
        if value is None:
            write(root, self.labels, "no array")
        else:
            np.save(root / self.labels, value)
        with pytest.raises(DatasetError, match=message):
            self.reader(root)


_BAPPS = [
    *(("train", "traditional", 0.0), ("train", "cnn", 1.0), ("train", "mix", 0.5)),
    *(("val", kind, 0.4) for kind in ("traditional", "cnn", "superres", "deblur", "color", "frameinterp")),
]


class TestBAPPS(PairTests):
    reader = datasets.BAPPS
    labels = "2afc/train/cnn/judge/000000.npy"
    image = "2afc/train/cnn/ref/000000.png"
    expected: ClassVar = {
        split: [
            (*(f"2afc/{split}/{kind}/{role}/000000.png" for role in ("ref", "p0", "p1")), share)
            for part, kind, share in _BAPPS
            if part == split
        ]
        for split in ("train", "val")
    }

    def make(self, root: Path) -> None:
        for split, kind, share in _BAPPS:
            save(root, *(f"2afc/{split}/{kind}/{role}/000000.png" for role in ("ref", "p0", "p1")))
            judge = root / f"2afc/{split}/{kind}/judge/000000.npy"
            judge.parent.mkdir()
            np.save(judge, np.array([share]))

    def test_missing_label_file(self, root):
        (root / self.labels).unlink()
        with pytest.raises(DatasetError, match="BAPPS: expected 3 pairs in the split 'train', but got 2"):
            self.reader(root)

    def test_only_one_split(self, root):
        (finding,) = check_folder(root)
        assert finding.splits == {}
        (root / "2afc/train").rename(root / "aside")
        (finding,) = check_folder(root)
        assert re.search(r"there is no folder .*train", finding.problem)
        assert finding.splits == {"val": 6}
        (root / "2afc/val/cnn/ref/000000.png").write_bytes(b"")
        (finding,) = check_folder(root)
        assert finding.splits == {}
