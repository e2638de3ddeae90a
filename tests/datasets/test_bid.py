"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import ReaderTests, save, save_sheet

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError


class TestBID(ReaderTests):
    reader = datasets.BID
    higher_is_better = True
    labels = "DatabaseGrades.xlsx"
    image = "ImageDatabase/DatabaseImage0012.JPG"
    expected: ClassVar = {
        "all": [(f"ImageDatabase/DatabaseImage{i:04}.JPG", score) for i, score in ((1, 0.25), (12, 4.5), (586, 3.0))]
    }
    extras: ClassVar = {"ImageDatabase/DatabaseImage0012.JPG": {"std": 0.5}}

    def make(self, root: Path) -> None:
        save(root, *(path for path, _ in self.expected["all"]))
        self.write_labels(root, [1, 0.25, 0.75], [12, 4.5, 0.5], [586, 3, 1])

    def write_labels(self, root: Path, *rows: list[object]) -> None:
        save_sheet(root / self.labels, [["Image Number", "Average Subjective Grade", "std"], *rows])

    def test_what_is_no_number_of_an_image(self, root):
        self.write_labels(root, ["one", 0.25, 0.75])
        with pytest.raises(DatasetError, match=r"row 2: expected the number of an image, but got 'one'"):
            self.reader(root)
