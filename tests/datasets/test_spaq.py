"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import ColumnTests, ReaderTests, save, save_sheet, write

from topiq_metrics import datasets
from topiq_metrics.datasets import check_folder


class SPAQTests(ReaderTests):
    reader = datasets.SPAQ
    higher_is_better = True
    image = "TestImage/00001.jpg"
    expected: ClassVar = {
        "all": [("TestImage/00001.jpg", 38.99), ("TestImage/00002.jpg", 5.0), ("TestImage/00003.jpg", 91.0)]
    }
    extras: ClassVar = {"TestImage/00002.jpg": {"brightness": 50.0, "sharpness": 10.0}}

    def make(self, root: Path) -> None:
        save(root, *(path for path, _ in self.expected["all"]))
        self.make_labels(root)

    def make_labels(self, root: Path) -> None:
        raise NotImplementedError


class TestSPAQ(ColumnTests, SPAQTests):
    labels = "Annotations/MOS and Image attribute scores.csv"
    column = "MOS"
    number = "38.99"

    def make_labels(self, root: Path) -> None:
        write(
            root,
            self.labels,
            b"\xef\xbb\xbfImage name,MOS,Brightness,Colorfulness,Contrast,Noisiness,Sharpness\r\n"
            b"00001.jpg,38.99,40,40,40,40,40\r\n00002.jpg,5,50,50,50,50,10\r\n00003.jpg,91,1,1,1,1,1\r\n",
        )


class TestSPAQWorkbook(SPAQTests):
    labels = "Annotations/MOS and Image attribute scores.xlsx"

    def make_labels(self, root: Path) -> None:
        rows = [["00001.jpg", 38.99, *[40] * 5], ["00002.jpg", 5, *[50] * 4, 10], ["00003.jpg", 91, *[1] * 5]]
        columns = ["Image name", "MOS", "Brightness", "Colorfulness", "Contrast", "Noisiness", "Sharpness"]
        save_sheet(root / self.labels, [columns, *rows])

    def test_missing_extra(self, root, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'topiq-metrics\[datasets\]'"):
            self.reader(root)
        (finding,) = check_folder(root)
        assert "pip install" in finding.problem
