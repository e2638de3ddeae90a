"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import NumberTests, PairTests, save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError, choose_datasets


def _sriqa(name: str) -> str:
    return f"images/{name.split('_')[1].removesuffix('x4')}/{name}.png"


class TestSRIQABench(NumberTests, PairTests):
    reader = datasets.SRIQABench
    labels = "MOS/online15.txt"
    number = "22.5"
    image = "images/HGGT/online15_HGGTx4.png"
    expected: ClassVar = {
        "test": [
            (_sriqa(f"{content}_Original"), _sriqa(f"{content}_{first}"), _sriqa(f"{content}_{second}"), preference)
            for content, first, second, preference in (
                ("online15", "SwinIRx4", "HGGTx4", 0.0),
                ("online15", "SwinIRx4", "Original", 0.0),
                ("online15", "HGGTx4", "Original", 0.5),
                ("x2", "HGGTx4", "Original", 1.0),
            )
        ]
    }

    def make(self, root: Path) -> None:
        save(root, *(path for pair in self.expected["test"] for path in pair[:3]))
        for place in ("MOS_Gen", "MOS_Reg"):
            write(root, f"{place}/online15.txt", "")
        names = ("online15_SwinIRx4.png,100.0", "online15_HGGTx4.png,22.5", "online15_Original.png,22.5")
        write(root, self.labels, "".join(f"{name}\n" for name in names))
        write(root, "MOS/x2.txt", "x2_HGGTx4.png 0.0\nx2_Original.png 100.0\n")

    def test_missing_label_file(self, root):
        # There is one for each content.
        (root / self.labels).unlink()
        with pytest.raises(DatasetError, match="SRIQA-Bench: expected 4 pairs in the split 'test', but got 1"):
            self.reader(root)


class TestDiffIQA(PairTests):
    reader = datasets.DiffIQA
    labels = "Train/trainlabel/labels/B/01/x1_01.json"
    image = "Train/images/01/x1_01.png"
    votes: ClassVar = {
        "Train/trainlabel/labels/{}/01/x1_01": ("Positive", "Negative", "Positive"),
        "Train/trainlabel/labels/{}/02/x1_02": ("Similar", "Similar", "Similar"),
        "Validation/vallabel/labels/{}/01/x_9_01": ("Negative", "Negative", "Negative"),
        "Test/labels/{}/06/x3_06": ("Positive", "Similar", "Positive"),
    }
    expected: ClassVar = {
        split: [
            (
                f"{place}/Original/{name}.png",
                f"{place}/{number}/{name}_{number}.png",
                f"{place}/Original/{name}.png",
                share,
            )
            for name, number, share in rows
        ]
        for split, place, rows in (
            ("train", "Train/images", (("x1", "01", 1 / 3), ("x1", "02", 0.5))),
            ("validation", "Validation/images", (("x_9", "01", 1.0),)),
            ("test", "Test/images", (("x3", "06", 0.5 / 3),)),
        )
    }

    def make(self, root: Path) -> None:
        save(root, *(path for pairs in self.expected.values() for pair in pairs for path in pair[:3]))
        for place, votes in self.votes.items():
            for who, vote in zip("ABC", votes, strict=True):
                write(root, f"{place.format(who)}.json", json.dumps({"Picture_AI": {"Name": "x.png", "Label": vote}}))

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                '{"Picture_AI": {"Label": "Better"}}',
                r"expected a label of \('Positive', .*, but got 'Better'",
            ),
            ('{"Picture": 1}', r"x1_01\.json: expected a label in 'Picture_AI'"),
            ("{", r"x1_01\.json: expected a label in 'Picture_AI'"),
        ],
    )
    def test_bad_label_file(self, text, message, root):
        write(root, self.labels, text)
        with pytest.raises(DatasetError, match=message):
            self.reader(root)

    def test_the_pairs_that_its_authors_test(self, root):
        save(root, "Test/images/02/x3_02.png", "Test/images/05/x3_05.png")
        lines = {"PSY": "x3_06.png,x3_02.png,x3.png,1", "NYY": "x3_05.png,x3.png,x3.png,0"}
        for kind in self.reader.types:
            write(root, f"Test/TripletEachType/{kind}.txt", f"{lines[kind]}\n" if kind in lines else "")
        ((key, place, options),) = choose_datasets(f"{root}:triplets=yes")
        assert (key, place) == ("diffiqa", root)
        dataset = self.reader(place, "test", **options)
        found = [
            (r.reference.name, r.first.name, r.second.name, r.preference, r.extras["distortion"])
            for r in dataset.records
        ]
        # Scores are of the first image, preferences of the second.
        assert found == [
            ("x3.png", "x3_06.png", "x3_02.png", 0.0, "PSY"),
            ("x3.png", "x3_05.png", "x3.png", 1.0, "NYY"),
        ]
        assert (dataset.facts.name, self.reader.facts.name) == ("DiffIQA triplets", "DiffIQA")
        write(root, "Test/TripletEachType/SNY.txt", "x3_06.png,x3_02.png,x3.png,2\n")
        with pytest.raises(DatasetError, match=r"SNY\.txt, line 1: expected 0, 0\.5 or 1 as score, but got '2'"):
            self.reader(place, "test", triplets=True)
