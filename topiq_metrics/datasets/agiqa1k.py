"""AGIQA-1K: the first set of generated images with scores (Zhang et al., ICME workshops 2023)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from topiq_metrics.datasets.base import ALL, DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.files import Folder, read_score, read_xlsx
from topiq_metrics.datasets.splits import BY_PROMPT

_LABELS = "AIGC_MOS_Zscore.xlsx"


class AGIQA1k(IQADataset):
    """``file/{model}_{…}.jpg``, or images beside ``AIGC_MOS_Zscore.xlsx``, with scores 0…5, higher is better."""

    facts = DatasetFacts(
        name="AGIQA-1K",
        size={ALL: 1080},
        score_range=(0.0, 5.0),
        higher_is_better=True,
        citation="Z. Zhang, C. Li, W. Sun, X. Liu, X. Min, G. Zhai. A perceptual quality assessment exploration for "
        "AIGC images. ICME Workshops 2023, arXiv 2303.12618",
        license="MIT",
        source="https://github.com/lcysyzxdxc/AGIQA-1k-Database",
        split=BY_PROMPT,
        note="scores are z-scores brought to 0 to 5; `AIGC_all.csv` of its repository has raw ones and is not read",
    )
    marks: ClassVar = (_LABELS,)

    def read(self, folder: Folder) -> Iterator[Record]:
        labels = folder.labels(_LABELS)
        places = folder.places()
        for row in read_xlsx(labels, ("Image", "Prompt", "MOS")):
            path = folder.image(labels, *(place + row["Image"] for place in places))
            if path is not None:
                score = read_score(row["MOS"], row.place)
                yield Record(path, score, ALL, group=row["Prompt"].lower(), extras={"prompt": row["Prompt"]})
