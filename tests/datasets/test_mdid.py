"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import NumberTests, ReaderTests, save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError


class TestMDID(NumberTests, ReaderTests):
    reader = datasets.MDID
    higher_is_better = True
    labels = "mos.txt"
    number = "7.25"
    image = "distortion_images/img02_01.bmp"
    expected: ClassVar = {
        "all": [
            (f"distortion_images/img0{reference}_0{index}.bmp", score)
            for reference, index, score in ((1, 1, 7.25), (1, 2, 1.0), (2, 1, 3.5), (2, 2, 0.0))
        ]
    }
    references: ClassVar = {path: f"reference_images/{Path(path).name[:5]}.bmp" for path, _ in expected["all"]}
    groups: ClassVar = {"distortion_images/img02_01.bmp": "img02"}

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        monkeypatch.setattr(self.reader, "images_of_reference", 2)
        monkeypatch.setattr(self.reader, "facts", replace(self.reader.facts, references=2))

    def make(self, root: Path) -> None:
        save(root, *self.references, *self.references.values())
        write(root, self.labels, "".join(f"{score}\r\n" for _, score in self.expected["all"]))

    def test_a_line_too_few(self, root):
        write(root, self.labels, "1\n2\n3\n")
        with pytest.raises(DatasetError, match=r"mos\.txt: expected 4 lines, but got 3"):
            self.reader(root, partial=True)
