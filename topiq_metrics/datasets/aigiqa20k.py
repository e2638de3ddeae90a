"""AIGIQA-20K: generated images of fifteen models (Li et al., CVPR workshops 2024)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from topiq_metrics.datasets.base import DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.files import DatasetError, Folder, has_columns, read_csv, read_score

_NAMES = ("name", "image_name", "img_name", "image")


class AIGIQA20k(IQADataset):
    """``{train,val,test}/*`` with scores 0…5, higher is better, in ``info_{train,val,test}.csv``, as in NTIRE 2024."""

    facts = DatasetFacts(
        name="AIGIQA-20K",
        size={"train": 14000, "val": 2000, "test": 4000},
        score_range=(0.0, 5.0),
        higher_is_better=True,
        citation="C. Li, T. Kou, Y. Gao, Y. Cao, W. Sun, Z. Zhang, Y. Zhou, Z. Zhang, W. Zhang, H. Wu, X. Liu, X. Min, "
        "G. Zhai. AIGIQA-20K: a large database for AI-generated image quality assessment. CVPR workshops 2024",
        license="not checked here; see its page",
        source="https://www.modelscope.cn/datasets/lcysyzxdxc/AIGCQA-30K-Image",
        note="one score for perception and alignment together; the sizes of train and val and the columns of the label "
        "files could not be checked here",
    )
    marks: ClassVar = ("info_train.csv", "info_val.csv", "info_test.csv")

    @classmethod
    def recognizes(cls, folder: Folder) -> bool:
        paths = [path for path in map(folder.find, cls.marks) if path is not None]
        return any(has_columns(path, "mos", "prompt") for path in paths)

    def read(self, folder: Folder) -> Iterator[Record]:
        for split in self.wanted:
            name = f"info_{split}.csv"
            if self.partial and self.split is None and folder.find(name) is None:
                continue
            labels = folder.labels(name)
            images = folder.folder(split)
            for row in read_csv(labels, ("mos",)):
                column = next((column for column in _NAMES if row.get(column)), None)
                if column is None:
                    raise DatasetError(f"{labels} has no column {_NAMES[0]!r}; its columns are {list(row)}.")
                path = folder.image(labels, f"{images}/{row[column]}", f"{images}/{split}/{row[column]}")
                if path is not None:
                    prompt = row.get("prompt", "")
                    extras = {"prompt": prompt} if prompt else {}
                    yield Record(path, read_score(row["mos"], row.place), split, group=prompt.lower(), extras=extras)
