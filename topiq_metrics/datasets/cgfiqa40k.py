"""CGFIQA-40k: faces, balanced over skin tones and sexes (Chen et al., CVPR 2024)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from topiq_metrics.datasets.base import DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.files import Folder, read_json, read_score


class CGFIQA40k(IQADataset):
    """``{split}/img/*.png`` with mean opinion scores in ``{split}/label.json``, higher better."""

    facts = DatasetFacts(
        name="CGFIQA-40k",
        size={"train": None, "val": None, "test": None},
        total=39312,
        score_range=(0.0, 1.0),
        higher_is_better=True,
        citation="W.-T. Chen, G. Krishnan, Q. Gao, S.-Y. Kuo, S. Ma, J. Wang. DSL-FIQA: assessing facial image quality "
        "via dual-set degradation learning and landmark-guided transformer. CVPR 2024",
        license="none stated in its repository",
        source="https://github.com/DSL-FIQA/DSL-FIQA",
    )
    marks: ClassVar = ("train/label.json", "val/label.json", "test/label.json")

    def read(self, folder: Folder) -> Iterator[Record]:
        for split in self.wanted:
            if self.partial and split != self.split and folder.find(f"{split}/label.json") is None:
                continue
            labels = folder.labels(f"{split}/label.json")
            images = folder.folder(f"{split}/img")
            for row in read_json(labels, ("Image", "MOS")):
                path = folder.image(labels, f"{images}/{row['Image']}")
                if path is not None:
                    yield Record(path, read_score(row["MOS"], row.place), split, id=f"{split}/{row['Image'].lower()}")
