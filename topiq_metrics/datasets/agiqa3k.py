"""AGIQA-3K: generated images (Li et al., IEEE TCSVT 34(8), 2024)."""

from __future__ import annotations

from collections.abc import Iterator

from topiq_metrics.datasets.base import ALL, DatasetFacts, Extras, IQADataset, Record
from topiq_metrics.datasets.files import Folder, has_columns, optional_number, read_csv, read_score
from topiq_metrics.datasets.splits import BY_PROMPT

_COLUMNS = ("name", "prompt", "mos_quality")


class AGIQA3k(IQADataset):
    """Images beside ``data.csv``, or in a folder beside it, with mean opinion scores 0…5, higher is better."""

    facts = DatasetFacts(
        name="AGIQA-3K",
        size={ALL: 2982},
        score_range=(0.0, 5.0),
        higher_is_better=True,
        citation="C. Li, Z. Zhang, H. Wu, W. Sun, X. Min, X. Liu, G. Zhai, W. Lin. AGIQA-3K: an open database for "
        "AI-generated image quality assessment. IEEE Transactions on Circuits and Systems for Video Technology 34(8), "
        "2024",
        license="MIT",
        source="https://github.com/lcysyzxdxc/AGIQA-3k-Database",
        split=BY_PROMPT,
    )

    @classmethod
    def recognizes(cls, folder: Folder) -> bool:
        path = folder.find("data.csv")
        # Any set may have a file of that name; this one has these columns.
        return path is not None and has_columns(path, "mos_quality", "mos_align")

    def read(self, folder: Folder) -> Iterator[Record]:
        labels = folder.labels("data.csv")
        places = folder.places()
        for row in read_csv(labels, _COLUMNS):
            path = folder.image(labels, *(place + row["name"] for place in places))
            if path is not None:
                extras: Extras = {
                    "prompt": row["prompt"],
                    **optional_number(row, std="std_quality", alignment="mos_align"),
                }
                score = read_score(row["mos_quality"], row.place)
                yield Record(path, score, ALL, group=row["prompt"].lower(), extras=extras)
