"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import ColumnTests, ReaderTests, save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError, check_folder


class TestFLIVE(ColumnTests, ReaderTests):
    reader = datasets.FLIVE
    higher_is_better = True
    labels = "labels_image.csv"
    column = "mos"
    number = "59.6"
    image = "database/voc_emotic_ava/EMOTIC__a.jpg"
    expected: ClassVar = {
        "train": [("database/blur_dataset/motion0220.jpg", 33.3), ("database/EE371R/rq59.jpg", 10.0)],
        "validation": [("database/voc_emotic_ava/AVA__1.jpg", 70.0)],
        "test": [("database/voc_emotic_ava/EMOTIC__a.jpg", 59.6)],
    }

    def make(self, root: Path) -> None:
        save(root, *(path for images in self.expected.values() for path, _ in images), "database/patches/rq59.jpg")
        write(
            root,
            self.labels,
            "name,mos\nvoc_emotic_ava/EMOTIC__a.jpg,59.6\nblur_dataset/motion0220.jpg,33.3\n"
            "voc_emotic_ava/AVA__1.jpg,70\nEE371R/rq59.jpg,10\n",
        )
        write(root, "labels640.csv", "mos_image,name_image\n59.6,voc/EMOTIC__a.jpg\n")
        write(
            root,
            "labels=640_padded.csv",
            "name_image,is_valid\nvoc_emotic_ava/AVA__1.jpg,True\nEE371R/rq59.jpg,False\n",
        )

    def test_label_files_beside_the_images(self, root):
        for path in root.glob("*.csv"):
            path.rename(root / "database" / path.name)
        assert len(self.reader(root, "test")) == 1
        assert len(self.reader(root / "database", "validation")) == 1

    @pytest.mark.skipif(os.name == "nt", reason="names cannot hold < and > here")
    def test_names_as_the_authors_have_them(self, root):
        (root / "labels640.csv").rename(root / "labels>640.csv")
        (root / "labels=640_padded.csv").rename(root / "labels<=640_padded.csv")
        assert [len(self.reader(root, split)) for split in self.expected] == [2, 1, 1]

    def test_splits_that_nobody_asked_for(self, root):
        (root / "labels640.csv").unlink()
        assert {record.split for record in self.reader(root).records} == {"all"}
        pattern = r"there is no label file .*labels640\.csv.* in database/ of https://github.com/baidut/PaQ-2-PiQ"
        with pytest.raises(DatasetError, match=pattern):
            self.reader(root, "test")
        (finding,) = check_folder(root)
        assert re.search(rf"images and scores are whole, but the splits are not known: .*{pattern}", finding.problem)
        assert (finding.records, finding.usable, finding.missing) == (0, 4, 0)


class TestFLIVEPatches(ColumnTests, ReaderTests):
    reader = datasets.FLIVEPatches
    higher_is_better = True
    labels = "database/labels_patch.csv"
    column = "mos"
    number = "59.6"
    image = "database/patches/EMOTIC__a.jpg_patch_1.jpg"
    expected: ClassVar = {
        "train": [("database/patches/rq59.jpg_patch_3.jpg", 10.0)],
        "validation": [("database/patches/AVA__1.jpg_patch_1.jpg", 70.0)],
        "test": [(f"database/patches/EMOTIC__a.jpg_patch_{i}.jpg", score) for i, score in ((1, 59.6), (2, 30.0))],
    }
    groups: ClassVar = {"database/patches/EMOTIC__a.jpg_patch_2.jpg": "emotic__a.jpg"}

    def make(self, root: Path) -> None:
        save(root, *(path for images in self.expected.values() for path, _ in images))
        rows = [(path.removeprefix("database/"), score) for images in self.expected.values() for path, score in images]
        write(root, self.labels, "name,mos\n" + "".join(f"{name},{score}\n" for name, score in rows))
        write(root, "database/labels640.csv", "mos_image,name_image\n59.6,voc/EMOTIC__a.jpg\n")
        write(root, "database/labels=640_padded.csv", "name_image,is_valid\nvoc_emotic_ava/AVA__1.jpg,True\n")

    def test_names_without_a_folder(self, root):
        path = root / self.labels
        path.write_text(path.read_text().replace("patches/", ""))
        assert len(self.reader(root, "test")) == 2

    def test_what_is_no_patch(self, root):
        self.spoil(root, "rq59.jpg_patch_3.jpg", "rq59.jpg")
        with pytest.raises(DatasetError, match=r"line 2: expected a name like .*, but got 'patches/rq59"):
            self.reader(root)
