"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import ReaderTests, save, save_mat

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError

_SCORES = {"mosz1": 40.0, "mosz2": 50.0, "mosz3": 60.0}


class TestAIGCIQA2023(ReaderTests):
    reader = datasets.AIGCIQA2023
    higher_is_better = True
    labels = "DATA/MOS/mosz1.mat"
    image = "Image/allimg/3.png"
    # Two models, two prompts, two images of each.
    expected: ClassVar = {"all": [(f"Image/allimg/{i}.png", 40.0 + i) for i in range(8)]}
    extras: ClassVar = {"Image/allimg/5.png": {"authenticity": 55.0, "correspondence": 65.0}}
    groups: ClassVar = {f"Image/allimg/{i}.png": group for i, group in enumerate("00110011")}

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        monkeypatch.setattr(self.reader, "prompts", 2)
        monkeypatch.setattr(self.reader, "images_of_prompt", 2)

    def make(self, root: Path) -> None:
        save(root, *(path for path, _ in self.expected["all"]))
        for name, first in _SCORES.items():
            save_mat(root / f"DATA/MOS/{name}.mat", MOSz=[[first + i] for i in range(8)])

    def test_three_scores(self, root):
        for score, first in zip(("quality", "authenticity", "correspondence"), _SCORES.values(), strict=True):
            dataset = self.reader(root, score=score)
            assert [record.score for record in dataset.records] == [first + i for i in range(8)]
            assert dataset.facts.name == ("AIGCIQA2023" if score == "quality" else f"AIGCIQA2023 {score}")
            assert score not in dataset.records[0].extras
        with pytest.raises(DatasetError, match=r"`score` must be one of \('quality', .*, but got 'beauty'"):
            self.reader(root, score="beauty")

    def test_scores_of_another_length(self, root):
        save_mat(root / "DATA/MOS/mosz2.mat", MOSz=[[1.0]])
        with pytest.raises(DatasetError, match=r"mosz2\.mat: expected 8 entries, but got 1"):
            self.reader(root)
