"""UHD-IQA: photographs of 3840 pixels in width (Hosu et al., ECCV workshops 2024)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from topiq_metrics.datasets.base import DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.files import DatasetError, Folder, read_csv, read_score

_LABELS = "uhd-iqa-metadata.csv"


class UHDIQA(IQADataset):
    """Images beside ``uhd-iqa-metadata.csv`` or in folders there, with mean opinion scores 0…1, higher is better."""

    facts = DatasetFacts(
        name="UHD-IQA",
        size={"training": 4269, "validation": 904, "test": 900},
        score_range=(0.0, 1.0),
        higher_is_better=True,
        citation="V. Hosu, L. Agnolucci, O. Wiedemann, D. Iso, D. Saupe. UHD-IQA benchmark database: pushing the "
        "boundaries of blind photo quality assessment. ECCV workshops 2024",
        license="see its page; the images come from Pixabay",
        source="https://database.mmsp-kn.de/uhd-iqa-benchmark-database.html",
    )
    marks: ClassVar = (_LABELS,)

    def read(self, folder: Folder) -> Iterator[Record]:
        labels = folder.labels(_LABELS)
        places = folder.places()
        for row in read_csv(labels, ("image_name", "quality_mos", "set")):
            if row["set"] not in self.facts.size:
                raise DatasetError(f"{labels}: expected a set of {tuple(self.facts.size)}, but got {row['set']!r}.")
            if row["set"] not in self.wanted:
                continue
            path = folder.image(labels, *(place + row["image_name"] for place in places))
            if path is not None:
                extras = {"subset": row["subset"]} if row.get("subset") else {}
                yield Record(path, read_score(row["quality_mos"], row.place), row["set"], extras=extras)
