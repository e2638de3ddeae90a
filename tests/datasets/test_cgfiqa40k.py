"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import ColumnTests, ReaderTests, save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError, dslfiqa


class TestCGFIQA40k(ColumnTests, ReaderTests):
    reader = datasets.CGFIQA40k
    higher_is_better = True
    labels = "train/label.json"
    column = "MOS"
    number = "0.125"
    image = "train/img/0.png"
    expected: ClassVar = {
        "train": [("train/img/0.png", 0.125), ("train/img/1.png", 0.5)],
        "val": [("val/img/0.png", 0.5)],
        "test": [("test/img/0.png", 0.75)],
    }

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        monkeypatch.setattr(dslfiqa, "COUNTS", {"GFIQA-20k": 10, "CGFIQA-40k": 4})

    def make(self, root: Path) -> None:
        for split, images in self.expected.items():
            save(root, *(path for path, _ in images))
            values = {"Image": [Path(path).name for path, _ in images], "MOS": [score for _, score in images]}
            write(root, f"{split}/label.json", json.dumps(values))

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('{"Image": ["0.png"], "MOS": []}', r"expected lists of one length, but got \{'Image': 1, 'MOS': 0\}"),
            ("[1", "label.json is not a JSON file"),
            ("[1]", r"label.json has no list 'Image'; expected the lists \('Image', 'MOS'\)"),
        ],
    )
    def test_bad_label_file(self, text, message, root):
        write(root, self.labels, text)
        with pytest.raises(DatasetError, match=message):
            self.reader(root)
