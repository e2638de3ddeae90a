"""Datasets found below a folder, and chosen by options."""

from __future__ import annotations

import inspect
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from reader_tester import save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError, check_folder, choose_datasets, find_datasets
from topiq_metrics.leaderboard.run import describe


class TestFindDatasets:
    def make(self, root: Path) -> Path:
        save(root, "TestImage/00001.jpg")
        return root

    def test_not_below_a_dataset(self, tmp_path):
        whole = self.make(tmp_path / "SPAQ")
        self.make(whole / "TestImage")
        self.make(whole / "copy")
        assert find_datasets(tmp_path) == [("spaq", whole)]

    def test_what_is_passed_over(self, tmp_path, monkeypatch):
        deep = self.make(tmp_path / "a" / "b")
        for place in ("__MACOSX/SPAQ", ".hidden/SPAQ", "a/.hidden", "c/d/e"):
            self.make(tmp_path / place)
        assert find_datasets(tmp_path) == [("spaq", deep)]
        for locked in (deep, deep.parent):
            with monkeypatch.context() as patch:
                patch.setattr(os, "access", lambda path, mode, locked=locked: path != locked)
                assert find_datasets(tmp_path) == []
        for number in range(100):
            (tmp_path / "a" / str(number)).mkdir()
        assert find_datasets(tmp_path) == []

    def test_labels_of_other_kinds_of_sets(self, tmp_path):
        for name in ("images/train/1.jpg", "labels/train/1.txt", "labels/val/2.txt"):
            save(tmp_path / "detection", name)
        assert find_datasets(tmp_path) == []

    def test_no_folder_is_listed_twice(self, tmp_path, monkeypatch):
        for place in ("SPAQ", "CLIVE/ChallengeDB_release/Data", "GFIQA/GFIQA-20k/image", "KADID/images/more"):
            self.make(tmp_path / place)
        listed = []
        scandir = os.scandir
        monkeypatch.setattr(os, "scandir", lambda path: listed.append(Path(path)) or scandir(path))
        find_datasets(tmp_path)
        assert tmp_path / "CLIVE/ChallengeDB_release" in listed
        assert len(set(listed)) == len(listed)


class TestCheckFolder:
    @pytest.fixture
    def root(self, tmp_path, monkeypatch) -> Path:
        """A whole AVA of four images."""
        save(tmp_path, *(f"ava_images/{i}.jpg" for i in range(4)))
        write(tmp_path, "AVA.txt", "".join(f"{i} {i} 1 0 0 0 0 0 0 0 0 1 0 0 0\n" for i in range(4)))
        write(tmp_path, "aesthetics_image_lists/generic_test.jpgl", "3\n")
        monkeypatch.setattr(datasets.AVA, "facts", replace(datasets.AVA.facts, total=4))
        return tmp_path

    def test_how_many_images_are_missing(self, root):
        for i in (1, 3):
            (root / f"ava_images/{i}.jpg").unlink()
        (finding,) = check_folder(root)
        assert re.search(r"names 'ava_images/1\.jpg', which is not in '.*', nor are 1 other files", finding.problem)
        assert (finding.records, finding.usable, finding.missing) == (0, 2, 2)
        part = datasets.AVA(root, partial=True)
        assert part.missing == ["ava_images/1.jpg", "ava_images/3.jpg"]
        assert part.incomplete

    def test_what_may_be_a_part_and_is_whole(self, root):
        whole = datasets.AVA(root, partial=True)
        assert not whole.incomplete
        assert not describe(whole).partial
        write(root, "AVA.txt", "".join(f"{i} {i} 1 0 0 0 0 0 0 0 0 1 0 0 0\n" for i in range(3)))
        assert describe(datasets.AVA(root, partial=True)).partial

    def test_empty_files_are_missing(self, root):
        for i in (1, 3):
            (root / f"ava_images/{i}.jpg").write_bytes(b"")
        (root / "ava_images/2.jpg").unlink()
        (finding,) = check_folder(root)
        assert (finding.usable, finding.missing) == (1, 3)
        save(root, "ava_images/2.jpg")
        (finding,) = check_folder(root)
        assert re.search(r"1\.jpg is no file, or an empty one, and so are 1 others; expected an image", finding.problem)

    def test_splits_that_are_not_known(self, root):
        (root / "aesthetics_image_lists/generic_test.jpgl").unlink()
        (finding,) = check_folder(root)
        assert finding.problem.startswith("images and scores are whole, but the splits are not known: AVA: there is no")
        assert (finding.usable, finding.missing) == (4, 0)


class TestChooseDatasets:
    @pytest.fixture
    def root(self, tmp_path) -> Path:
        write(tmp_path, "PIQ23/Scores_Overall.csv", "")
        write(tmp_path, "LIVE/dmos.mat", "")
        return tmp_path

    def test_without_options(self, root):
        assert choose_datasets(str(root)) == [("live", root / "LIVE", {}), ("piq23", root / "PIQ23", {})]

    def test_options_go_to_the_datasets_that_have_them(self, root):
        options = {"attribute": "Details", "by": "scene"}
        assert choose_datasets(f"{root}:attribute=Details,by=scene,realigned=yes") == [
            ("live", root / "LIVE", {"realigned": True}),
            ("piq23", root / "PIQ23", options),
        ]
        assert choose_datasets(f"{root / 'PIQ23'}:attribute=Details,by=scene") == [("piq23", root / "PIQ23", options)]

    def test_every_choice_is_an_argument(self):
        with_choices = [reader for reader in datasets.all_datasets().values() if reader.choices]
        assert len(with_choices) == 10
        for reader in with_choices:
            assert reader.choices.keys() <= inspect.signature(reader).parameters.keys()

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (":kind=x", r"No dataset in '.*' has an option 'kind'; they have \['attribute', 'by', 'realigned'\]"),
            (":by=person", r"Option 'by' must be one of \('device', 'scene'\), but got 'person'"),
            ("/nowhere:by=scene", r"There is no folder .*nowhere\."),
            (":by", r"There is no folder .*:by"),
        ],
    )
    def test_errors(self, text, message, root):
        with pytest.raises(DatasetError, match=message):
            choose_datasets(f"{root}{text}")

    @pytest.mark.skipif(os.name == "nt", reason="names cannot hold a colon here")
    def test_a_folder_with_a_colon(self, root):
        place = root / "some:by=scene"
        (root / "PIQ23").rename(place)
        assert choose_datasets(str(place)) == [("piq23", place, {})]
