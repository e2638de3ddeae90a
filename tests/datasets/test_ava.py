"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import NumberTests, ReaderTests, save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError


class TestAVA(NumberTests, ReaderTests):
    reader = datasets.AVA
    higher_is_better = True
    labels = "AVA.txt"
    number = "10"
    image = "ava_images/953619.jpg"
    expected: ClassVar = {
        "train": [("ava_images/953619.jpg", 5.5), ("ava_images/7.jpg", 1.0)],
        "test": [("ava_images/953958.jpg", 10.0)],
    }
    extras: ClassVar = {"ava_images/953958.jpg": {"ratings": (*[0.0] * 9, 4.0)}}

    def make(self, root: Path) -> None:
        save(root, *(path for images in self.expected.values() for path, _ in images))
        write(
            root,
            self.labels,
            "1 953619 10 0 0 0 0 0 0 0 0 10 1 22 1396\n2 953958 0 0 0 0 0 0 0 0 0 4 0 0 1396\n"
            "3 7 3 0 0 0 0 0 0 0 0 0 0 0 9\n",
        )
        write(root, "aesthetics_image_lists/generic_test.jpgl", "953958\n")

    def test_image_without_ratings(self, root):
        self.spoil(root, " 10 0 0 0 0 0 0 0 0 10 ", " 0 0 0 0 0 0 0 0 0 0 ")
        with pytest.raises(DatasetError, match=r"AVA.txt: expected ratings of the image 953619, but got none"):
            self.reader(root)

    def test_about_the_published_count(self, root, monkeypatch):
        facts = self.reader.facts
        for total in (1002, 1003):
            sizes: dict[str, int | None] = {"train": None, "test": None}
            monkeypatch.setattr(self.reader, "facts", replace(facts, size=sizes, total=total, rounding=1000))
            if total == 1003:
                with pytest.raises(DatasetError, match="expected about 1003 images, but got 3"):
                    self.reader(root)
            else:
                assert len(self.reader(root)) == 3
