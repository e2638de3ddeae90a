"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import ReaderTests, cell, save, save_mat

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError


class TestLIVEChallenge(ReaderTests):
    reader = datasets.LIVEChallenge
    higher_is_better = True
    labels = "Data/AllMOS_release.mat"
    image = "Images/3.bmp"
    expected: ClassVar = {
        "all": [("Images/3.bmp", 63.5), ("Images/4.JPG", 20.0), ("Images/6.bmp", 90.0), ("Images/7.bmp", 55.0)]
    }
    extras: ClassVar = {"Images/3.bmp": {"std": 18.0}}

    def make(self, root: Path) -> None:
        training = [f"t{i}.bmp" for i in range(1, 8)]
        save(root, *(path for path, _ in self.expected["all"]), *(f"Images/trainingImages/{name}" for name in training))
        names = cell(*training, "3.bmp", "4.jpg", "6.bmp", "7.bmp").T
        save_mat(root / "Data/AllImages_release.mat", AllImages_release=names)
        save_mat(root / self.labels, AllMOS_release=[[1.0] * 7 + [63.5, 20.0, 90.0, 55.0]])
        save_mat(root / "Data/AllStdDev_release.mat", AllStdDev_release=[[0.0] * 7 + [18.0, 19.0, 20.0, 21.0]])

    def test_files_of_different_lengths(self, root):
        save_mat(root / "Data/AllImages_release.mat", AllImages_release=cell("3.bmp"))
        with pytest.raises(DatasetError, match=r"AllImages_release.mat: expected 11 entries, as in AllMOS_.*, got 1"):
            self.reader(root)
