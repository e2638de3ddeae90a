"""Every reader, on a fake folder in the official layout with the traps that the real ones hold."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from topiq_metrics.datasets import BIQ2021, DATASETS, DatasetError, IQADataset
from topiq_metrics.images import load_image


class ReaderTests:
    """What holds for every dataset; a subclass makes the folder and says what is in it."""

    reader: ClassVar[type[IQADataset]]
    expected: ClassVar[dict[str, list[tuple[str, float]]]]
    """For each split, the path of each image below the root, and its score."""

    def make(self, root: Path) -> None:
        raise NotImplementedError

    @pytest.fixture
    def root(self, tmp_path, monkeypatch) -> Path:
        root = tmp_path / "dataset"
        root.mkdir()
        self.make(root)
        return root

    @pytest.fixture
    def complete(self, monkeypatch) -> None:
        """As if the fake were the whole set."""
        size = {split: len(images) for split, images in self.expected.items()}
        monkeypatch.setattr(self.reader, "facts", _replace_size(self.reader, size))

    def test_is_registered(self):
        assert self.reader in DATASETS.values()

    def test_facts(self):
        facts = self.reader.facts
        assert set(facts.size) == set(self.expected)
        assert facts.score_range[0] < facts.score_range[1]
        for text in (facts.name, facts.citation, facts.license, facts.source):
            assert text

    @pytest.mark.parametrize("split", ["each", None])
    def test_records(self, split, root, complete):
        for name in self.expected if split == "each" else [None]:
            dataset = self.reader(root, name)
            wanted = [(path, score, s) for s in self.expected if name in {s, None} for path, score in self.expected[s]]
            records = [(r.image.relative_to(root).as_posix(), r.score, r.split) for r in dataset.records]
            assert records == wanted
            assert len(dataset) == len(wanted)

    def test_scores_are_in_the_range(self, root):
        low, high = self.reader.facts.score_range
        assert all(low <= record.score <= high for record in self.reader(root, partial=True).records)

    def test_items(self, root):
        dataset = self.reader(root, partial=True)
        for (image, score), record in zip(dataset, dataset.records, strict=True):
            assert torch.equal(image, load_image(record.image))
            assert (image.dtype, image.ndim, len(image)) == (torch.float32, 3, 3)
            assert score == record.score

    def test_transform(self, root):
        dataset = self.reader(root, transform=lambda image: image.mean().item(), partial=True)
        image, score = dataset[0]
        assert image == load_image(dataset.records[0].image).mean().item()
        assert score == dataset.records[0].score

    def test_data_loader(self, root):
        dataset = self.reader(root, transform=_corner, partial=True)
        batches = list(DataLoader(dataset, batch_size=2))
        assert batches[0][0].shape == (2, 3, 8, 8)
        assert torch.cat([scores for _, scores in batches]).tolist() == [record.score for record in dataset.records]

    def test_pickle(self, root):
        dataset = self.reader(root, transform=_corner, partial=True)
        again = pickle.loads(pickle.dumps(dataset))
        assert again.records == dataset.records
        assert torch.equal(again[1][0], dataset[1][0])

    def test_a_part_must_be_asked_for(self, root):
        split = next(iter(self.expected))
        wanted, got = self.reader.facts.size[split], len(self.expected[split])
        with pytest.raises(
            DatasetError,
            match=rf"{self.reader.facts.name}: expected {wanted} images in the split '{split}', but got {got} in .*"
            r"Pass `partial=True`",
        ):
            self.reader(root, split)

    def test_unknown_split(self, root):
        with pytest.raises(DatasetError, match=r"Argument `split` must be one of \(.*\), but got 'all'"):
            self.reader(root, "all")

    def test_missing_folder(self, tmp_path):
        with pytest.raises(DatasetError, match=rf"{self.reader.facts.name}: there is no folder .*nowhere"):
            self.reader(tmp_path / "nowhere")

    @pytest.mark.parametrize("partial", [False, True])
    def test_empty_folder(self, partial, tmp_path):
        with pytest.raises(DatasetError, match=self.reader.facts.name):
            self.reader(tmp_path, partial=partial)


class TestBIQ2021(ReaderTests):
    reader = BIQ2021
    expected: ClassVar = {
        "train": [("Images/ss01 (1).jpg", 0.25), ("Images/SS02 (17).JPG", 0.5), ("Images/ss05 (3).jpg", 1.0)],
        "test": [("Images/ss01 (2).jpg", 0.0), ("Images/ss03 (9).jpg", 0.75)],
    }
    train = "Train (Images and MOS).csv"

    def make(self, root: Path) -> None:
        (root / "Images").mkdir()
        for split in self.expected.values():
            for i, (path, _) in enumerate(split):
                Image.new("RGB", (40 + i, 50), (60 * i, 0, 0)).save(root / path)
        # A byte-order mark, Windows' line ends, empty columns and rows, spaces, letters of another case.
        (root / self.train).write_bytes(
            b"\xef\xbb\xbfImage Name,MOS,,\r\nss01 (1).jpg,0.25,,\r\nss02 (17).jpg, 0.5 ,,\r\n\r\n"
            b"SS05 (3).JPG,1,,\r\n,,,\r\n"
        )
        (root / "Test (Images and MOS).csv").write_text("Image Name,MOS\nss01 (2).jpg,0\nss03 (9).jpg,0.75\n")

    def labels(self, root: Path, text: str | bytes) -> None:
        (root / self.train).write_bytes(text.encode() if isinstance(text, str) else text)

    def test_direction_and_size(self):
        facts = BIQ2021.facts
        assert (facts.higher_is_better, facts.score_range, facts.references) == (True, (0.0, 1.0), 0)
        assert dict(facts.size) == {"train": 10000, "test": 2000}

    def test_the_same_case_wins(self, root):
        upper, lower = root / "Images" / "SS09 (1).jpg", root / "Images" / "ss09 (1).jpg"
        Image.new("RGB", (40, 40)).save(upper)
        Image.new("RGB", (40, 40)).save(lower)
        if upper.samefile(lower):
            pytest.skip("file names differ by more than case here")
        self.labels(root, "Image Name,MOS\nss09 (1).jpg,0.5\nSS09 (1).jpg,0.6\n")
        assert [record.image for record in BIQ2021(root, "train", partial=True).records] == [lower, upper]

    def test_folders_and_label_files_of_another_case(self, root):
        (root / "Images").rename(root / "aside")
        (root / "aside").rename(root / "images")
        (root / self.train).rename(root / "aside.csv")
        (root / "aside.csv").rename(root / self.train.lower())
        assert len(BIQ2021(root, "train", partial=True)) == 3

    def test_columns_in_another_order(self, root):
        self.labels(root, "Index,MOS,Image Name\n1,0.5,ss01 (1).jpg\n")
        (record,) = BIQ2021(root, "train", partial=True).records
        assert (record.image.name, record.score) == ("ss01 (1).jpg", 0.5)

    def test_missing_label_file(self, root):
        (root / self.train).unlink()
        for split in ("train", None):
            with pytest.raises(DatasetError, match=r"BIQ2021: there is no label file .*Train \(Images and MOS\).csv"):
                BIQ2021(root, split)

    def test_a_part_may_lack_a_split(self, root):
        (root / "Test (Images and MOS).csv").unlink()
        assert len(BIQ2021(root, partial=True)) == 3
        with pytest.raises(DatasetError, match="there is no label file"):
            BIQ2021(root, "test", partial=True)

    def test_missing_images_folder(self, root):
        (root / "Images").rename(root / "Pictures")
        with pytest.raises(DatasetError, match=r"There is no folder .*Images"):
            BIQ2021(root, "train", partial=True)

    def test_missing_image(self, root):
        (root / "Images" / "SS02 (17).JPG").unlink()
        with pytest.raises(DatasetError, match=r"Train .*\.csv names 'ss02 \(17\)\.jpg', which is not in .*Images"):
            BIQ2021(root, "train")
        assert len(BIQ2021(root, "train", partial=True)) == 2

    def test_no_image_at_all(self, root):
        for path in (root / "Images").iterdir():
            path.unlink()
        with pytest.raises(DatasetError, match="BIQ2021: there is no scored image of the split 'train' in "):
            BIQ2021(root, "train", partial=True)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "Image Name,Score,,\nss01 (1).jpg,0.5,,\n",
                r"has no column 'MOS'; its columns are \['Image Name', 'Score'\]",
            ),
            ("", "has no column 'Image Name'"),
            ("Image Name,MOS\nss01 (1).jpg,high\n", r"Train .*: expected a number as score, but got 'high'"),
            ("Image Name,MOS\nss01 (1).jpg,nan\n", "expected a number as score, but got 'nan'"),
            ("Image Name,MOS\nss01 (1).jpg,inf\n", "expected a number as score, but got 'inf'"),
            ("Image Name,MOS\nss01 (1).jpg,0.5\nss05 (3).jpg\n", r"line 3: expected a value for each of"),
            ("Image Name,MOS\nss01 (1).jpg,\n", r"line 2: expected a value for each of \('Image Name', 'MOS'\)"),
            (b"Image Name,MOS\ncaf\xe9.jpg,0.5\n", "is not a CSV file in UTF-8"),
        ],
    )
    def test_bad_label_file(self, text, message, root):
        self.labels(root, text)
        with pytest.raises(DatasetError, match=message):
            BIQ2021(root, "train", partial=True)

    def test_the_real_one(self):
        folder = Path(os.environ.get("TOPIQ_METRICS_DATA", "")) / "biq2021"
        if "TOPIQ_METRICS_DATA" not in os.environ or not folder.is_dir():
            pytest.skip("TOPIQ_METRICS_DATA names no folder with biq2021/")
        dataset = BIQ2021(folder, partial=True)
        assert len(dataset) == 6376
        assert {record.split for record in dataset.records} == {"train"}
        assert all(0 <= record.score <= 1 for record in dataset.records)
        image, score = dataset[6375]
        assert image.shape[0] == 3
        assert score == dataset.records[6375].score


def _corner(image: torch.Tensor) -> torch.Tensor:
    return image[:, :8, :8]


def _replace_size(reader: type[IQADataset], size: dict[str, int]):
    return replace(reader.facts, size=size)
