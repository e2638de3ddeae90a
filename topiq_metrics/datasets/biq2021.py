"""BIQ2021: authentic distortions, mostly 512×512 (Ahmed & Asif, Journal of Electronic Imaging 31(5), 2022)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from topiq_metrics.datasets.base import DatasetError, DatasetFacts, Folder, IQADataset, Record, read_csv, read_score

_LABELS = {"train": "Train (Images and MOS).csv", "test": "Test (Images and MOS).csv"}


class BIQ2021(IQADataset):
    """``Images/ss0X (n).jpg`` with the mean opinion score of 30 observers, 0…1, higher better."""

    facts: ClassVar[DatasetFacts] = DatasetFacts(
        name="BIQ2021",
        size={"train": 10000, "test": 2000},
        score_range=(0.0, 1.0),
        higher_is_better=True,
        citation="N. Ahmed, S. Asif. BIQ2021: a large-scale blind image quality assessment database. "
        "Journal of Electronic Imaging 31(5), 2022",
        license="not stated by its authors; 8000 of the 12000 images come from Unsplash",
        source="GitHub repository nisarahmedrana/BIQ2021",
    )

    def read_split(self, split: str) -> Iterator[Record]:
        root = Folder(self.root)
        labels = root.find(_LABELS[split])
        if labels is None:
            if self.partial and self.split is None:
                return
            raise DatasetError(f"BIQ2021: there is no label file {self.root / _LABELS[split]}.")
        images = root.folder("Images")
        for row in read_csv(labels, ("Image Name", "MOS")):
            path = images.find(row["Image Name"])
            if path is not None:
                yield Record(path, read_score(row["MOS"], labels), split)
            elif not self.partial:
                raise DatasetError(
                    f"BIQ2021: {labels.name} names {row['Image Name']!r}, which is not in {images.path}."
                )
