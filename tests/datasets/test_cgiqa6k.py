"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import NumberTests, ReaderTests, save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError, find_datasets


class TestCGIQA6k(NumberTests, ReaderTests):
    reader = datasets.CGIQA6k
    higher_is_better = True
    labels = "mos.csv"
    number = "1.57"
    image = "database/game_0967.jpg"
    expected: ClassVar = {
        "all": [("database/game_0967.jpg", 1.57), ("database/movie_2955.jpg", 4.22), ("database/game_0001.jpg", 0.5)]
    }
    extras: ClassVar = {"database/movie_2955.jpg": {"kind": "movie"}}

    def make(self, root: Path) -> None:
        save(root, *(path for path, _ in self.expected["all"]))
        rows = "".join(f"{Path(path).name},{score}\n" for path, score in self.expected["all"])
        write(root, self.labels, f"Image,MOS\n{rows}")

    def test_too_few_columns(self, root):
        write(root, self.labels, "Image\ngame_0967.jpg\n")
        with pytest.raises(DatasetError, match=r"line 2: expected a name and a score in the first two columns"):
            self.reader(root)

    def test_other_sets_with_such_a_file(self, tmp_path):
        write(tmp_path, "mos.csv", "name,mos\na.jpg,2\n")
        save(tmp_path, "database/a.jpg")
        assert find_datasets(tmp_path) == []
