"""MDID: distortions of random types and levels after one another (Sun, Zhou, Liao, Pattern Recognition 61, 2017)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from topiq_metrics.datasets.base import ALL, DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.files import DatasetError, Folder, read_columns, read_score
from topiq_metrics.datasets.splits import BY_REFERENCE

_LABELS = "mos.txt"


class MDID(IQADataset):
    """``distortion_images/img01_01.bmp`` with a score in each line of ``mos.txt``, in the order of the names.

    Scores are about 0…8, higher is better. The reference is ``reference_images/img01.bmp``.
    """

    facts = DatasetFacts(
        name="MDID",
        size={ALL: 1600},
        score_range=(0.0, 8.0),
        higher_is_better=True,
        citation="W. Sun, F. Zhou, Q. Liao. MDID: a multiply distorted image database for image quality assessment. "
        "Pattern Recognition 61, 2017",
        license="not known here; see its page",
        source="https://www.sz.tsinghua.edu.cn/labs/vipl/mdid.html",
        references=20,
        split=BY_REFERENCE,
        note="80 images of each reference; the range could not be checked here",
    )
    marks: ClassVar = ("distortion_images/img01_01.bmp",)
    images_of_reference: ClassVar = 80

    @classmethod
    def recognizes(cls, folder: Folder) -> bool:
        has_labels = folder.find(_LABELS) is not None and folder.find("distortion_images") is not None
        return has_labels or super().recognizes(folder)

    def read(self, folder: Folder) -> Iterator[Record]:
        labels = folder.labels(_LABELS)
        scores = [read_score(row["mos"], row.place) for row in read_columns(labels, ("mos",))]
        each = self.images_of_reference
        if len(scores) != self.facts.references * each:
            raise DatasetError(f"{labels}: expected {self.facts.references * each} lines, but got {len(scores)}.")
        images, references = folder.folder("distortion_images"), folder.folder("reference_images")
        for index, score in enumerate(scores):
            reference = f"img{index // each + 1:02}"
            image = folder.image(labels, f"{images}/{reference}_{index % each + 1:02}.bmp")
            original = folder.image(labels, f"{references}/{reference}.bmp")
            if image is not None and original is not None:
                yield Record(image, score, ALL, original, group=reference)
