"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from reader_tester import ReaderTests, cell, save, save_mat, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError, check_folder


class TestLIVE(ReaderTests):
    reader = datasets.LIVE
    higher_is_better = False
    labels = "dmos.mat"
    image = "jpeg/img2.bmp"
    expected: ClassVar = {
        "all": [("jp2k/img1.bmp", 40.5), ("jp2k/img3.bmp", 32.0), ("jpeg/img1.bmp", 17.9), ("jpeg/img2.bmp", 80.0)]
    }
    references: ClassVar = {
        "jp2k/img1.bmp": "refimgs/bikes.bmp",
        "jp2k/img3.bmp": "refimgs/Plane.bmp",
        "jpeg/img1.bmp": "refimgs/bikes.bmp",
        "jpeg/img2.bmp": "refimgs/Plane.bmp",
    }
    extras: ClassVar = {"jpeg/img2.bmp": {"distortion": "jpeg"}}
    groups: ClassVar = {"jpeg/img2.bmp": "plane.bmp"}

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        monkeypatch.setattr(datasets.LIVE, "images_of", {"jp2k": 3, "jpeg": 2})

    def make(self, root: Path) -> None:
        save(root, *self.references, "jp2k/img2.bmp", "refimgs/bikes.bmp", "refimgs/Plane.bmp")
        save_mat(root / "refnames_all.mat", refnames_all=cell("bikes.bmp", "bikes.bmp", "plane.bmp", *self.names()))
        save_mat(root / "dmos.mat", dmos=[[40.5, 0.0, 32.0, 17.9, 80.0]], orgs=[[0, 1, 0, 0, 0]])
        save_mat(root / "dmos_realigned.mat", dmos_new=[[41.0, 0.0, 13.0, -1.0, 81.0]], orgs=[[0, 1, 0, 0, 0]])

    def names(self) -> list[str]:
        return ["bikes.bmp", "plane.bmp"]

    def test_realigned_scores(self, root):
        dataset = self.reader(root, realigned=True)
        assert [record.score for record in dataset.records] == [41.0, 13.0, -1.0, 81.0]
        # Other scores are another set.
        assert (dataset.facts.name, dataset.facts.key) == ("LIVE realigned", "live-realigned")
        assert (dataset.facts.score_range, self.reader.facts.score_range) == ((-3.0, 112.0), (17.0, 85.0))
        assert (self.reader(root).facts.name, self.reader.facts.name) == ("LIVE", "LIVE")

    def test_missing_label_file(self, root):
        (root / "dmos.mat").unlink()
        dataset = self.reader(root)
        assert (dataset.facts.name, dataset.records[0].score) == ("LIVE realigned", 41.0)
        (finding,) = check_folder(root)
        assert (finding.dataset, finding.problem) == ("live", "")
        (root / "dmos_realigned.mat").unlink()
        with pytest.raises(DatasetError, match=r"there is no label file .*dmos.mat, nor dmos_realigned.mat"):
            self.reader(root)

    @pytest.mark.parametrize(
        ("variables", "message"),
        [
            ({"dmos": [[1.0, 2.0]], "orgs": [[0, 0]]}, r"dmos.mat: expected 5 entries, but got 2"),
            ({"orgs": [[0] * 5]}, r"dmos.mat has no variable 'dmos'; its variables are \['orgs'\]"),
            ({"dmos": [[1, 0, 3, np.nan, 5]], "orgs": [[0, 1, 0, 0, 0]]}, r"expected a number as score, but got nan"),
        ],
    )
    def test_bad_label_file(self, variables, message, root):
        save_mat(root / "dmos.mat", **variables)
        with pytest.raises(DatasetError, match=message):
            self.reader(root)

    def test_what_is_no_label_file(self, root):
        write(root, "dmos.mat", "not MATLAB's")
        with pytest.raises(DatasetError, match=r"dmos.mat is not a MATLAB file"):
            self.reader(root)

    def test_missing_reference(self, root):
        (root / "refimgs/bikes.bmp").unlink()
        with pytest.raises(DatasetError, match=r"refnames_all.mat names 'refimgs/bikes.bmp', which is not in"):
            self.reader(root)
