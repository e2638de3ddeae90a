"""CGFIQA-40k: faces, balanced over skin tones and sexes (Chen et al., CVPR 2024)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from topiq_metrics.datasets.base import DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.dslfiqa import COUNTS, MARKS, is_gfiqa20k, read_parts
from topiq_metrics.datasets.files import Folder, read_score


class CGFIQA40k(IQADataset):
    """``{split}/img/*.png`` with mean opinion scores 0…1, higher is better, in ``{split}/label.json``."""

    facts = DatasetFacts(
        name="CGFIQA-40k",
        size={"train": None, "val": None, "test": None},
        total=COUNTS["CGFIQA-40k"],
        score_range=(0.0, 1.0),
        higher_is_better=True,
        citation="W.-T. Chen, G. Krishnan, Q. Gao, S.-Y. Kuo, S. Ma, J. Wang. DSL-FIQA: assessing facial image quality "
        "via dual-set degradation learning and landmark-guided transformer. CVPR 2024",
        license="none stated in its repository",
        source="https://github.com/DSL-FIQA/DSL-FIQA",
    )
    marks: ClassVar = MARKS

    @classmethod
    def recognizes(cls, folder: Folder) -> bool:
        # GFIQA-20k is also shipped in this layout, with half as many images.
        return super().recognizes(folder) and not is_gfiqa20k(folder)

    def read(self, folder: Folder) -> Iterator[Record]:
        for row, path, part in read_parts(folder, self.wanted, self.split):
            yield Record(path, read_score(row["MOS"], row.place), part, id=f"{part}/{row['Image'].lower()}")
