"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import ColumnTests, ReaderTests, save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError


class TestPIQ23(ColumnTests, ReaderTests):
    reader = datasets.PIQ23
    higher_is_better = True
    labels = "Scores_Overall.csv"
    column = "JOD"
    number = "-2.5"
    image = "Overall/0_Indoor_Scene_0.jpg"
    expected: ClassVar = {
        "train": [("Overall/0_Indoor_Scene_0.jpg", -2.5), ("Overall/2_Night_Scene_1.JPG", 0.5)],
        "test": [("Overall/1_Indoor_Scene_0.tiff", 3.25)],
    }
    extras: ClassVar = {"Overall/1_Indoor_Scene_0.tiff": {"scene": "Indoor_Scene_0", "std": 0.5, "condition": "Indoor"}}

    def make(self, root: Path) -> None:
        save(root, *(path for images in self.expected.values() for path, _ in images))
        images = [image for part in self.expected.values() for image in part]
        for attribute in self.reader.attributes:
            scores = [(f"{attribute}/{Path(path).name}", score) for path, score in images]
            save(root, *(name for name, _ in scores))
            write(
                root,
                f"Scores_{attribute}.csv",
                "IMAGE PATH,JOD,JOD STD,CI LOW,CI HIGH,IMAGE,SCENE,CONDITION\n"
                + "".join(
                    f"{name.replace('/', chr(92))},{score},0.5,-1,1,{name.split('/')[1]},"
                    f"{name.split('_', 1)[1].rsplit('.', 1)[0]},{name.split('_')[1]}\n"
                    for name, score in scores
                ),
            )
        # The file type of an image differs between attributes.
        write(
            root,
            "Test split/Device Split.csv",
            "IMAGE,SPLIT\n0_Indoor_Scene_0.JPG,Train\n1_Indoor_Scene_0.jpg,Test\n2_Night_Scene_1.jpg,Train\n",
        )
        write(
            root, "Test split/Scene Split.csv", "SCENE,SPLIT,NB IMAGES\nIndoor_Scene_0,Train,2\nNight_Scene_1,Test,1\n"
        )

    def test_split_by_scene(self, root, monkeypatch):
        monkeypatch.setattr(self.reader, "facts", replace(self.reader.facts, size={"train": 2, "test": 1}))
        (record,) = self.reader(root, "test", by="scene", attribute="Exposure").records
        assert record.image.name == "2_Night_Scene_1.JPG"
        assert record.image.parent.name == "Exposure"

    def test_other_attributes_are_other_sets(self, root):
        names = [self.reader(root, attribute=attribute).facts.name for attribute in self.reader.attributes]
        assert names == ["PIQ23", "PIQ23 Details", "PIQ23 Exposure"]

    def test_splits_that_nobody_asked_for(self, root):
        (root / "Test split/Device Split.csv").unlink()
        assert {record.split for record in self.reader(root).records} == {"all"}
        with pytest.raises(DatasetError, match=r"there is no label file .*Device Split.csv"):
            self.reader(root, "test")

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("1_Indoor_Scene_0.jpg", "9.jpg", r"Device Split.csv does not name '1_Indoor_Scene_0'"),
            ("Test", "Other", r"expected a split of \('train', 'test'\), but got 'Other'"),
        ],
    )
    def test_bad_split_file(self, old, new, message, root):
        path = root / "Test split/Device Split.csv"
        path.write_text(path.read_text().replace(old, new))
        with pytest.raises(DatasetError, match=message):
            self.reader(root)

    def test_unknown_choices(self, root):
        with pytest.raises(DatasetError, match=r"`attribute` must be one of \('Overall', .*, but got 'Color'"):
            self.reader(root, attribute="Color")
        with pytest.raises(DatasetError, match=r"`by` must be one of \('device', 'scene'\), but got 'person'"):
            self.reader(root, by="person")
