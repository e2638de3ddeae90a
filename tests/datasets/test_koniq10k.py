"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import ColumnTests, ReaderTests, save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DATASETS, DatasetError, check_folder


class TestKonIQ10k(ColumnTests, ReaderTests):
    reader = datasets.KonIQ10k
    higher_is_better = True
    labels = "koniq10k_distributions_sets.csv"
    column = "MOS"
    number = "58.5"
    image = "512x384/10004473376.jpg"
    expected: ClassVar = {
        "training": [("512x384/10004473376.jpg", 58.5), ("512x384/2.jpg", 20.0)],
        "validation": [("512x384/3.jpg", 30.0)],
        "test": [("512x384/4.jpg", 99.5)],
    }
    extras: ClassVar = {"512x384/4.jpg": {"std": 0.4, "ratings": (0.0, 0.0, 1.0, 2.0, 99.0)}}

    def make(self, root: Path) -> None:
        save(root, *(path for images in self.expected.values() for path, _ in images))
        write(
            root,
            self.labels,
            "image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,set\n10004473376.jpg,0,0,25,73,7,105,58.5,0.6,training\n"
            "4.jpg,0,0,1,2,99,102,99.5,0.4,test\n3.jpg,0,0,1,2,99,102,30,0.4,validation\n"
            "2.jpg,0,0,1,2,99,102,20,0.4,training\n",
        )

    def test_the_file_without_splits(self, root):
        (root / self.labels).unlink()
        write(
            root,
            "koniq10k_scores_and_distributions.csv",
            '"image_name","c1","c2","c3","c4","c5","c_total","MOS","SD","MOS_zscore"\n'
            + "".join(f'"{i}.jpg",0,0,1,1,1,3,3.9,0.5,{70 + i}\n' for i in (2, 3, 4))
            + '"10004473376.jpg",0,0,1,1,1,3,3.9,0.5,71\n',
        )
        dataset = self.reader(root)
        assert {record.split for record in dataset.records} == {"all"}
        assert sorted(record.score for record in dataset.records) == [71, 72, 73, 74]
        with pytest.raises(DatasetError, match=r"there is no label file .*koniq10k_distributions_sets.csv"):
            self.reader(root, "test")

    def test_the_larger_images(self, root):
        (root / "512x384").rename(root / "1024X768")
        # The smaller ones are not there, or not yet.
        for number in range(2):
            dataset = self.reader(root, "test")
            assert len(dataset) == 1
            assert (dataset.facts.name, dataset.facts.key) == ("KonIQ-10k 1024x768", "koniq-10k-1024x768")
            assert pickle.loads(pickle.dumps(dataset)).facts == dataset.facts
            (root / f"512x384{'/more' * number}").mkdir()
        assert self.reader.facts.name == "KonIQ-10k"
        assert DATASETS["koniq-10k"] is self.reader
        (finding,) = check_folder(root)
        assert (finding.dataset, finding.problem) == ("koniq-10k", "")

    @pytest.mark.parametrize(
        ("place", "name"),
        [
            ("koniq10k_512x384", "KonIQ-10k"),
            ("koniq10k_512x384/512x384", "KonIQ-10k"),
            ("koniq10k_1024x768", "KonIQ-10k 1024x768"),
            ("koniq10k_1024x768/1024x768", "KonIQ-10k 1024x768"),
        ],
    )
    def test_folders_as_the_archives_unpack(self, place, name, root):
        (root / place).parent.mkdir(exist_ok=True)
        (root / "512x384").rename(root / place)
        beside = root / "koniq10k_scores_and_distributions"
        beside.mkdir()
        (root / self.labels).rename(beside / self.labels)
        dataset = self.reader(root)
        assert (dataset.facts.name, len(dataset)) == (name, 4)
        (finding,) = check_folder(root.parent)
        assert (finding.folder, finding.problem) == (root, "")

    def test_a_part_without_the_first_image(self, root):
        (root / self.image).unlink()
        (root / "1024x768").mkdir()
        dataset = self.reader(root, partial=True)
        assert (dataset.facts.name, len(dataset)) == ("KonIQ-10k", 3)

    def test_unknown_set(self, root):
        self.spoil(root, "validation", "val")
        with pytest.raises(DatasetError, match=r"expected a set of \('training', .*, but got 'val'"):
            self.reader(root)
