"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from reader_tester import ColumnTests, ReaderTests, save, write

from topiq_metrics import datasets


class TestUHDIQA(ColumnTests, ReaderTests):
    reader = datasets.UHDIQA
    higher_is_better = True
    labels = "uhd-iqa-metadata.csv"
    column = "quality_mos"
    number = "0.25"
    image = "training/100.jpg"
    expected: ClassVar = {
        "training": [("training/100.jpg", 0.25)],
        "validation": [("validation/101.jpg", 0.5)],
        "test": [("test/102.jpg", 0.75)],
    }
    extras: ClassVar = {"test/102.jpg": {"subset": "hq"}}

    def make(self, root: Path) -> None:
        save(root, *(path for images in self.expected.values() for path, _ in images))
        write(
            root,
            self.labels,
            '"image_name","quality_mos","set","subset","views"\n"100.jpg",0.25,"training","",3\n'
            '"101.jpg",0.5,"validation","hq",3\n"102.jpg",0.75,"test","hq",3\n',
        )

    def test_one_folder(self, root):
        for path in ("training/100.jpg", "validation/101.jpg", "test/102.jpg"):
            save(root, f"challenge/images/{Path(path).name}")
            (root / path).unlink()
        assert len(self.reader(root, "test")) == 1
