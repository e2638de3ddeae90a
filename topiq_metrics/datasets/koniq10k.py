"""KonIQ-10k: authentic distortions (Hosu, Lin, Sziranyi, Saupe, IEEE TIP 29, 2020)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from topiq_metrics.datasets.base import ALL, DatasetFacts, Extras, IQADataset, Record
from topiq_metrics.datasets.files import DatasetError, Folder, optional_number, read_csv, read_score

_WITH_SETS = "koniq10k_distributions_sets.csv"
_WITHOUT = "koniq10k_scores_and_distributions.csv"
_BESIDE = "koniq10k_scores_and_distributions"
_SIZES = ("512x384", "1024x768")
# As the archives unpack: bare, in a folder of the archive's name, or both.
_PLACES = {place: size for size in _SIZES for place in (size, f"koniq10k_{size}", f"koniq10k_{size}/{size}")}


class KonIQ10k(IQADataset):
    """``512x384/*.jpg``, else ``1024x768/*.jpg``, with mean opinion scores from z-scores, 0…100, higher better.

    These folders may also be called, or be in, ``koniq10k_512x384`` and ``koniq10k_1024x768``. At the larger size, the
    set has a name and a key of its own in ``facts``: those are other images.

    Of ``koniq10k_scores_and_distributions.csv``, which knows no splits, the column ``MOS_zscore`` is taken.
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
    marks: ClassVar = (_WITH_SETS, _WITHOUT, f"{_BESIDE}/{_WITH_SETS}", f"{_BESIDE}/{_WITHOUT}")

    def read(self, folder: Folder) -> Iterator[Record]:
        files = (_WITH_SETS, _WITHOUT) if self.split is None else (_WITH_SETS,)
        labels = folder.labels(*(place for name in files for place in (name, f"{_BESIDE}/{name}")))
        has_sets = labels.name.lower() == _WITH_SETS
        score, deviation = ("MOS", "SD") if has_sets else ("MOS_zscore", "SD_zscore")
        rows = list(read_csv(labels, ("image_name", score, *(("set",) if has_sets else ()))))
        images = _place(folder, [row["image_name"] for row in rows])
        if _PLACES[images] != _SIZES[0]:
            self.facts = replace(self.facts, name=f"{self.facts.name} {_PLACES[images]}")
        for row in rows:
            split = row["set"] if has_sets else ALL
            if has_sets and split not in self.facts.size:
                raise DatasetError(f"{labels}: expected a set of {tuple(self.facts.size)}, but got {split!r}.")
            path = folder.image(labels, f"{images}/{row['image_name']}")
            if path is not None:
                ratings = optional_number(row, c1="c1", c2="c2", c3="c3", c4="c4", c5="c5")
                extras: Extras = {**optional_number(row, std=deviation), "ratings": tuple(ratings.values())}
                yield Record(path, read_score(row[score], row.place), split, extras=extras)


def _place(folder: Folder, names: Sequence[str]) -> str:
    """The first of the folders that holds the first image; of a part of the set, the first that holds any."""
    first = folder.folder(*_PLACES)
    for some in (names[:1], names):
        for place in _PLACES:
            if any(folder.find(f"{place}/{name}") is not None for name in some):
                return place
    return first
