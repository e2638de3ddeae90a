"""What holds for every reader: mixins that are given a fake folder in the official layout."""

from __future__ import annotations

import io
import pickle
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from topiq_metrics.datasets import (
    DATASETS,
    PAIR_DATASETS,
    DatasetError,
    IQADataset,
    PairDataset,
    check_folder,
    get_dataset,
)
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

    def test_other_names_of_splits(self, root):
        facts = self.reader.facts
        seed = {} if facts.split.kind == "official" else {"seed": 0}
        others = {"train": "Training", "training": "train", "val": "validation", "validation": "val", "test": "TEST"}
        for split in set(facts.splits) & others.keys() if sum(self.sizes().values()) > 2 else ():
            if facts.split.kind == "official" or len(facts.splits) == 2:
                dataset = self.read(root, others[split], **seed)
                assert (dataset.split, dataset.records) == (split, self.read(root, split, **seed).records)

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


def _corner(image: torch.Tensor) -> torch.Tensor:
    return image[:, :8, :8]


def _halves(*images: torch.Tensor) -> list[torch.Tensor]:
    return [image / 2 for image in images]
