"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import ColumnTests, ReaderTests, save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError, find_datasets


class TestAIGIQA20k(ColumnTests, ReaderTests):
    reader = datasets.AIGIQA20k
    higher_is_better = True
    labels = "info_train.csv"
    column = "mos"
    number = "1.25"
    image = "train/DALLE2_0000.png"
    expected: ClassVar = {
        "train": [("train/DALLE2_0000.png", 1.25), ("train/SD_0001.png", 4.5)],
        "val": [("val/SD_0002.png", 3.0)],
        "test": [("test/SD_0003.png", 2.0)],
    }
    extras: ClassVar = {"train/DALLE2_0000.png": {"prompt": "a dog, asleep"}}
    groups: ClassVar = {"train/SD_0001.png": "a dog, asleep"}

    def make(self, root: Path) -> None:
        for split, images in self.expected.items():
            save(root, *(path for path, _ in images))
            rows = "".join(f'{Path(path).name},"a dog, asleep",{score}\n' for path, score in images)
            write(root, f"info_{split}.csv", f"name,prompt,mos\n{rows}")

    def test_part_without_a_split(self, root):
        (root / "info_test.csv").unlink()
        assert len(self.reader(root, partial=True)) == 3
        assert len(self.reader(root, "validation")) == 1
        with pytest.raises(DatasetError, match=r"there is no label file .*info_test\.csv"):
            self.reader(root, "test", partial=True)

    def test_names_in_no_known_column(self, root):
        self.spoil(root, "name,", "picture,")
        with pytest.raises(DatasetError, match=r"has no column 'name'; its columns are \['picture', 'prompt', 'mos'\]"):
            self.reader(root)

    def test_other_sets_with_such_files(self, tmp_path):
        write(tmp_path, "info_train.csv", "id,label\n1,2\n")
        assert find_datasets(tmp_path) == []
