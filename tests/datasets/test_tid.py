"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import NumberTests, ReaderTests, save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError, check_folder


class TestTID2013(NumberTests, ReaderTests):
    reader: ClassVar = datasets.TID2013
    higher_is_better = True
    labels = "mos_with_names.txt"
    number = "5.51429"
    image = "distorted_images/I01_01_1.bmp"
    last = 24
    expected: ClassVar = {
        "all": [
            ("distorted_images/I01_01_1.bmp", 5.51429),
            ("distorted_images/i02_24_5.bmp", 2.0),
            ("distorted_images/I25_03_2.bmp", 7.0),
        ]
    }
    references: ClassVar = {
        "distorted_images/I01_01_1.bmp": "reference_images/I01.BMP",
        "distorted_images/i02_24_5.bmp": "reference_images/I02.BMP",
        "distorted_images/I25_03_2.bmp": "reference_images/i25.bmp",
    }
    extras: ClassVar = {"distorted_images/I25_03_2.bmp": {"distortion": "03", "level": 2.0, "std": 0.3}}
    groups: ClassVar = {"distorted_images/I25_03_2.bmp": "i25"}

    def make(self, root: Path) -> None:
        save(root, *self.references, *self.references.values())
        middle = Path(self.expected["all"][1][0]).name.upper()
        write(root, self.labels, f"5.51429 I01_01_1.bmp\r\n2.00000 {middle}\r\n7.0 i25_03_2.bmp\r\n")
        write(root, "mos_std.txt", "0.1\r\n0.2\r\n0.3\r\n")

    def test_only_one_of_the_two_is_recognized(self, root):
        assert [finding.dataset for finding in check_folder(root)] == [self.reader.facts.key]

    def test_deviations_of_another_length(self, root):
        write(root, "mos_std.txt", "0.1\n")
        with pytest.raises(DatasetError, match=r"mos_std.txt: expected 3 lines, as in mos_with_names.txt, got 1"):
            self.reader(root)

    @pytest.mark.parametrize(
        ("line", "message"), [("5.5 I01.bmp", "expected a name like"), ("5.5", r"line 1: expected a value for each")]
    )
    def test_bad_lines(self, line, message, root):
        self.spoil(root, "5.51429 I01_01_1.bmp", line)
        with pytest.raises(DatasetError, match=message):
            self.reader(root)


class TestTID2008(TestTID2013):
    reader = datasets.TID2008
    expected: ClassVar = {
        "all": [
            ("distorted_images/I01_01_1.bmp", 5.51429),
            ("distorted_images/i02_17_4.bmp", 2.0),
            ("distorted_images/I25_03_2.bmp", 7.0),
        ]
    }
    references: ClassVar = {
        "distorted_images/I01_01_1.bmp": "reference_images/I01.BMP",
        "distorted_images/i02_17_4.bmp": "reference_images/I02.BMP",
        "distorted_images/I25_03_2.bmp": "reference_images/i25.bmp",
    }
