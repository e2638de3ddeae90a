"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import ColumnTests, ReaderTests, save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError, check_folder


class TestGFIQA20k(ColumnTests, ReaderTests):
    reader = datasets.GFIQA20k
    higher_is_better = True
    labels = "mos_val_rating.csv"
    column = "mos"
    number = "0.25"
    image = "image/0.png"
    expected: ClassVar = {"all": [(f"image/{i}.png", i / 20 + 0.25) for i in range(10)]}

    def make(self, root: Path) -> None:
        save(root, *(path for path, _ in self.expected["all"]))
        rows = "".join(f"{Path(path).name},{score}\n" for path, score in self.expected["all"])
        write(root, self.labels, f"img_name,mos\n{rows}")

    def test_missing_label_file(self, root):
        (root / self.labels).unlink()
        with pytest.raises(DatasetError, match=r"GFIQA-20k: expected one .csv file in .*: `labels=`"):
            self.reader(root)

    def test_another_csv_file_beside(self, root):
        write(root, "aside.csv", "a,b\n")
        (finding,) = check_folder(root)
        assert (finding.records, finding.problem) == (10, "")

    def test_label_file_of_another_name(self, root):
        (root / self.labels).rename(root / "mine.csv")
        (finding,) = check_folder(root)
        assert (finding.records, finding.problem) == (10, "")

    def test_named_label_file(self, root, tmp_path):
        write(tmp_path, "mine.csv", "name,mos\n0.png,0.5\n")
        (record,) = self.reader(root, labels=tmp_path / "mine.csv", partial=True).records
        assert record.score == 0.5
        write(tmp_path, "mine.csv", "file,mos\n0.png,0.5\n")
        with pytest.raises(DatasetError, match=r"mine.csv has no column 'name'; its columns are \['file', 'mos'\]"):
            self.reader(root, labels=tmp_path / "mine.csv")

    def test_shares(self, root):
        sizes = [len(self.reader(root, part, seed=0)) for part in ("train", "validation", "test")]
        assert sizes == [7, 1, 2]
