"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import ReaderTests, save, save_sheet

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError


class TestCID2013(ReaderTests):
    reader = datasets.CID2013
    higher_is_better = True
    labels = "CID2013 data - version 12112014.xlsx"
    image = "IS1/co1/IS_I_C01_D01.jpg"
    expected: ClassVar = {
        "all": [
            ("IS1/co1/IS_I_C01_D01.jpg", 40.5),
            ("IS1/co1/IS_I_C01_D02.jpg", 80.0),
            ("IS2/co3/IS_II_C03_D01.jpg", 12.0),
        ]
    }
    groups: ClassVar = {"IS1/co1/IS_I_C01_D02.jpg": "is_i_c01", "IS2/co3/IS_II_C03_D01.jpg": "is_ii_c03"}

    def make(self, root: Path) -> None:
        save(root, *(path for path, _ in self.expected["all"]))
        self.write_labels(root, *([Path(path).stem, 1.0, score] for path, score in self.expected["all"]))

    def write_labels(self, root: Path, *rows: list[object]) -> None:
        columns = ["Source_ID", "Image set specific  MOS", "Realigned MOS"]
        save_sheet(root / self.labels, [columns, *rows], "CID2013 MOS")

    def test_what_is_no_name(self, root):
        self.write_labels(root, ["first", 1.0, 2.0])
        with pytest.raises(DatasetError, match=r"row 2: expected a name like 'IS_I_C01_D01', but got 'first'"):
            self.reader(root)
