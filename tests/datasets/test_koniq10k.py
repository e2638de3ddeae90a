"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import ColumnTests, ReaderTests, save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DATASETS, DatasetError, check_folder

pytestmark = pytest.mark.quick


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
    extras: ClassVar = {
        "512x384/4.jpg": {"ratings_std": 0.4, "ratings": (0.0, 0.0, 1.0, 2.0, 99.0)},
        # In the authors' file, they are shares of the total.
        "512x384/3.jpg": {"ratings_std": 0.5, "ratings": (0.0, 0.0, 25.0, 73.0, 7.0)},
    }

    def make(self, root: Path) -> None:
        save(root, *(path for images in self.expected.values() for path, _ in images))
        write(
            root,
            self.labels,
            "image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,set\n10004473376.jpg,0,0,25,73,7,105,58.5,0.6,training\n"
            "4.jpg,0,0,1,2,99,102,99.5,0.4,test\n3.jpg,0.0,0.0,0.238095238095,0.695238095238,0.0666666666667,105,30,0.5,validation\n"
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


class TestKonIQ10kPlusPlus(ColumnTests, ReaderTests):
    beside = ("koniq-10k",)
    reader = datasets.KonIQ10kPlusPlus
    higher_is_better = True
    labels = "koniq++database.csv"
    column = "qmos"
    number = "3.25"
    image = "512x384/1.jpg"
    expected: ClassVar = {
        "training": [("512x384/1.jpg", 3.25), ("512x384/2.jpg", 2.0)],
        "validation": [("512x384/3.jpg", 4.0)],
        "test": [("512x384/4.jpg", 5.0)],
    }
    extras: ClassVar = {
        "512x384/1.jpg": {"std": 0.75, "artifacts": 0.25, "blur": 0.5, "contrast": 0.0, "colors": 0.125}
    }

    def make(self, root: Path) -> None:
        images = {path: (score, split) for split, rows in self.expected.items() for path, score in rows}
        save(root, *images)
        # Votes of two kinds for the same images, in two files and in two orders.
        rows = "".join(
            f'"{Path(path).name}",{score},0.75,56,0.25,0.5,0,0.125,0,0.0357\n' for path, (score, _) in images.items()
        )
        head = '"filename","qmos","sd","votes","artifacts","blur","contrast","colors","other","degraded.amount"'
        write(root, self.labels, f"{head}\n{rows}")
        sets = "".join(
            f"{Path(path).name},0,0,1,2,3,6,70,0.5,{split}\n" for path, (_, split) in reversed(images.items())
        )
        write(root, "koniq10k_distributions_sets.csv", f"image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,set\n{sets}")

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        facts = replace(datasets.KonIQ10k.facts, size={"training": 2, "validation": 1, "test": 1})
        monkeypatch.setattr(datasets.KonIQ10k, "facts", facts)

    def test_without_splits(self, root):
        (root / "koniq10k_distributions_sets.csv").unlink()
        assert {record.split for record in self.reader(root).records} == {"all"}
        with pytest.raises(DatasetError, match=r"there is no label file .*koniq10k_distributions_sets.csv"):
            self.reader(root, "test")
        (finding,) = (finding for finding in check_folder(root) if finding.dataset == "koniq-10k++")
        assert finding.problem.startswith("images and scores are whole, but the splits are not known: KonIQ-10k++")

    def test_image_without_a_set(self, root):
        self.spoil(root, '"1.jpg"', '"5.jpg"')
        with pytest.raises(DatasetError, match=r"line 2: '5\.jpg' is in no set of koniq10k_distributions_sets"):
            self.reader(root)

    def test_the_test_part_alone(self, root):
        for name in ("1", "2", "3"):
            (root / f"512x384/{name}.jpg").unlink()
        for reader in (datasets.KonIQ10k, self.reader):
            assert len(reader(root, "test")) == 1
