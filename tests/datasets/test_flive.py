"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import ColumnTests, ReaderTests, save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError, check_folder, choose_datasets


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


class TestPatches:
    @pytest.fixture
    def root(self, tmp_path, monkeypatch) -> Path:
        """Two images of the test part and one of the training part, with three patches each."""
        names = [f"{name}.jpg_patch_{i}.jpg" for name in ("EMOTIC__a", "EMOTIC__b", "rq59") for i in (1, 2, 3)]
        save(tmp_path, *(f"database/patches/{name}" for name in names))
        rows = "".join(f"patches/{name},{10 * i}\n" for i, name in enumerate(names))
        write(tmp_path, "database/labels_patch.csv", f"name,mos\n{rows}")
        write(tmp_path, "database/labels640.csv", "mos_image,name_image\n1,voc/EMOTIC__a.jpg\n1,voc/EMOTIC__b.jpg\n")
        write(tmp_path, "database/labels=640_padded.csv", "name_image,is_valid\nvoc_emotic_ava/AVA__1.jpg,True\n")
        facts = replace(datasets.FLIVE.facts, size={"train": None, "validation": None, "test": 2}, total=3)
        monkeypatch.setattr(datasets.FLIVE, "facts", facts)
        return tmp_path

    def test_they_are_in_the_parts_of_their_images(self, root):
        write(root, "database/labels_image.csv", "")
        ((_, place, options),) = choose_datasets(f"{root}:patches=yes")
        dataset = datasets.FLIVE(place, "test", **options)
        assert [record.score for record in dataset.records] == [0, 10, 20, 30, 40, 50]
        assert (dataset.records[0].id, dataset.records[0].group) == ("emotic__a.jpg_patch_1.jpg", "emotic__a.jpg")
        assert dataset.records[0].image == root / "database/patches/EMOTIC__a.jpg_patch_1.jpg"
        assert (dataset.facts.name, dataset.facts.size["test"], dataset.facts.count) == ("FLIVE patches", 6, 9)
        assert {record.split for record in datasets.FLIVE(root, patches=True).records} == {"train", "test"}

    def test_names_without_a_folder(self, root):
        path = root / "database/labels_patch.csv"
        path.write_text(path.read_text().replace("patches/", ""))
        assert len(datasets.FLIVE(root, "test", patches=True)) == 6

    def test_too_few(self, root):
        path = root / "database/labels_patch.csv"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
        with pytest.raises(DatasetError, match="FLIVE patches: expected 9 images, but got 8"):
            datasets.FLIVE(root, patches=True)

    def test_what_is_no_patch(self, root):
        path = root / "database/labels_patch.csv"
        path.write_text(path.read_text().replace("EMOTIC__a.jpg_patch_1.jpg", "EMOTIC__a.jpg"))
        with pytest.raises(DatasetError, match=r"line 2: expected a name like .*, but got 'patches/EMOTIC__a\.jpg'"):
            datasets.FLIVE(root, patches=True)
