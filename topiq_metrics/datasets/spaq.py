"""SPAQ: photographs by phones (Fang, Zhu, Zeng, Ma, Wang, CVPR 2020)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from topiq_metrics.datasets.base import ALL, DatasetFacts, Record
from topiq_metrics.datasets.files import Folder, optional_number, read_csv, read_score, read_xlsx
from topiq_metrics.datasets.fixed_lists import FixedList, ListedDataset
from topiq_metrics.datasets.splits import BY_IMAGE

_LABELS = "Annotations/MOS and Image attribute scores"
_ATTRIBUTES = ("Brightness", "Colorfulness", "Contrast", "Noisiness", "Sharpness")


class SPAQ(ListedDataset):
    """``TestImage/00001.jpg`` with mean opinion scores 0…100, higher is better."""

    facts = DatasetFacts(
        name="SPAQ",
        size={ALL: 11125},
        score_range=(0.0, 100.0),
        higher_is_better=True,
        citation="Y. Fang, H. Zhu, Y. Zeng, K. Ma, Z. Wang. Perceptual quality assessment of smartphone photography. "
        "CVPR 2020",
        license="research and education only, under the terms that come with it",
        source="https://github.com/h4nwei/SPAQ",
        split=BY_IMAGE,
        note="commonly scored at a short side of 448",
    )
    fixed_list = FixedList(2224, "e61656290fc6d0d5", ("test_spaq.json", "test_spaq_2k.json"))
    marks: ClassVar = ("TestImage", f"{_LABELS}.xlsx", f"{_LABELS}.csv")

    def read(self, folder: Folder) -> Iterator[Record]:
        labels = folder.labels(f"{_LABELS}.csv", f"{_LABELS}.xlsx")
        images = folder.folder("TestImage")
        read = read_xlsx if labels.suffix.lower() == ".xlsx" else read_csv
        is_asked, split = self.on_test_list(folder), self.only_split
        for row in read(labels, ("Image name", "MOS")):
            if not is_asked(row["Image name"], ""):
                continue
            path = folder.image(labels, f"{images}/{row['Image name']}")
            if path is not None:
                extras = optional_number(row, **{name.lower(): name for name in _ATTRIBUTES})
                yield Record(path, read_score(row["MOS"], row.place), split, extras=extras)
