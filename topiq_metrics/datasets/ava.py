"""AVA: aesthetics of photographs (Murray, Marchesotti, Perronnin, CVPR 2012)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from topiq_metrics.datasets.base import DatasetFacts, Record
from topiq_metrics.datasets.files import DatasetError, Folder, read_columns, read_score
from topiq_metrics.datasets.fixed_lists import FixedList, ListedDataset

_COUNTS = tuple(f"ratings of {mark}" for mark in range(1, 11))
_LABELS, _TEST = "AVA.txt", "aesthetics_image_lists/generic_test.jpgl"


class AVA(ListedDataset):
    """``ava_images/{id}.jpg`` with the mean rating from 1 to 10, higher is better; ``ratings`` has the counts.

    The ids in ``aesthetics_image_lists/generic_test.jpgl`` are the test split, all others the training split.
    """

    facts = DatasetFacts(
        name="AVA",
        size={"train": None, "test": None},
        total=255_530,
        score_range=(1.0, 10.0),
        higher_is_better=True,
        citation="N. Murray, L. Marchesotti, F. Perronnin. AVA: a large-scale database for aesthetic visual analysis. "
        "CVPR 2012",
        license="the images belong to their photographers at dpchallenge.com",
        source="https://github.com/imfing/ava_downloader",
        note="copies in circulation lack 28 images: pass `partial=True`",
    )
    fixed_list = FixedList(19_930, "7eb381d5e0bbabab", ("test_ava.json",))
    marks: ClassVar = (_LABELS, "ava_images")

    def read(self, folder: Folder) -> Iterator[Record]:
        labels = folder.labels(_LABELS)
        images = folder.folder("ava_images", "images", "image")
        test: set[str] | None = None
        is_asked, listed = self.on_test_list(folder), self.test_list is not None
        if listed:
            test = None
        elif self.split is not None or folder.find(_TEST) is not None:
            test = {row["id"] for row in read_columns(folder.labels(_TEST), ("id",))}
        for row in read_columns(labels, ("index", "id", *_COUNTS)):
            name = f"{row['id']}.jpg"
            if not is_asked(name, ""):
                continue
            path = folder.image(labels, f"{images}/{name}")
            if path is None:
                continue
            ratings = tuple(read_score(row[name], row.place) for name in _COUNTS)
            if not sum(ratings) > 0:
                raise DatasetError(f"{labels}: expected ratings of the image {row['id']}, but got none.")
            score = sum(mark * count for mark, count in enumerate(ratings, 1)) / sum(ratings)
            split = self.only_split if test is None else "test" if row["id"] in test else "train"
            yield Record(path, score, split, extras={"ratings": ratings})
