"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import ColumnTests, ReaderTests, save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError, check_folder, dslfiqa


class TestGFIQA20k(ColumnTests, ReaderTests):
    reader = datasets.GFIQA20k
    higher_is_better = True
    labels = "mos_val_rating.csv"
    column = "mos"
    number = "0.25"
    image = "image/0.png"
    expected: ClassVar = {"all": [(f"image/{i}.png", i / 20 + 0.25) for i in range(10)]}

    def make(self, root: Path) -> None:
        save(root, *(path for path, _ in self.expected["all"]))
        rows = "".join(f"{Path(path).name},{score}\n" for path, score in self.expected["all"])
        write(root, self.labels, f"img_name,mos\n{rows}")

    def test_missing_label_file(self, root):
        (root / self.labels).unlink()
        with pytest.raises(DatasetError, match=r"GFIQA-20k: expected one .csv file in .*: `labels=`"):
            self.reader(root)

    def test_another_csv_file_beside(self, root):
        write(root, "aside.csv", "a,b\n")
        (finding,) = check_folder(root)
        assert (finding.records, finding.problem) == (10, "")

    def test_label_file_of_another_name(self, root):
        (root / self.labels).rename(root / "mine.csv")
        (finding,) = check_folder(root)
        assert (finding.records, finding.problem) == (10, "")

    def test_named_label_file(self, root, tmp_path):
        write(tmp_path, "mine.csv", "name,mos\n0.png,0.5\n")
        (record,) = self.reader(root, labels=tmp_path / "mine.csv", partial=True).records
        assert record.score == 0.5
        write(tmp_path, "mine.csv", "file,mos\n0.png,0.5\n")
        with pytest.raises(DatasetError, match=r"mine.csv has no column 'name'; its columns are \['file', 'mos'\]"):
            self.reader(root, labels=tmp_path / "mine.csv")

    def test_shares(self, root):
        sizes = [len(self.reader(root, part, seed=0)) for part in ("train", "validation", "test")]
        assert sizes == [7, 1, 2]


class TestGFIQA20kOfDSLFIQA:
    """The layout of CGFIQA-40k, for which it must not be taken."""

    @pytest.fixture
    def root(self, tmp_path, monkeypatch) -> Path:
        root = tmp_path / "faces"
        for split, count in (("train", 3), ("val", 1), ("test", 2)):
            names = [f"{split}{i}.png" for i in range(count)]
            save(root, *(f"{split}/img/{name}" for name in names))
            write(root, f"{split}/label.json", json.dumps({"Image": names, "MOS": [0.5] * count}))
        monkeypatch.setattr(dslfiqa, "COUNTS", {"GFIQA-20k": 6, "CGFIQA-40k": 12})
        monkeypatch.setattr(datasets.GFIQA20k, "facts", replace(datasets.GFIQA20k.facts, size={"all": 6}))
        return root

    def test_check(self, root):
        (finding,) = check_folder(root)
        assert (finding.dataset, finding.records, finding.problem) == ("gfiqa-20k", 6, "")

    def test_splits_are_the_folders(self, root):
        dataset = datasets.GFIQA20k(root, "validation")
        assert [(record.id, record.split) for record in dataset.records] == [("val0.png", "val")]
        assert [len(datasets.GFIQA20k(root, split)) for split in (None, "train", "test")] == [6, 3, 2]
        with pytest.raises(DatasetError, match="has official splits"):
            datasets.GFIQA20k(root, "test", seed=0)

    def test_a_part_goes_by_the_name_of_its_folder(self, root):
        (root / "val" / "label.json").unlink()
        assert [finding.dataset for finding in check_folder(root)] == ["cgfiqa-40k"]
        for name, dataset in (("GFIQA", "gfiqa-20k"), ("CGFIQA-40k", "cgfiqa-40k")):
            root = root.rename(root.parent / name)
            assert [finding.dataset for finding in check_folder(root)] == [dataset]

    def test_one_image_too_few(self, root):
        (root / "test/img/test0.png").unlink()
        with pytest.raises(DatasetError, match=r"label.json names 'test/img/test0.png', which is not in"):
            datasets.GFIQA20k(root)
        assert len(datasets.GFIQA20k(root, partial=True)) == 5
