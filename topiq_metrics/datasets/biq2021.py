"""BIQ2021: authentic distortions, mostly 512×512 (Ahmed & Asif, Journal of Electronic Imaging 31(5), 2022)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from topiq_metrics.datasets.base import DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.files import Folder, read_csv, read_score

_LABELS = {"train": "Train (Images and MOS).csv", "test": "Test (Images and MOS).csv"}


class BIQ2021(IQADataset):
    """``Images/ss0X (n).jpg`` with the mean opinion score of 30 observers, 0…1, higher is better."""

    facts = DatasetFacts(
        name="BIQ2021",
        size={"train": 10000, "test": 2000},
        score_range=(0.0, 1.0),
        higher_is_better=True,
        citation="N. Ahmed, S. Asif. BIQ2021: a large-scale blind image quality assessment database. "
        "Journal of Electronic Imaging 31(5), 2022",
        license="not stated by its authors; 8000 of the 12000 images come from Unsplash",
        source="https://github.com/nisarahmedrana/BIQ2021",
    )
    marks: ClassVar = tuple(_LABELS.values())

    def read(self, folder: Folder) -> Iterator[Record]:
        for split in self.wanted:
            if self.partial and self.split is None and folder.find(_LABELS[split]) is None:
                continue
            labels = folder.labels(_LABELS[split])
            images = folder.folder("Images")
            for row in read_csv(labels, ("Image Name", "MOS")):
                path = folder.image(labels, f"{images}/{row['Image Name']}")
                if path is not None:
                    yield Record(path, read_score(row["MOS"], row.place), split)
