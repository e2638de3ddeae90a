"""KonIQ-10k (Hosu, Lin, Sziranyi, Saupe, IEEE TIP 29, 2020) and KonIQ-10k++ (Su et al., BMVC 2021)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from topiq_metrics.datasets.base import ALL, DatasetFacts, Extras, IQADataset, Record
from topiq_metrics.datasets.files import DatasetError, Folder, Row, optional_number, read_csv, read_score
from topiq_metrics.datasets.fixed_lists import FixedList, ListedDataset

_WITH_SETS = "koniq10k_distributions_sets.csv"
_WITHOUT = "koniq10k_scores_and_distributions.csv"
_BESIDE = "koniq10k_scores_and_distributions"
# Of the official test part, those that Q-Align does not test.
_UNLISTED = {"121123359.jpg", "213906996.jpg", "3483143101.jpg", "3632417985.jpg", "44009500.jpg"}
_PLUS_PLUS = "koniq++database.csv"
_DEFECTS = ("artifacts", "blur", "contrast", "colors")
_MARKS = range(1, 6)
_SIZES = ("512x384", "1024x768")
# As the archives unpack: bare, in a folder of the archive's name, or both.
_PLACES = {place: size for size in _SIZES for place in (size, f"koniq10k_{size}", f"koniq10k_{size}/{size}")}


class KonIQ10k(ListedDataset):
    """``512x384/*.jpg``, else ``1024x768/*.jpg``, with mean opinion scores from z-scores, 0…100, higher is better.

    These folders may also be named, or be in, ``koniq10k_512x384`` and ``koniq10k_1024x768``. At the larger size, the
    dataset has another name and key in ``facts``, since the images differ.

    ``ratings`` are the counts of the ratings 1…5, ``ratings_std`` is their standard deviation, on that scale.

    From ``koniq10k_scores_and_distributions.csv``, which has no splits, the column ``MOS_zscore`` is used.
    """

    facts = DatasetFacts(
        name="KonIQ-10k",
        size={"training": 7058, "validation": 1000, "test": 2015},
        score_range=(0.0, 100.0),
        higher_is_better=True,
        citation="V. Hosu, H. Lin, T. Sziranyi, D. Saupe. KonIQ-10k: an ecologically valid database for deep learning "
        "of blind image quality assessment. IEEE Transactions on Image Processing 29, 2020",
        license="see its page; the images have Creative Commons licences of their own",
        source="https://database.mmsp-kn.de/koniq-10k-database.html",
    )
    fixed_list = FixedList(
        2010,
        "47df97365cf3c85d",
        ("test_koniq.json", "test_koniq_2k.json"),
        lambda name, split: split == "test" and name not in _UNLISTED,
    )
    marks: ClassVar = (_WITH_SETS, _WITHOUT, f"{_BESIDE}/{_WITH_SETS}", f"{_BESIDE}/{_WITHOUT}")

    def read(self, folder: Folder) -> Iterator[Record]:
        files = (_WITH_SETS,) if self.split is not None or self.test_list is not None else (_WITH_SETS, _WITHOUT)
        labels = folder.labels(*(place for name in files for place in (name, f"{_BESIDE}/{name}")))
        has_sets = labels.name.lower() == _WITH_SETS
        score = "MOS" if has_sets else "MOS_zscore"
        rows = list(read_csv(labels, ("image_name", score, *(("set",) if has_sets else ()))))
        images = _place(folder, [row["image_name"] for row in rows])
        if _PLACES[images] != _SIZES[0]:
            self.facts = replace(self.facts, name=f"{self.facts.name} {_PLACES[images]}")
        is_asked, sets = self.on_test_list(folder), type(self).facts.size
        for row in rows:
            split = row["set"] if has_sets else ALL
            if has_sets and split not in sets:
                raise DatasetError(f"{labels}: expected a set of {tuple(sets)}, but got {split!r}.")
            if (has_sets and split not in self.wanted) or not is_asked(row["image_name"], split):
                continue
            path = folder.image(labels, f"{images}/{row['image_name']}")
            if path is not None:
                yield Record(path, read_score(row[score], row.place), split, extras=_extras(row))


class KonIQ10kPlusPlus(IQADataset):
    """The images of KonIQ-10k, rated again: the column ``qmos`` of ``koniq++database.csv``, 1…5, higher is better.

    The file is in the folder of KonIQ-10k, whose ``koniq10k_distributions_sets.csv`` has the splits. ``artifacts``,
    ``blur``, ``contrast`` and ``colors`` are the shares of observers who saw this defect. Images are found as for
    `KonIQ10k`.
    """

    facts = DatasetFacts(
        name="KonIQ-10k++",
        size=KonIQ10k.facts.size,
        score_range=(1.0, 5.0),
        higher_is_better=True,
        citation="S. Su, V. Hosu, H. Lin, Y. Zhang, D. Saupe. KonIQ++: boosting no-reference image quality assessment "
        "in the wild by jointly predicting image quality and defects. BMVC 2021",
        license="see its page; the images have Creative Commons licences of their own",
        source="https://database.mmsp-kn.de/koniq-image-defects-database.html",
        note="the splits are those of KonIQ-10k, whose label file is needed beside; other scores than KonIQ-10k's",
    )
    marks: ClassVar = (_PLUS_PLUS,)

    def read(self, folder: Folder) -> Iterator[Record]:
        labels = folder.labels(_PLUS_PLUS)
        sets: dict[str, str] | None = None
        files = (_WITH_SETS, f"{_BESIDE}/{_WITH_SETS}")
        if self.split is not None or any(folder.find(file) is not None for file in files):
            path = folder.labels(*files)
            sets = {row["image_name"]: row["set"] for row in read_csv(path, ("image_name", "set"))}
        rows = list(read_csv(labels, ("filename", "qmos")))
        images = _place(folder, [row["filename"] for row in rows])
        if _PLACES[images] != _SIZES[0]:
            self.facts = replace(self.facts, name=f"{self.facts.name} {_PLACES[images]}")
        for row in rows:
            split = ALL if sets is None else sets.get(row["filename"], "")
            if split != ALL and split not in self.facts.size:
                raise DatasetError(f"{row.place}: {row['filename']!r} is in no set of {_WITH_SETS}.")
            if sets is not None and split not in self.wanted:
                continue
            image = folder.image(labels, f"{images}/{row['filename']}")
            if image is not None:
                extras = optional_number(row, std="sd", **{name: name for name in _DEFECTS})
                yield Record(image, read_score(row["qmos"], row.place), split, extras=extras)


def _extras(row: Row) -> Extras:
    """The counts of the marks, which one of the files has as shares, and their deviation, on their scale of 1…5."""
    extras: dict[str, float | tuple[float, ...]] = {**optional_number(row, ratings_std="SD")}
    marks = tuple(optional_number(row, c1="c1", c2="c2", c3="c3", c4="c4", c5="c5").values())
    if len(marks) == len(_MARKS):
        total = optional_number(row, total="c_total").get("total", 0.0)
        shares = math.isclose(sum(marks), 1, abs_tol=0.01) and total > 1
        extras["ratings"] = tuple(float(round(mark * total)) for mark in marks) if shares else marks
    return extras


def _place(folder: Folder, names: Sequence[str]) -> str:
    """The first of the folders that holds the first image; of a part of the set, the first that holds any."""
    first = folder.folder(*_PLACES)
    for some in (names[:1], names):
        for place in _PLACES:
            if any(folder.find(f"{place}/{name}") is not None for name in some):
                return place
    return first
