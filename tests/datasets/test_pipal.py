"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import NumberTests, ReaderTests, save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError


class TestPIPAL(NumberTests, ReaderTests):
    reader = datasets.PIPAL
    higher_is_better = True
    labels = "Train_Label/A0001.txt"
    number = "1408.1138"
    image = "Distortion_1/A0001_00_00.bmp"
    expected: ClassVar = {
        "train": [
            ("Distortion_1/A0001_00_00.bmp", 1408.1138),
            ("Distortion_4/A0001_06_01.bmp", 1000.0),
            ("Distortion_2/A0002_01_00.bmp", 1800.0),
        ]
    }
    references: ClassVar = {
        "Distortion_1/A0001_00_00.bmp": "Train_Ref/A0001.bmp",
        "Distortion_4/A0001_06_01.bmp": "Train_Ref/A0001.bmp",
        "Distortion_2/A0002_01_00.bmp": "Train_Ref/A0002.bmp",
    }
    extras: ClassVar = {"Distortion_4/A0001_06_01.bmp": {"distortion": "06"}}
    groups: ClassVar = {"Distortion_4/A0001_06_01.bmp": "a0001"}

    def make(self, root: Path) -> None:
        save(root, *self.references, *self.references.values())
        write(root, self.labels, "A0001_00_00.bmp,1408.1138\nA0001_06_01.bmp,1000.0000\n")
        write(root, "Train_Label/A0002.txt", "A0002_01_00.bmp,1800.0\n")

    def test_missing_label_file(self, root):
        # There is one for each reference: the rest is a part of the set.
        (root / self.labels).unlink()
        with pytest.raises(DatasetError, match="PIPAL: expected 3 images in the split 'train', but got 1"):
            self.reader(root)

    @pytest.mark.parametrize("place", ["Train_Dist", "Train_Dist/Distortion_1", "Dist_Imgs"])
    def test_one_folder(self, place, root):
        for path in self.references:
            save(root, f"{place}/{Path(path).name}")
            (root / path).unlink()
        for name in ("Distortion_1", "Distortion_2", "Distortion_4"):
            (root / name).rmdir()
        assert len(self.reader(root)) == 3

    @pytest.mark.parametrize("separator", [",", " "])
    def test_validation_part_of_the_challenges(self, separator, root, monkeypatch):
        monkeypatch.setattr(self.reader, "validation", {"val": 2})
        save(root, "Val_Ref/A0185.bmp", *(f"Val_Dist/A0185_10_0{i}.bmp" for i in range(2)))
        write(root, "val_label.txt", "".join(f"A0185_10_0{i}.bmp{separator}13{i}0.5\n" for i in range(2)))
        records = self.reader(root, "validation").records
        assert [(record.image.name, record.score, record.split) for record in records] == [
            ("A0185_10_00.bmp", 1300.5, "val"),
            ("A0185_10_01.bmp", 1310.5, "val"),
        ]
        assert records[0].reference == root / "Val_Ref/A0185.bmp"
        assert [len(self.reader(root, split)) for split in (None, "train")] == [5, 3]
        (root / "Train_Label").rename(root / "aside")
        assert len(self.reader(root, partial=True)) == 2

    def test_no_validation_part(self, root):
        with pytest.raises(DatasetError, match=r"there is no label file .*val_label\.txt"):
            self.reader(root, "val")
