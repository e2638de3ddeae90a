"""PIPAL: results of image restoration (Gu et al., ECCV 2020)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from topiq_metrics.datasets.base import DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.files import DatasetError, Folder, read_columns, read_score

_DISTORTED = ("Train_Dist", "Distortion_1", "Distortion_2", "Distortion_3", "Distortion_4", "Dist_Imgs")


class PIPAL(IQADataset):
    """The labelled part: ``Train_Ref/A0001.bmp`` and its distorted versions, with Elo scores, higher better.

    Scores compare within a reference.
    """

    facts = DatasetFacts(
        name="PIPAL",
        size={"train": 23200},
        score_range=(917.0, 1836.0),
        higher_is_better=True,
        citation="J. Gu, H. Cai, H. Chen, X. Ye, J. Ren, C. Dong. PIPAL: a large-scale image quality assessment "
        "dataset for perceptual image restoration. ECCV 2020",
        license="see its page",
        source="https://www.jasongt.com/projectpages/pipal.html",
        references=200,
        note="only the training part has public labels",
    )
    marks: ClassVar = ("Train_Label", "Train_Ref", "Train_Dist", "Distortion_1")

    def read(self, folder: Folder) -> Iterator[Record]:
        texts = [name for name in folder.names(folder.folder("Train_Label")) if name.lower().endswith(".txt")]
        references = folder.folder("Train_Ref")
        present = [name for name in _DISTORTED if folder.find(name) is not None]
        if not present:
            folder.folder(*_DISTORTED[:2])
        places = [place for name in present for place in (name, *folder.subfolders(name))]
        for text in texts:
            labels = folder.labels(f"Train_Label/{text}")
            for row in read_columns(labels, ("name", "elo"), ","):
                parts = row["name"].rsplit(".", 1)[0].split("_")
                if len(parts) != 3:
                    raise DatasetError(f"{labels}: expected a name like 'A0001_00_00.bmp', but got {row['name']!r}.")
                image = folder.image(labels, *(f"{place}/{row['name']}" for place in places))
                original = folder.image(labels, f"{references}/{parts[0]}.bmp")
                if image is not None and original is not None:
                    score = read_score(row["elo"], row.place)
                    extras = {"distortion": parts[1]}
                    yield Record(image, score, "train", original, group=parts[0].lower(), extras=extras)
