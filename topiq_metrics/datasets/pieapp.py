"""PieAPP: which of two images looks more like the reference (Prashnani, Cai, Mostofi, Sen, CVPR 2018)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from topiq_metrics.datasets.base import DatasetFacts, IQADataset, PairDataset, PairRecord, Record
from topiq_metrics.datasets.files import DatasetError, Folder, read_csv, read_score

_COMMON: dict[str, Any] = {
    "citation": "E. Prashnani, H. Cai, Y. Mostofi, P. Sen. PieAPP: perceptual image-error assessment through pairwise "
    "preference. CVPR 2018",
    "license": "noncommercial and educational use only",
    "source": "https://github.com/prashnani/PerceptualImageError",
}
_PAIRS = "_pairwise_labels.csv"
_SCORES = "_per_image_score.csv"
# Processed ones are given for every pair, raw ones for those that observers saw.
_PREFERENCES = ("processed preference for a", "raw preference for a", "preference for a")
# Sets of other kinds have labels/train, too.
_MARKS = ("test_reference_list.txt", "train_reference_list.txt", "reference_images/train", "reference_images/test")


class PieAPP(PairDataset):
    """Pairs of ``distorted_images/{split}/ref_N/`` with the share of observers who prefer the second, 0 to 1.

    As in the paper, pairs of an image with its own reference are left out of the test split.
    """

    facts = DatasetFacts(
        name="PieAPP",
        # 483 for each of 140 and 20 references, 105 for each of 40.
        size={"train": 67620, "val": 9660, "test": 4200},
        score_range=(0.0, 1.0),
        higher_is_better=True,
        references=200,
        note="pairs: scored by agreement with the observers' choices",
        **_COMMON,
    )
    marks: ClassVar = _MARKS
    rule = "majority"

    def read(self, folder: Folder) -> Iterator[PairRecord]:
        for split in self.wanted:
            for labels, reference in _label_files(folder, split, _PAIRS, self.partial and self.split is None):
                for row in read_csv(labels, ()):
                    names = _first_columns(row, labels, 3)
                    preference = _preference(row, labels)
                    if split == "test" and names[0] in names[1:]:
                        continue
                    if preference is None:
                        self.unrated.append(row.place)
                        continue
                    own = names[0].rsplit(".", 1)[0]
                    original = folder.image(labels, f"reference_images/{split}/{names[0]}")
                    first, second = (
                        folder.image(
                            labels,
                            f"reference_images/{split}/{name}"
                            if name == names[0]
                            else f"distorted_images/{split}/{own}/{name}",
                        )
                        for name in names[1:]
                    )
                    if original is not None and first is not None and second is not None:
                        id_ = "/".join(names).lower()
                        # The file says how many prefer the first.
                        yield PairRecord(original, first, second, 1 - preference, split, id_, reference)


class PieAPPTest(IQADataset):
    """The 600 test images with a score for each: the distance from the reference, from 0, lower is better."""

    facts = DatasetFacts(
        name="PieAPP test",
        size={"test": 600},
        score_range=(0.0, math.inf),
        higher_is_better=False,
        references=40,
        note="0 is the reference itself",
        **_COMMON,
    )
    marks: ClassVar = _MARKS

    def read(self, folder: Folder) -> Iterator[Record]:
        for labels, group in _label_files(folder, "test", _SCORES, optional=False):
            for row in read_csv(labels, ()):
                reference, name, score = _first_columns(row, labels, 3)
                own = reference.rsplit(".", 1)[0]
                original = folder.image(labels, f"reference_images/test/{reference}")
                image = folder.image(labels, f"distorted_images/test/{own}/{name}")
                if image is not None and original is not None:
                    yield Record(image, read_score(score, labels), "test", original, group=group)


def _label_files(folder: Folder, split: str, ending: str, optional: bool) -> Iterator[tuple[Path, str]]:
    """The label files of a split and the references' names, by their numbers."""
    if optional and folder.find(f"labels/{split}") is None:
        return
    place = folder.folder(f"labels/{split}")
    names = [name for name in folder.names(place) if name.lower().endswith(ending)]
    for name in sorted(names, key=lambda name: (len(name), name)):
        yield folder.labels(f"{place}/{name}"), name[: -len(ending)].lower()


def _first_columns(row: dict[str, str], labels: Path, count: int) -> list[str]:
    """The columns that the authors tell by their place: the reference, then what is compared with it."""
    values = list(row.values())[:count]
    if len(values) < count or not all(values):
        raise DatasetError(f"{labels}: expected a value in each of the first {count} columns, but got {values}.")
    return values


def _preference(row: dict[str, str], labels: Path) -> float | None:
    """The share of observers who prefer the first image; None where nobody was asked."""
    shares = {column.lower(): value for column, value in row.items()}
    known = [column for column in _PREFERENCES if column in shares]
    if not known:
        raise DatasetError(f"{labels} has no column 'preference for A'; its columns are {list(row)}.")
    text = next((shares[column] for column in known if shares[column]), None)
    if text is None:
        return None
    share = read_score(text, labels)
    if not 0 <= share <= 1:
        raise DatasetError(f"{labels}: expected a share from 0 to 1 as preference, but got {share}.")
    return share
