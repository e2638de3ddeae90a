"""Every reader, on a fake folder in the official layout with the traps that the real ones hold."""

from __future__ import annotations

import inspect
import io
import json
import os
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from topiq_metrics import datasets
from topiq_metrics.datasets import (
    DATASETS,
    PAIR_DATASETS,
    CSVDataset,
    DatasetError,
    IQADataset,
    PairDataset,
    check_folder,
    choose_datasets,
    find_datasets,
    get_dataset,
)
from topiq_metrics.errors import ImageError
from topiq_metrics.images import load_image


@cache
def picture(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (32, 32), (200, 90, 30)).save(stream, kind)
    return stream.getvalue()


def save(root: Path, *names: str) -> None:
    """Write a small picture under each of these names."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kinds = {"bmp": "BMP", "png": "PNG"}
        path.write_bytes(picture(kinds.get(path.suffix.lower()[1:], "JPEG")))


def write(root: Path, name: str, text: str | bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)


def save_sheet(path: Path, rows: list[list[object]], title: str = "Sheet1") -> None:
    openpyxl = pytest.importorskip("openpyxl", reason="the extra datasets is not installed")
    path.parent.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    book.active.title = "about"
    if title == "Sheet1":
        book.remove(book.active)
    sheet = book.create_sheet(title)
    for row in rows:
        sheet.append(row)
    book.save(path)


def save_mat(path: Path, **variables: object) -> None:
    scipy_io = pytest.importorskip("scipy.io", reason="the extra datasets is not installed")
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy_io.savemat(path, variables)


def cell(*texts: str) -> np.ndarray:
    return np.array([list(texts)], dtype=object)


class FolderTests:
    """What holds for scored sets and for sets of pairs."""

    reader: ClassVar[Any]
    options: ClassVar[dict[str, Any]] = {}
    """Arguments of the reader beside the folder."""
    labels: ClassVar[str]
    """A label file."""
    image: ClassVar[str]
    """An image that it names."""
    beside: ClassVar[tuple[str, ...]] = ()
    """Other datasets that share the folder."""

    def make(self, root: Path) -> None:
        raise NotImplementedError

    def sizes(self) -> dict[str, int]:
        raise NotImplementedError

    @pytest.fixture
    def root(self, tmp_path, monkeypatch) -> Path:
        root = tmp_path / "dataset"
        root.mkdir()
        self.make(root)
        sizes = self.sizes()
        facts = replace(self.reader.facts, size=sizes, total=sum(sizes.values()), rounding=1)
        # As if the fake were the whole set.
        monkeypatch.setattr(self.reader, "facts", facts)
        return root

    def read(self, root: Path, *arguments: object, **options: object):
        return self.reader(root, *arguments, **{**self.options, **options})

    def spoil(self, root: Path, old: str, new: str) -> None:
        path = root / self.labels
        text = path.read_bytes()
        assert old.encode() in text
        path.write_bytes(text.replace(old.encode(), new.encode(), 1))

    def test_facts(self):
        facts = self.reader.facts
        assert get_dataset(facts.name.upper()) is self.reader
        assert list(facts.size) == list(self.sizes())
        assert facts.count is not None
        assert facts.count > 100
        assert facts.score_range[0] < facts.score_range[1]
        for text in (facts.name, facts.citation, facts.license, facts.source):
            assert text

    def test_pickle(self, root):
        dataset = self.read(root)
        again = pickle.loads(pickle.dumps(dataset))
        assert again.records == dataset.records
        assert torch.equal(again[1][0], dataset[1][0])

    def test_wrong_count(self, root, monkeypatch):
        facts = self.reader.facts
        split = next(iter(facts.size))
        monkeypatch.setattr(self.reader, "facts", replace(facts, size={**facts.size, split: 1000}, total=None))
        of_split = rf" in the split '{split}'" if split != "all" else "( in the split 'all')?"
        pattern = rf"{facts.name}: expected 1000 \w+{of_split}, but got \d+ in '.*'\. Pass `partial=True`"
        with pytest.raises(DatasetError, match=pattern):
            self.read(root)
        assert len(self.read(root, partial=True)) == sum(self.sizes().values())

    def test_wrong_total(self, root, monkeypatch):
        facts = self.reader.facts
        sizes = dict.fromkeys(facts.size)
        monkeypatch.setattr(self.reader, "facts", replace(facts, size=sizes, total=1000))
        with pytest.raises(DatasetError, match=rf"{facts.name}: expected 1000 \w+, but got"):
            self.read(root)

    def test_missing_image(self, root):
        (root / self.image).unlink()
        with pytest.raises(DatasetError, match=r"names '.*', which is not in ") as caught:
            self.read(root)
        assert Path(self.image).stem.lower() in str(caught.value).lower()
        assert len(self.read(root, partial=True)) < sum(self.sizes().values())

    def test_image_that_is_a_folder(self, root):
        (root / self.image).unlink()
        (root / self.image).mkdir()
        with pytest.raises(DatasetError, match=rf"names '.*', which is not in '{re.escape(str(root))}'\."):
            self.read(root)

    def test_missing_label_file(self, root):
        (root / self.labels).unlink()
        with pytest.raises(DatasetError, match=re.escape(Path(self.labels).name)):
            self.read(root)

    def test_unknown_split(self, root):
        with pytest.raises(DatasetError, match=r"must be one of \(.*\), but got 'every'|has no official split"):
            self.read(root, "every")

    def test_missing_folder(self, tmp_path):
        with pytest.raises(DatasetError, match=rf"{self.reader.facts.name}: there is no folder .*nowhere"):
            self.reader(tmp_path / "nowhere")

    @pytest.mark.parametrize("partial", [False, True])
    def test_empty_folder(self, partial, tmp_path):
        with pytest.raises(DatasetError, match=self.reader.facts.name):
            self.reader(tmp_path, partial=partial)

    def test_check(self, root):
        """The folder is recognized, as itself and below another, whole and broken."""
        for place in (root, root.parent):
            found, *others = sorted(check_folder(place), key=lambda finding: finding.dataset in self.beside)
            assert (found.dataset, found.folder, found.problem) == (self.reader.facts.key, root, "")
            assert {other.dataset for other in others} == set(self.beside)
        # Archives often unpack into a folder in the folder.
        (root.parent / "outer").mkdir()
        root = root.rename(root.parent / "outer" / "inner")
        below = {finding.dataset: finding for finding in check_folder(root.parent.parent)}
        assert below.keys() == {self.reader.facts.key, *self.beside}
        found = below[self.reader.facts.key]
        assert (found.folder, found.problem) == (root, "")
        (root / self.image).write_bytes(b"")
        (found,) = (finding for finding in check_folder(root) if finding.dataset == self.reader.facts.key)
        assert re.search(r"is no file, or an empty one", found.problem)
        assert found.records == 0


class NumberTests:
    """For label files that are texts."""

    number: ClassVar[str]
    """A score, as written there."""

    def test_score_that_is_no_number(self, root):
        self.spoil(root, self.number, '"high"' if self.labels.endswith("json") else "high")
        with pytest.raises(DatasetError, match=r"expected a number as score, but got 'high'"):
            self.read(root)


class ColumnTests(NumberTests):
    """For label files that name their columns, or lists."""

    column: ClassVar[str]

    def test_missing_column(self, root):
        name = self.column.strip('"')
        self.spoil(root, name, "other")
        with pytest.raises(DatasetError, match=rf"{re.escape(self.labels)} has no (column|list) '{name}'"):
            self.read(root)

    def test_repeated_column(self, root):
        if not self.labels.endswith(".csv"):
            return
        quoted = f'"{self.column}"'
        name = quoted if quoted in (root / self.labels).read_text(encoding="utf-8-sig") else self.column
        self.spoil(root, name, f"{name},{name}")
        with pytest.raises(DatasetError, match=rf"has the column '{self.column}' more than once"):
            self.read(root)


class ReaderTests(FolderTests):
    """What holds for every scored set; a subclass makes the folder and says what is in it."""

    reader: ClassVar[type[IQADataset]]
    higher_is_better: ClassVar[bool]
    expected: ClassVar[dict[str, list[tuple[str, float]]]]
    """For each split, the path of each image below the root, and its score."""
    references: ClassVar[dict[str, str]] = {}
    """The references of the images, by the image's path."""
    extras: ClassVar[dict[str, dict[str, Any]]] = {}
    """Extras of some images."""
    groups: ClassVar[dict[str, str]] = {}
    """Groups of some images."""

    def sizes(self) -> dict[str, int]:
        return {split: len(images) for split, images in self.expected.items()}

    def test_is_registered(self):
        assert self.reader in DATASETS.values()

    def test_direction(self):
        assert self.reader.facts.higher_is_better is self.higher_is_better

    def test_records(self, root):
        official = self.reader.facts.split.kind == "official"
        for name in [None, *self.expected] if official else [None]:
            dataset = self.read(root, name)
            wanted = {
                (path, score, split, self.references.get(path))
                for split, images in self.expected.items()
                if name in {split, None}
                for path, score in images
            }
            below = {record.image.relative_to(root).as_posix(): record for record in dataset.records}
            records = {
                (path, r.score, r.split, None if r.reference is None else r.reference.relative_to(root).as_posix())
                for path, r in below.items()
            }
            assert records == wanted
            assert len(dataset) == len(wanted)
        everything = {record.image.relative_to(root).as_posix(): record for record in self.read(root).records}
        assert len({record.id for record in everything.values()}) == len(everything)
        for path, extras in self.extras.items():
            assert everything[path].extras.items() >= extras.items()
        for path, group in self.groups.items():
            assert everything[path].group == group

    def test_scores_are_in_the_range(self, root):
        low, high = self.reader.facts.score_range
        assert all(low <= record.score <= high for record in self.read(root).records)

    def test_items(self, root):
        dataset = self.read(root)
        for (image, score), record in zip(dataset, dataset.records, strict=True):
            assert torch.equal(image, load_image(record.image))
            assert (image.dtype, image.shape) == (torch.float32, (3, 32, 32))
            assert score == record.score

    def test_items_with_reference(self, root):
        if not self.reader.facts.references:
            with pytest.raises(DatasetError, match=r"has no reference images: leave out `with_reference`"):
                self.read(root, with_reference=True)
            return
        dataset = self.read(root, with_reference=True, transform=lambda image, reference: (image / 2, reference))
        image, reference, score = dataset[0]
        record = dataset.records[0]
        assert torch.equal(image, load_image(record.image) / 2)
        assert torch.equal(reference, load_image(record.reference))
        assert score == record.score

    def test_data_loader(self, root):
        dataset = self.read(root, transform=_corner)
        batches = list(DataLoader(dataset, batch_size=2))
        assert batches[0][0].shape == (2, 3, 8, 8)
        assert torch.cat([scores for _, scores in batches]).tolist() == [record.score for record in dataset.records]

    def test_random_splits(self, root):
        """Without leakage, and the same from any order of the records."""
        facts, whole = self.reader.facts, self.read(root)
        if facts.split.kind == "official":
            with pytest.raises(ValueError, match="has official splits"):
                whole.random_splits()
            with pytest.raises(DatasetError, match=r"has official splits, .*: leave out `seed`"):
                self.read(root, next(iter(facts.size)), seed=0)
            return
        group_of = {record.id: record.group for record in whole.records}
        splits = whole.random_splits()
        assert len(splits) == 10
        for split in splits:
            parts = {name: self.read(root, name, seed=split.seed) for name in facts.splits}
            ids = [{record.id for record in part.records} for part in parts.values()]
            groups = [{group_of[id_] for id_ in part} for part in ids]
            assert set.union(*ids) == set(group_of)
            assert sum(map(len, ids)) == len(group_of)
            assert sum(map(len, groups)) == len(set(group_of.values()))
            assert {name: part.split_hash for name, part in parts.items()} == split.hashes
        whole.records.reverse()
        assert [split.hashes for split in whole.random_splits()] == [split.hashes for split in splits]
        assert len(self.read(root, "all")) == len(whole)
        for arguments in ({"split": "test"}, {"seed": 1}):
            with pytest.raises(DatasetError, match="has no official split: give both `split` and `seed`"):
                self.read(root, **arguments)


class TestLIVE(ReaderTests):
    reader = datasets.LIVE
    higher_is_better = False
    labels = "dmos.mat"
    image = "jpeg/img2.bmp"
    expected: ClassVar = {
        "all": [("jp2k/img1.bmp", 40.5), ("jp2k/img3.bmp", 12.0), ("jpeg/img1.bmp", -2.0), ("jpeg/img2.bmp", 80.0)]
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
        save_mat(root / "dmos.mat", dmos=[[40.5, 0.0, 12.0, -2.0, 80.0]], orgs=[[0, 1, 0, 0, 0]])
        save_mat(root / "dmos_realigned.mat", dmos_new=[[41.0, 0.0, 13.0, -1.0, 81.0]], orgs=[[0, 1, 0, 0, 0]])

    def names(self) -> list[str]:
        return ["bikes.bmp", "plane.bmp"]

    def test_realigned_scores(self, root):
        dataset = self.reader(root, realigned=True)
        assert [record.score for record in dataset.records] == [41.0, 13.0, -1.0, 81.0]
        # Other scores are another set.
        assert (dataset.facts.name, dataset.facts.key) == ("LIVE realigned", "live-realigned")
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


class TestLIVEChallenge(ReaderTests):
    reader = datasets.LIVEChallenge
    higher_is_better = True
    labels = "Data/AllMOS_release.mat"
    image = "Images/3.bmp"
    expected: ClassVar = {
        "all": [("Images/3.bmp", 63.5), ("Images/4.JPG", 20.0), ("Images/6.bmp", 90.0), ("Images/7.bmp", 55.0)]
    }
    extras: ClassVar = {"Images/3.bmp": {"std": 18.0}}

    def make(self, root: Path) -> None:
        training = [f"t{i}.bmp" for i in range(1, 8)]
        save(root, *(path for path, _ in self.expected["all"]), *(f"Images/trainingImages/{name}" for name in training))
        names = cell(*training, "3.bmp", "4.jpg", "6.bmp", "7.bmp").T
        save_mat(root / "Data/AllImages_release.mat", AllImages_release=names)
        save_mat(root / self.labels, AllMOS_release=[[1.0] * 7 + [63.5, 20.0, 90.0, 55.0]])
        save_mat(root / "Data/AllStdDev_release.mat", AllStdDev_release=[[0.0] * 7 + [18.0, 19.0, 20.0, 21.0]])

    def test_files_of_different_lengths(self, root):
        save_mat(root / "Data/AllImages_release.mat", AllImages_release=cell("3.bmp"))
        with pytest.raises(DatasetError, match=r"AllImages_release.mat: expected 11 entries, as in AllMOS_.*, got 1"):
            self.reader(root)


class CSIQTests(ReaderTests):
    reader = datasets.CSIQ
    higher_is_better = False
    image = "dst_imgs/awgn/1600.AWGN.1.png"
    expected: ClassVar = {
        "all": [
            ("dst_imgs/awgn/1600.AWGN.1.png", 0.061989),
            ("dst_imgs/jpeg2000/1600.jpeg2000.5.png", 0.9),
            ("dst_imgs/BLUR/family.BLUR.2.png", 0.25),
        ]
    }
    references: ClassVar = {
        "dst_imgs/awgn/1600.AWGN.1.png": "src_imgs/1600.png",
        "dst_imgs/jpeg2000/1600.jpeg2000.5.png": "src_imgs/1600.png",
        "dst_imgs/BLUR/family.BLUR.2.png": "src_imgs/family.png",
    }
    extras: ClassVar = {"dst_imgs/BLUR/family.BLUR.2.png": {"distortion": "blur", "level": 2.0}}
    groups: ClassVar = {"dst_imgs/awgn/1600.AWGN.1.png": "1600"}

    def make(self, root: Path) -> None:
        save(root, *self.references, *self.references.values())
        self.make_labels(root)

    def make_labels(self, root: Path) -> None:
        raise NotImplementedError


class TestCSIQ(NumberTests, CSIQTests):
    labels = "csiq_label.txt"
    number = "0.061989"

    def make_labels(self, root: Path) -> None:
        write(
            root, self.labels, "1600.AWGN.1.png 0.061989\r\n1600.jpeg2000.5.png 0.9\r\nfamily.BLUR.2.png\t0.25\r\n\r\n"
        )

    @pytest.mark.parametrize("name", ["1600.1.png", "1600.AWGN.x.png", "1600.FOG.1.png"])
    def test_unknown_names(self, name, root):
        self.spoil(root, "1600.AWGN.1.png", name)
        with pytest.raises(DatasetError, match=r"csiq_label.txt: expected a (name like|type of)"):
            self.reader(root)


class TestCSIQOlderText(NumberTests, CSIQTests):
    labels = "csiq.beta.txt"
    number = "0.061989"

    def make_labels(self, root: Path) -> None:
        write(
            root,
            self.labels,
            "1600\t1\tnoise\t1\t0.05\t0.061989\r\n1600\t3\tjpeg 2000\t5\t0.1\t0.9\r\n"
            "family\t 5\tblur\t2\t0.1\t0.25\r\n",
        )

    def test_what_is_beside_the_score(self, root):
        assert [record.extras["std"] for record in self.reader(root).records] == [0.05, 0.1, 0.1]

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("\t1\tnoise", "\t7\tnoise", "the number of a type, 1 to 6, but got '7'"),
            ("noise\t1", "noise\tx", "a level"),
        ],
    )
    def test_unknown_types(self, old, new, message, root):
        self.spoil(root, old, new)
        with pytest.raises(DatasetError, match=message):
            self.reader(root)


class TestCSIQWorkbook(CSIQTests):
    labels = "csiq.DMOS.xlsx"

    def make_labels(self, root: Path) -> None:
        self.fill(root, ["image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"], 0.061989)

    def fill(self, root: Path, columns: list[str], score: object) -> None:
        rows = [
            [1600, 1, "noise", 1, 0.05, score],
            [1600, 5, "jpeg 2000", 5, 0.1, 0.9],
            ["family", 2, "blur", 2, 0.1, 0.25],
            [None] * 6,
        ]
        above: list[list[object]] = [[], ["CSIQ"], ["dmos by image"]]
        save_sheet(
            root / self.labels, [*above, *([None, None, None, *row] for row in [columns, *rows])], "all_by_image"
        )

    def test_missing_column(self, root):
        self.fill(root, ["image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "score"], 0.5)
        with pytest.raises(DatasetError, match=r"csiq.DMOS.xlsx has no column 'dmos'; its columns are \['image', "):
            self.reader(root)

    def test_score_that_is_no_number(self, root):
        self.fill(root, ["image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"], "n/a")
        with pytest.raises(DatasetError, match="expected a number as score, but got 'n/a'"):
            self.reader(root)

    def test_missing_sheet(self, root):
        save_sheet(root / self.labels, [["image"]], "other")
        with pytest.raises(DatasetError, match=r"has no sheet 'all_by_image'; its sheets are \['about', 'other'\]"):
            self.reader(root)

    def test_what_is_no_workbook(self, root):
        write(root, self.labels, "not Excel's")
        with pytest.raises(DatasetError, match=r"csiq.DMOS.xlsx is not an Excel workbook"):
            self.reader(root)

    def test_flat_folder(self, root):
        for path in list((root / "dst_imgs").rglob("*.png")):
            save(root, f"dst_imgs_all/{path.name}")
            path.unlink()
        (root / "dst_imgs").rename(root / "aside")
        places = {record.image.parent.name for record in self.reader(root).records}
        assert places == {"dst_imgs_all"}


class TestTID2013(NumberTests, ReaderTests):
    reader: ClassVar = datasets.TID2013
    higher_is_better = True
    labels = "mos_with_names.txt"
    number = "5.51429"
    image = "distorted_images/I01_01_1.bmp"
    last = 24
    expected: ClassVar = {
        "all": [
            ("distorted_images/I01_01_1.bmp", 5.51429),
            ("distorted_images/i02_24_5.bmp", 2.0),
            ("distorted_images/I25_03_2.bmp", 7.0),
        ]
    }
    references: ClassVar = {
        "distorted_images/I01_01_1.bmp": "reference_images/I01.BMP",
        "distorted_images/i02_24_5.bmp": "reference_images/I02.BMP",
        "distorted_images/I25_03_2.bmp": "reference_images/i25.bmp",
    }
    extras: ClassVar = {"distorted_images/I25_03_2.bmp": {"distortion": "03", "level": 2.0, "std": 0.3}}
    groups: ClassVar = {"distorted_images/I25_03_2.bmp": "i25"}

    def make(self, root: Path) -> None:
        save(root, *self.references, *self.references.values())
        middle = Path(self.expected["all"][1][0]).name.upper()
        write(root, self.labels, f"5.51429 I01_01_1.bmp\r\n2.00000 {middle}\r\n7.0 i25_03_2.bmp\r\n")
        write(root, "mos_std.txt", "0.1\r\n0.2\r\n0.3\r\n")

    def test_only_one_of_the_two_is_recognized(self, root):
        assert [finding.dataset for finding in check_folder(root)] == [self.reader.facts.key]

    def test_deviations_of_another_length(self, root):
        write(root, "mos_std.txt", "0.1\n")
        with pytest.raises(DatasetError, match=r"mos_std.txt: expected 3 lines, as in mos_with_names.txt, got 1"):
            self.reader(root)

    @pytest.mark.parametrize(
        ("line", "message"), [("5.5 I01.bmp", "expected a name like"), ("5.5", r"line 1: expected a value for each")]
    )
    def test_bad_lines(self, line, message, root):
        self.spoil(root, "5.51429 I01_01_1.bmp", line)
        with pytest.raises(DatasetError, match=message):
            self.reader(root)


class TestTID2008(TestTID2013):
    reader = datasets.TID2008
    expected: ClassVar = {
        "all": [
            ("distorted_images/I01_01_1.bmp", 5.51429),
            ("distorted_images/i02_17_4.bmp", 2.0),
            ("distorted_images/I25_03_2.bmp", 7.0),
        ]
    }
    references: ClassVar = {
        "distorted_images/I01_01_1.bmp": "reference_images/I01.BMP",
        "distorted_images/i02_17_4.bmp": "reference_images/I02.BMP",
        "distorted_images/I25_03_2.bmp": "reference_images/i25.bmp",
    }


class TestKADID10k(ColumnTests, ReaderTests):
    reader = datasets.KADID10k
    higher_is_better = True
    labels = "dmos.csv"
    column = "dmos"
    number = "4.57"
    image = "images/I01_01_01.png"
    expected: ClassVar = {"all": [("images/I01_01_01.png", 4.57), ("images/I02_25_05.png", 1.0)]}
    references: ClassVar = {
        "images/I01_01_01.png": "images/I01.png",
        "images/I02_25_05.png": "images/I02.png",
    }
    extras: ClassVar = {"images/I02_25_05.png": {"distortion": "25", "level": 5.0, "variance": 0.75}}
    groups: ClassVar = {"images/I02_25_05.png": "i02.png"}

    def make(self, root: Path) -> None:
        save(root, *self.references, *self.references.values())
        write(
            root,
            self.labels,
            "dist_img,ref_img,dmos,var\nI01_01_01.png,I01.png,4.57,0.5\nI02_25_05.png,I02.png,1,0.75\n",
        )


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


class SPAQTests(ReaderTests):
    reader = datasets.SPAQ
    higher_is_better = True
    image = "TestImage/00001.jpg"
    expected: ClassVar = {
        "all": [("TestImage/00001.jpg", 38.99), ("TestImage/00002.jpg", 5.0), ("TestImage/00003.jpg", 91.0)]
    }
    extras: ClassVar = {"TestImage/00002.jpg": {"brightness": 50.0, "sharpness": 10.0}}

    def make(self, root: Path) -> None:
        save(root, *(path for path, _ in self.expected["all"]))
        self.make_labels(root)

    def make_labels(self, root: Path) -> None:
        raise NotImplementedError


class TestSPAQ(ColumnTests, SPAQTests):
    labels = "Annotations/MOS and Image attribute scores.csv"
    column = "MOS"
    number = "38.99"

    def make_labels(self, root: Path) -> None:
        write(
            root,
            self.labels,
            b"\xef\xbb\xbfImage name,MOS,Brightness,Colorfulness,Contrast,Noisiness,Sharpness\r\n"
            b"00001.jpg,38.99,40,40,40,40,40\r\n00002.jpg,5,50,50,50,50,10\r\n00003.jpg,91,1,1,1,1,1\r\n",
        )


class TestSPAQWorkbook(SPAQTests):
    labels = "Annotations/MOS and Image attribute scores.xlsx"

    def make_labels(self, root: Path) -> None:
        rows = [["00001.jpg", 38.99, *[40] * 5], ["00002.jpg", 5, *[50] * 4, 10], ["00003.jpg", 91, *[1] * 5]]
        columns = ["Image name", "MOS", "Brightness", "Colorfulness", "Contrast", "Noisiness", "Sharpness"]
        save_sheet(root / self.labels, [columns, *rows])

    def test_missing_extra(self, root, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'topiq-metrics\[datasets\]'"):
            self.reader(root)
        (finding,) = check_folder(root)
        assert "pip install" in finding.problem


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
        with pytest.raises(DatasetError, match=r"there is no label file .*labels640\.csv"):
            self.reader(root, "test")


class TestBIQ2021(ColumnTests, ReaderTests):
    reader = datasets.BIQ2021
    higher_is_better = True
    labels = "Train (Images and MOS).csv"
    column = "MOS"
    number = " 0.5 "
    image = "Images/SS02 (17).JPG"
    expected: ClassVar = {
        "train": [("Images/ss01 (1).jpg", 0.25), ("Images/SS02 (17).JPG", 0.5), ("Images/ss05 (3).jpg", 1.0)],
        "test": [("Images/ss01 (2).jpg", 0.0), ("Images/ss03 (9).jpg", 0.75)],
    }

    def make(self, root: Path) -> None:
        save(root, *(path for images in self.expected.values() for path, _ in images))
        # A byte-order mark, Windows' line ends, empty columns and rows, spaces, letters of another case.
        write(
            root,
            self.labels,
            b"\xef\xbb\xbfImage Name,MOS,,\r\nss01 (1).jpg,0.25,,\r\nss02 (17).jpg, 0.5 ,,\r\n\r\n"
            b"SS05 (3).JPG,1,,\r\n,,,\r\n",
        )
        write(root, "Test (Images and MOS).csv", "Image Name,MOS\nss01 (2).jpg,0\nss03 (9).jpg,0.75\n")

    def test_published_size(self):
        assert dict(self.reader.facts.size) == {"train": 10000, "test": 2000}

    def test_the_same_case_wins(self, root):
        upper, lower = root / "Images" / "SS09 (1).jpg", root / "Images" / "ss09 (1).jpg"
        save(root, "Images/SS09 (1).jpg", "Images/ss09 (1).jpg")
        if upper.samefile(lower):
            pytest.skip("file names differ by more than case here")
        write(root, self.labels, "Image Name,MOS\nss09 (1).jpg,0.5\nSS09 (1).jpg,0.6\n")
        assert [record.image for record in self.reader(root, "train", partial=True).records] == [lower, upper]

    def test_folders_and_label_files_of_another_case(self, root):
        (root / "Images").rename(root / "aside")
        (root / "aside").rename(root / "images")
        (root / self.labels).rename(root / "aside.csv")
        (root / "aside.csv").rename(root / self.labels.lower())
        assert len(self.reader(root, "train")) == 3

    def test_columns_in_another_order(self, root):
        write(root, self.labels, "Index,mos,Image Name\n1,0.5,ss01 (1).jpg\n")
        (record,) = self.reader(root, "train", partial=True).records
        assert (record.image.name, record.score) == ("ss01 (1).jpg", 0.5)

    def test_a_part_may_lack_a_split(self, root):
        (root / "Test (Images and MOS).csv").unlink()
        assert len(self.reader(root, partial=True)) == 3
        with pytest.raises(DatasetError, match="there is no label file"):
            self.reader(root, "test", partial=True)

    def test_missing_images_folder(self, root):
        (root / "Images").rename(root / "Pictures")
        with pytest.raises(DatasetError, match=r"there is no folder .*Images"):
            self.reader(root, "train", partial=True)

    def test_no_image_at_all(self, root):
        for path in (root / "Images").iterdir():
            path.unlink()
        with pytest.raises(DatasetError, match="BIQ2021: there is no scored image of the split 'train' in "):
            self.reader(root, "train", partial=True)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "Image Name,Score,,\nss01 (1).jpg,0.5,,\n",
                r"has no column 'MOS'; its columns are \['Image Name', 'Score'\]",
            ),
            ("", "has no column 'Image Name'"),
            ("Image Name,MOS\nss01 (1).jpg,nan\n", "expected a number as score, but got 'nan'"),
            ("Image Name,MOS\nss01 (1).jpg,inf\n", "expected a number as score, but got 'inf'"),
            ("Image Name,MOS\nss01 (1).jpg,0.5\nss05 (3).jpg\n", r"line 3: expected a value for each of"),
            ("Image Name,MOS\nss01 (1).jpg,\n", r"line 2: expected a value for each of \('Image Name', 'MOS'\)"),
            (b"Image Name,MOS\ncaf\xe9.jpg,0.5\n", "is not a CSV file in UTF-8"),
        ],
    )
    def test_bad_label_file(self, text, message, root):
        write(root, self.labels, text)
        with pytest.raises(DatasetError, match=message):
            self.reader(root, "train", partial=True)

    def test_the_real_one(self):
        folder = Path(os.environ.get("TOPIQ_METRICS_DATA", "")) / "biq2021"
        if "TOPIQ_METRICS_DATA" not in os.environ or not folder.is_dir():
            pytest.skip("TOPIQ_METRICS_DATA names no folder with biq2021/")
        dataset = self.reader(folder, partial=True)
        assert len(dataset) == 6376
        assert {record.split for record in dataset.records} == {"train"}
        assert all(0 <= record.score <= 1 for record in dataset.records)
        image, score = dataset[6375]
        assert image.shape[0] == 3
        assert score == dataset.records[6375].score


class TestAVA(NumberTests, ReaderTests):
    reader = datasets.AVA
    higher_is_better = True
    labels = "AVA.txt"
    number = "10"
    image = "ava_images/953619.jpg"
    expected: ClassVar = {
        "train": [("ava_images/953619.jpg", 5.5), ("ava_images/7.jpg", 1.0)],
        "test": [("ava_images/953958.jpg", 10.0)],
    }
    extras: ClassVar = {"ava_images/953958.jpg": {"ratings": (*[0.0] * 9, 4.0)}}

    def make(self, root: Path) -> None:
        save(root, *(path for images in self.expected.values() for path, _ in images))
        write(
            root,
            self.labels,
            "1 953619 10 0 0 0 0 0 0 0 0 10 1 22 1396\n2 953958 0 0 0 0 0 0 0 0 0 4 0 0 1396\n"
            "3 7 3 0 0 0 0 0 0 0 0 0 0 0 9\n",
        )
        write(root, "aesthetics_image_lists/generic_test.jpgl", "953958\n")

    def test_image_without_ratings(self, root):
        self.spoil(root, " 10 0 0 0 0 0 0 0 0 10 ", " 0 0 0 0 0 0 0 0 0 0 ")
        with pytest.raises(DatasetError, match=r"AVA.txt: expected ratings of the image 953619, but got none"):
            self.reader(root)

    def test_about_the_published_count(self, root, monkeypatch):
        facts = self.reader.facts
        for total in (1002, 1003):
            sizes: dict[str, int | None] = {"train": None, "test": None}
            monkeypatch.setattr(self.reader, "facts", replace(facts, size=sizes, total=total, rounding=1000))
            if total == 1003:
                with pytest.raises(DatasetError, match="expected about 1003 images, but got 3"):
                    self.reader(root)
            else:
                assert len(self.reader(root)) == 3


class TestPIPAL(NumberTests, ReaderTests):
    reader = datasets.PIPAL
    higher_is_better = True
    labels = "Train_Label/A0001.txt"
    number = "1408.1138"
    image = "Distortion_1/A0001_00_00.bmp"
    expected: ClassVar = {
        "train": [
            ("Distortion_1/A0001_00_00.bmp", 1408.1138),
            ("Distortion_4/A0001_06_01.bmp", 1000.0),
            ("Distortion_2/A0002_01_00.bmp", 1800.0),
        ]
    }
    references: ClassVar = {
        "Distortion_1/A0001_00_00.bmp": "Train_Ref/A0001.bmp",
        "Distortion_4/A0001_06_01.bmp": "Train_Ref/A0001.bmp",
        "Distortion_2/A0002_01_00.bmp": "Train_Ref/A0002.bmp",
    }
    extras: ClassVar = {"Distortion_4/A0001_06_01.bmp": {"distortion": "06"}}
    groups: ClassVar = {"Distortion_4/A0001_06_01.bmp": "a0001"}

    def make(self, root: Path) -> None:
        save(root, *self.references, *self.references.values())
        write(root, self.labels, "A0001_00_00.bmp,1408.1138\nA0001_06_01.bmp,1000.0000\n")
        write(root, "Train_Label/A0002.txt", "A0002_01_00.bmp,1800.0\n")

    def test_missing_label_file(self, root):
        # There is one for each reference: the rest is a part of the set.
        (root / self.labels).unlink()
        with pytest.raises(DatasetError, match="PIPAL: expected 3 images in the split 'train', but got 1"):
            self.reader(root)

    @pytest.mark.parametrize("place", ["Train_Dist", "Train_Dist/Distortion_1", "Dist_Imgs"])
    def test_one_folder(self, place, root):
        for path in self.references:
            save(root, f"{place}/{Path(path).name}")
            (root / path).unlink()
        for name in ("Distortion_1", "Distortion_2", "Distortion_4"):
            (root / name).rmdir()
        assert len(self.reader(root)) == 3


class TestPieAPPTest(NumberTests, ReaderTests):
    beside = ("pieapp",)
    reader = datasets.PieAPPTest
    higher_is_better = False
    labels = "labels/test/ref_2_per_image_score.csv"
    number = "1.25"
    image = "distorted_images/test/ref_2/distort_2_blur_1.png"
    expected: ClassVar = {
        "test": [
            ("distorted_images/test/ref_2/distort_2_blur_1.png", 1.25),
            ("distorted_images/test/ref_10/distort_10_noise_1.png", 3.0),
        ]
    }
    references: ClassVar = {
        "distorted_images/test/ref_2/distort_2_blur_1.png": "reference_images/test/ref_2.png",
        "distorted_images/test/ref_10/distort_10_noise_1.png": "reference_images/test/ref_10.png",
    }
    groups: ClassVar = {"distorted_images/test/ref_10/distort_10_noise_1.png": "ref_10"}

    def make(self, root: Path) -> None:
        save(root, *self.references, *self.references.values())
        head = "ref. image, distorted image, score for distorted image\n"
        write(root, self.labels, f"{head}ref_2.png, distort_2_blur_1.png, 1.25\n")
        write(
            root,
            "labels/test/ref_10_per_image_score.csv",
            f"{head}ref_10.png,distort_10_noise_1.png,3\n",
        )

    def test_missing_label_file(self, root):
        (root / self.labels).unlink()
        with pytest.raises(DatasetError, match="PieAPP test: expected 2 images in the split 'test', but got 1"):
            self.reader(root)

    def test_too_few_columns(self, root):
        write(root, self.labels, "ref. image, distorted image\nref_2.png, distort_2_blur_1.png\n")
        with pytest.raises(DatasetError, match=r"expected a value in each of the first 3 columns, but got"):
            self.reader(root)


class TestBAPPSJND(ReaderTests):
    reader = datasets.BAPPSJND
    higher_is_better = True
    labels = "jnd/val/cnn/same/000001.npy"
    image = "jnd/val/cnn/p1/000001.png"
    expected: ClassVar = {
        "val": [
            ("jnd/val/traditional/p1/000000.png", 1.0),
            ("jnd/val/cnn/p1/000000.png", 0.0),
            ("jnd/val/cnn/p1/000001.png", 0.5),
        ]
    }
    references: ClassVar = {path: path.replace("p1", "p0") for path, _ in expected["val"]}
    extras: ClassVar = {"jnd/val/cnn/p1/000001.png": {"distortion": "cnn"}}

    def make(self, root: Path) -> None:
        save(root, *self.references, *self.references.values())
        for path, score in self.expected["val"]:
            place = root / path.replace("p1", "same").replace("png", "npy")
            place.parent.mkdir(parents=True, exist_ok=True)
            np.save(place, np.array([score], dtype=np.float32))

    def test_missing_label_file(self, root):
        (root / self.labels).unlink()
        with pytest.raises(DatasetError, match="BAPPS JND: expected 3 images in the split 'val', but got 2"):
            self.reader(root)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (np.array([np.nan]), "expected a number as score"),
            (np.zeros(2), r"000001.npy: expected one number, but got an array of shape \(2,\)"),
            (None, r"000001.npy is not a file of numpy"),
        ],
    )
    def test_bad_label_file(self, value, message, root):
        if value is None:
            write(root, self.labels, "no array")
        else:
            np.save(root / self.labels, value)
        with pytest.raises(DatasetError, match=message):
            self.reader(root)


class TestAGIQA3k(ColumnTests, ReaderTests):
    reader = datasets.AGIQA3k
    higher_is_better = True
    labels = "data.csv"
    column = "mos_quality"
    number = "1.25"
    image = "AttnGAN_normal_000.jpg"
    expected: ClassVar = {
        "all": [
            ("AttnGAN_normal_000.jpg", 1.25),
            ("sd1.5_highcfg_001.jpg", 4.5),
            ("midjourney_lowstep_002.jpg", 3.0),
        ]
    }
    extras: ClassVar = {"sd1.5_highcfg_001.jpg": {"prompt": "A dog, asleep", "std": 0.25, "alignment": 4.0}}
    groups: ClassVar = {"AttnGAN_normal_000.jpg": "a dog, asleep", "sd1.5_highcfg_001.jpg": "a dog, asleep"}

    def make(self, root: Path) -> None:
        save(root, *(path for path, _ in self.expected["all"]))
        write(
            root,
            self.labels,
            "name,prompt,adj1,adj2,style,mos_quality,std_quality,mos_align,std_align\n"
            'AttnGAN_normal_000.jpg,"a dog, asleep",,,,1.25,0.5,0.4,0.3\n'
            'sd1.5_highcfg_001.jpg,"A dog, asleep",,,,4.5,0.25,4,0.3\n'
            "midjourney_lowstep_002.jpg,a boat,,,,3,0.25,4,0.3\n",
        )

    def test_images_in_a_folder(self, root):
        for path, _ in self.expected["all"]:
            (root / "AGIQA-3K").mkdir(exist_ok=True)
            (root / path).rename(root / "AGIQA-3K" / path)
        assert len(self.reader(root)) == 3


class TestUHDIQA(ColumnTests, ReaderTests):
    reader = datasets.UHDIQA
    higher_is_better = True
    labels = "uhd-iqa-metadata.csv"
    column = "quality_mos"
    number = "0.25"
    image = "training/100.jpg"
    expected: ClassVar = {
        "training": [("training/100.jpg", 0.25)],
        "validation": [("validation/101.jpg", 0.5)],
        "test": [("test/102.jpg", 0.75)],
    }
    extras: ClassVar = {"test/102.jpg": {"subset": "hq"}}

    def make(self, root: Path) -> None:
        save(root, *(path for images in self.expected.values() for path, _ in images))
        write(
            root,
            self.labels,
            '"image_name","quality_mos","set","subset","views"\n"100.jpg",0.25,"training","",3\n'
            '"101.jpg",0.5,"validation","hq",3\n"102.jpg",0.75,"test","hq",3\n',
        )

    def test_one_folder(self, root):
        for path in ("training/100.jpg", "validation/101.jpg", "test/102.jpg"):
            save(root, f"challenge/images/{Path(path).name}")
            (root / path).unlink()
        assert len(self.reader(root, "test")) == 1


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


class TestCGFIQA40k(ColumnTests, ReaderTests):
    reader = datasets.CGFIQA40k
    higher_is_better = True
    labels = "train/label.json"
    column = "MOS"
    number = "0.125"
    image = "train/img/0.png"
    expected: ClassVar = {
        "train": [("train/img/0.png", 0.125), ("train/img/1.png", 0.5)],
        "val": [("val/img/0.png", 0.5)],
        "test": [("test/img/0.png", 0.75)],
    }

    def make(self, root: Path) -> None:
        for split, images in self.expected.items():
            save(root, *(path for path, _ in images))
            values = {"Image": [Path(path).name for path, _ in images], "MOS": [score for _, score in images]}
            write(root, f"{split}/label.json", json.dumps(values))

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('{"Image": ["0.png"], "MOS": []}', r"expected lists of one length, but got \{'Image': 1, 'MOS': 0\}"),
            ("[1", "label.json is not a JSON file"),
            ("[1]", r"label.json has no list 'Image'; expected the lists \('Image', 'MOS'\)"),
        ],
    )
    def test_bad_label_file(self, text, message, root):
        write(root, self.labels, text)
        with pytest.raises(DatasetError, match=message):
            self.reader(root)


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


class PairTests(FolderTests):
    """What holds for every set of pairs."""

    reader: ClassVar[type[PairDataset]]
    expected: ClassVar[dict[str, list[tuple[str, str, str, float]]]]
    """For each split, the paths of each triple below the root, and the preference for the second."""

    def sizes(self) -> dict[str, int]:
        return {split: len(pairs) for split, pairs in self.expected.items()}

    def test_is_registered(self):
        assert self.reader in PAIR_DATASETS.values()

    def test_records(self, root):
        for name in [None, *self.expected]:
            dataset = self.reader(root, name)
            wanted = [
                (*pair, split) for split in self.expected if name in {split, None} for pair in self.expected[split]
            ]
            records = [
                (*(p.relative_to(root).as_posix() for p in (r.reference, r.first, r.second)), r.preference, r.split)
                for r in dataset.records
            ]
            assert records == wanted
            assert len(dataset) == len(wanted)
            assert len({record.id for record in dataset.records}) == len(wanted)

    def test_items(self, root):
        dataset = self.reader(root, transform=_halves)
        reference, first, second, preference = dataset[0]
        record = dataset.records[0]
        for image, path in ((reference, record.reference), (first, record.first), (second, record.second)):
            assert torch.equal(image, load_image(path) / 2)
        assert preference == record.preference


class TestPieAPP(NumberTests, PairTests):
    beside = ("pieapp-test",)
    reader = datasets.PieAPP
    labels = "labels/train/ref_3_pairwise_labels.csv"
    number = "0.75"
    image = "distorted_images/train/ref_3/distort_3_a.png"
    expected: ClassVar = {
        "train": [
            (
                "reference_images/train/ref_3.png",
                "distorted_images/train/ref_3/distort_3_a.png",
                "distorted_images/train/ref_3/distort_3_b.png",
                0.25,
            ),
            (
                "reference_images/train/ref_3.png",
                "reference_images/train/ref_3.png",
                "distorted_images/train/ref_3/distort_3_b.png",
                0.0,
            ),
        ],
        "val": [
            (
                "reference_images/val/ref_4.png",
                "distorted_images/val/ref_4/distort_4_a.png",
                "distorted_images/val/ref_4/distort_4_b.png",
                0.5,
            )
        ],
        "test": [
            (
                "reference_images/test/ref_5.png",
                "distorted_images/test/ref_5/distort_5_a.png",
                "distorted_images/test/ref_5/distort_5_b.png",
                1.0,
            )
        ],
    }

    def make(self, root: Path) -> None:
        save(root, *(path for pairs in self.expected.values() for pair in pairs for path in pair[:3]))
        head = "ref. image, distorted image A, distorted image B"
        write(
            root,
            self.labels,
            f"{head}, raw preference for A, processed preference for A\n"
            "ref_3.png, distort_3_a.png, distort_3_b.png, , 0.75\n"
            "ref_3.png, distort_3_b.png, distort_3_a.png, ,\nref_3.png, ref_3.png, distort_3_b.png, 0.9, 1\n",
        )
        write(
            root,
            "labels/val/ref_4_pairwise_labels.csv",
            f"{head}, preference for A\nref_4.png,distort_4_a.png,distort_4_b.png,0.5\n",
        )
        write(
            root,
            "labels/test/ref_5_pairwise_labels.csv",
            f"{head}, preference for A\nref_5.png, distort_5_a.png, distort_5_b.png,0\n"
            "ref_5.png,ref_5.png,distort_5_b.png,0.9\n",
        )
        write(
            root,
            "labels/test/ref_5_per_image_score.csv",
            "ref. image, distorted image, score\nref_5.png,distort_5_a.png,2\nref_5.png,distort_5_b.png,1\n",
        )

    def test_missing_column(self, root):
        self.spoil(root, ", raw preference for A, processed preference for A", ", raw, processed")
        with pytest.raises(DatasetError, match=r"has no column 'preference for A'; its columns are \['ref. image', "):
            self.reader(root)

    def test_missing_label_file(self, root):
        (root / self.labels).unlink()
        with pytest.raises(DatasetError, match="PieAPP: expected 2 pairs in the split 'train', but got 0"):
            self.reader(root)

    def test_what_is_no_share(self, root):
        self.spoil(root, "0.75", "1.75")
        with pytest.raises(DatasetError, match=r"expected a share from 0 to 1 as preference, but got 1\.75"):
            self.reader(root)

    def test_a_part_may_lack_a_split(self, root):
        (root / "labels/val").rename(root / "aside")
        assert {record.split for record in self.reader(root, partial=True).records} == {"train", "test"}
        with pytest.raises(DatasetError, match=r"PieAPP: there is no folder .*val"):
            self.reader(root)


_BAPPS = [
    *(("train", "traditional", 0.0), ("train", "cnn", 1.0), ("train", "mix", 0.5)),
    *(("val", kind, 0.4) for kind in ("traditional", "cnn", "superres", "deblur", "color", "frameinterp")),
]


class TestBAPPS(PairTests):
    reader = datasets.BAPPS
    labels = "2afc/train/cnn/judge/000000.npy"
    image = "2afc/train/cnn/ref/000000.png"
    expected: ClassVar = {
        split: [
            (*(f"2afc/{split}/{kind}/{role}/000000.png" for role in ("ref", "p0", "p1")), share)
            for part, kind, share in _BAPPS
            if part == split
        ]
        for split in ("train", "val")
    }

    def make(self, root: Path) -> None:
        for split, kind, share in _BAPPS:
            save(root, *(f"2afc/{split}/{kind}/{role}/000000.png" for role in ("ref", "p0", "p1")))
            judge = root / f"2afc/{split}/{kind}/judge/000000.npy"
            judge.parent.mkdir()
            np.save(judge, np.array([share]))

    def test_missing_label_file(self, root):
        (root / self.labels).unlink()
        with pytest.raises(DatasetError, match="BAPPS: expected 3 pairs in the split 'train', but got 2"):
            self.reader(root)

    def test_only_one_split(self, root):
        (finding,) = check_folder(root)
        assert finding.splits == {}
        (root / "2afc/train").rename(root / "aside")
        (finding,) = check_folder(root)
        assert re.search(r"there is no folder .*train", finding.problem)
        assert finding.splits == {"val": 6}
        (root / "2afc/val/cnn/ref/000000.png").write_bytes(b"")
        (finding,) = check_folder(root)
        assert finding.splits == {}


class TestCSVDataset:
    """Its facts are what the file says."""

    @pytest.fixture
    def make(self, tmp_path) -> Callable[[str], Path]:
        def write_labels(text: str) -> Path:
            save(tmp_path, "a/0.png", "a/1.PNG", "a/2.png", "ref/r.png", "ref/s.png")
            write(tmp_path, "mine.csv", text)
            return tmp_path / "mine.csv"

        return write_labels

    @pytest.mark.parametrize("higher_is_better", [True, False])
    def test_splits_and_references(self, higher_is_better, make):
        labels = make(
            "Image,reference,score,split,kind\r\na/0.png,ref/r.png,1,train,x\r\na\\1.png,ref/r.png,4.5,train,\r\n"
            "a/2.png,ref/s.png,2,test,y\r\n"
        )
        dataset = CSVDataset(labels, higher_is_better=higher_is_better)
        facts = dataset.facts
        assert (facts.name, facts.score_range, facts.references) == ("mine", (1.0, 4.5), 2)
        assert facts.higher_is_better is higher_is_better
        assert dict(facts.size) == {"train": 2, "test": 1}
        assert [record.score for record in dataset.records] == [1.0, 4.5, 2.0]
        assert dataset.records[0].extras == {"kind": "x"}
        (record,) = CSVDataset(labels, "test", higher_is_better=higher_is_better).records
        assert record.image.name == "2.png"
        assert record.reference is not None
        assert record.reference.name == "s.png"
        with pytest.raises(DatasetError, match=r"must be one of \('train', 'test'\), but got 'val'"):
            CSVDataset(labels, "val", higher_is_better=higher_is_better)

    def test_random_split(self, make):
        labels = make("image,score,group\na/0.png,1,x\na/1.png,2,x\na/2.png,3,y\n")
        parts = [CSVDataset(labels, part, higher_is_better=True, seed=4) for part in ("train", "test")]
        assert sorted(len({record.group for record in part.records}) for part in parts) == [1, 1]
        labels = make("image,score,group\na/0.png,1,x\na/1.png,2,x\n")
        with pytest.raises(DatasetError, match="mine: A split by image needs at least 2 of them, but got 1"):
            CSVDataset(labels, "test", higher_is_better=True, seed=4)

    def test_paths(self, make, tmp_path):
        labels = make(f"image,score\n{tmp_path / 'a/0.png'},1\n2.png,2\n")
        assert len(CSVDataset(labels, higher_is_better=True, root=tmp_path / "a")) == 2

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("t.csv", "image,score,reference\r\na\\0.png,3.5,ref\\r.png\r\n"),
            ("t.csv", "id, Path, MOS , reference\n7, a/0.png, 3.5, ref/r.png\n"),
            ("t.csv", "filename;rating;reference\na/0.png;3,5;ref/r.png\n"),
            ("t.tsv", "Image Name\tmean opinion score\treference\na/0.png\t3.5\tref/r.png\n"),
        ],
    )
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
    def test_tables_of_other_systems(self, name, text, encoding, make, tmp_path):
        make("")
        (tmp_path / name).write_bytes(text.encode(encoding))
        dataset = CSVDataset(tmp_path / name, higher_is_better=True)
        (record,) = dataset.records
        assert (record.image, record.score) == (tmp_path / "a/0.png", 3.5)
        assert record.reference == tmp_path / "ref/r.png"
        assert set(record.extras) <= {"id"}
        assert dataset.missing == []

    def test_columns_may_be_named(self, make):
        labels = make("image,photo,score,JOD,reference,original\nx.png,a/0.png,0,4,y.png,ref/r.png\n")
        columns = {"image_column": "photo", "score_column": "jod", "reference_column": "original"}
        (record,) = CSVDataset(labels, higher_is_better=True, **columns).records
        assert (record.image.name, record.score, record.reference.name) == ("0.png", 4, "r.png")
        assert record.extras == {"image": "x.png", "score": "0", "reference": "y.png"}
        for column in columns:
            with pytest.raises(DatasetError, match=r"mine\.csv has no column 'nope'; its columns are image, photo"):
                CSVDataset(labels, higher_is_better=True, **{column: "nope"})

    def test_images_that_are_not_there(self, make):
        labels = make("image,score,reference\na/0.png,1,ref/r.png\na\\9.png,2,ref/r.png\na/2.png,3,ref/x.png\n")
        dataset = CSVDataset(labels, higher_is_better=True)
        assert [record.score for record in dataset.records] == [1, 2, 3]
        assert dataset.missing == ["line 3: a\\9.png", "line 4: ref/x.png"]
        with pytest.raises(ImageError, match="there is no such file"):
            dataset[1]
        dataset = CSVDataset(labels, higher_is_better=True, partial=True)
        assert [record.score for record in dataset.records] == [1]
        assert len(dataset.missing) == 2

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("image,x\na/0.png,1\n", r"mine.csv has none of the columns score, mos, .*; its columns are image, x\."),
            ("image,score\na/0.png,1\n\na/1.png,x\n", r"mine\.csv, line 4: expected a number as score, but got 'x'"),
            ("image;score\na/0.png;1,000,5\n", r"line 2: expected a number as score, but got '1\.000\.5'"),
            ("image,score\na/0.png,1\na/1.png,\n", r"line 3: expected a value for each of \('image', 'score'\)"),
            (
                "image,score\na/8.png,1\na/9.png,1\n",
                r"mine.csv names 'a/8.png', which is not in '.*', nor are the other 1",
            ),
            ("image,score\na/9.png,1\n", "mine: mine.csv names 'a/9.png', which is not in"),
            ("image,score\n", "mine.csv has no rows"),
            ("image,score,split\na/0.png,1,train\na/2.png,1,\n", "expected a split in every row, or no column 'split'"),
            ("image,score,Score\na/0.png,1,2\n", "mine.csv has the column 'score' more than once"),
            ("image,score,kind,kind\na/0.png,1,2,3\n", "mine.csv has the column 'kind' more than once"),
            ("image,score\n.,1\n", r"names '\.', which is not in '.*'\."),
            ("image,score\na,1\n", r"names 'a', which is not in '.*'\."),
            ("image,score\na/0.png,1\na/2.png,2\n\na\\0.PNG,3\n", r"line 5: 'a.+0.PNG' is there already, on line 2"),
            (
                "image,score,reference\na/0.png,1,ref/r.png\na/0.png,1,ref/s.png\n./a/0.png,2,ref/r.png\n",
                r"line 4: './a/0.png' is there already, on line 2",
            ),
        ],
    )
    def test_errors(self, text, message, make):
        with pytest.raises(DatasetError, match=message):
            CSVDataset(make(text), higher_is_better=True)


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
        with monkeypatch.context() as patch:
            patch.setattr(os, "access", lambda path, mode: path != deep)
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
        for reader in (datasets.LIVE, datasets.PIQ23):
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


def test_every_reader_is_tested():
    tested = {test.reader for test in _subclasses(FolderTests) if hasattr(test, "reader")}
    assert tested == {*DATASETS.values(), *PAIR_DATASETS.values()}


def test_unknown_dataset():
    with pytest.raises(DatasetError, match=r"Unknown dataset 'KADID'\. Did you mean 'kadid-10k'"):
        get_dataset("KADID")


def _subclasses(kind: type) -> set[type]:
    return {found for child in kind.__subclasses__() for found in {child, *_subclasses(child)}}


def _corner(image: torch.Tensor) -> torch.Tensor:
    return image[:, :8, :8]


def _halves(*images: torch.Tensor) -> list[torch.Tensor]:
    return [image / 2 for image in images]
