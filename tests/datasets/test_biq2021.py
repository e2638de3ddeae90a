"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import ColumnTests, ReaderTests, save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError


class TestBIQ2021(ColumnTests, ReaderTests):
    reader = datasets.BIQ2021
    higher_is_better = True
    labels = "Train (Images and MOS).csv"
    column = "MOS"
    number = " 0.5 "
    image = "Images/SS02 (17).JPG"
    expected: ClassVar = {
        "train": [("Images/ss01 (1).jpg", 0.25), ("Images/SS02 (17).JPG", 0.5), ("Images/ss05 (3).jpg", 1.0)],
        "test": [("Images/ss01 (2).jpg", 0.0), ("Images/ss03 (9).jpg", 0.75)],
    }

    def make(self, root: Path) -> None:
        save(root, *(path for images in self.expected.values() for path, _ in images))
        # A byte-order mark, Windows' line ends, empty columns and rows, spaces, letters of another case.
        write(
            root,
            self.labels,
            b"\xef\xbb\xbfImage Name,MOS,,\r\nss01 (1).jpg,0.25,,\r\nss02 (17).jpg, 0.5 ,,\r\n\r\n"
            b"SS05 (3).JPG,1,,\r\n,,,\r\n",
        )
        write(root, "Test (Images and MOS).csv", "Image Name,MOS\nss01 (2).jpg,0\nss03 (9).jpg,0.75\n")

    def test_published_size(self):
        assert dict(self.reader.facts.size) == {"train": 10000, "test": 2000}

    def test_the_same_case_wins(self, root):
        upper, lower = root / "Images" / "SS09 (1).jpg", root / "Images" / "ss09 (1).jpg"
        save(root, "Images/SS09 (1).jpg", "Images/ss09 (1).jpg")
        if upper.samefile(lower):
            pytest.skip("file names differ by more than case here")
        write(root, self.labels, "Image Name,MOS\nss09 (1).jpg,0.5\nSS09 (1).jpg,0.6\n")
        assert [record.image for record in self.reader(root, "train", partial=True).records] == [lower, upper]

    def test_folders_and_label_files_of_another_case(self, root):
        (root / "Images").rename(root / "aside")
        (root / "aside").rename(root / "images")
        (root / self.labels).rename(root / "aside.csv")
        (root / "aside.csv").rename(root / self.labels.lower())
        assert len(self.reader(root, "train")) == 3

    def test_columns_in_another_order(self, root):
        write(root, self.labels, "Index,mos,Image Name\n1,0.5,ss01 (1).jpg\n")
        (record,) = self.reader(root, "train", partial=True).records
        assert (record.image.name, record.score) == ("ss01 (1).jpg", 0.5)

    def test_a_part_may_lack_a_split(self, root):
        (root / "Test (Images and MOS).csv").unlink()
        assert len(self.reader(root, partial=True)) == 3
        with pytest.raises(DatasetError, match="there is no label file"):
            self.reader(root, "test", partial=True)

    def test_missing_images_folder(self, root):
        (root / "Images").rename(root / "Pictures")
        with pytest.raises(DatasetError, match=r"there is no folder .*Images"):
            self.reader(root, "train", partial=True)

    def test_no_image_at_all(self, root):
        for path in (root / "Images").iterdir():
            path.unlink()
        with pytest.raises(DatasetError, match="BIQ2021: there is no scored image of the split 'train' in "):
            self.reader(root, "train", partial=True)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "Image Name,Score,,\nss01 (1).jpg,0.5,,\n",
                r"has no column 'MOS'; its columns are \['Image Name', 'Score'\]",
            ),
            ("", "is empty"),
            ("Image Name,MOS\nss01 (1).jpg,nan\n", "expected a number as score, but got 'nan'"),
            ("Image Name,MOS\nss01 (1).jpg,inf\n", "expected a number as score, but got 'inf'"),
            ("Image Name,MOS\nss01 (1).jpg,0.5\nss05 (3).jpg\n", r"line 3: expected a value for each of"),
            ("Image Name,MOS\nss01 (1).jpg,\n", r"line 2: expected a value for each of \('Image Name', 'MOS'\)"),
            (b"Image Name,MOS\ncaf\xe9.jpg,0.5\n", "is not a CSV file in UTF-8"),
        ],
    )
    def test_bad_label_file(self, text, message, root):
        write(root, self.labels, text)
        with pytest.raises(DatasetError, match=message):
            self.reader(root, "train", partial=True)

    def test_the_real_one(self):
        folder = Path(os.environ.get("TOPIQ_METRICS_DATA", "")) / "biq2021"
        if "TOPIQ_METRICS_DATA" not in os.environ or not folder.is_dir():
            pytest.skip("TOPIQ_METRICS_DATA names no folder with biq2021/")
        dataset = self.reader(folder, partial=True)
        assert len(dataset) == 6376
        assert {record.split for record in dataset.records} == {"train"}
        assert all(0 <= record.score <= 1 for record in dataset.records)
        image, score = dataset[6375]
        assert image.shape[0] == 3
        assert score == dataset.records[6375].score
