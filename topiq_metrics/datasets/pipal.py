"""PIPAL: results of image restoration (Gu et al., ECCV 2020)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from topiq_metrics.datasets.base import DatasetFacts, Record
from topiq_metrics.datasets.files import DatasetError, Folder, Row, read_columns, read_score, separator_of
from topiq_metrics.datasets.fixed_lists import FixedList, ListedDataset
from topiq_metrics.datasets.splits import canonical_split

_DISTORTED = ("Train_Dist", "Distortion_1", "Distortion_2", "Distortion_3", "Distortion_4", "Dist_Imgs")
_VALIDATION = ("val_label.txt", "Val_Label/val_label.txt")


class PIPAL(ListedDataset):
    """The labelled part: ``Train_Ref/A0001.bmp`` and its distorted versions, with Elo scores, higher is better.

    Scores, 917…1836, are comparable within a reference only. Some copies have the validation part of the NTIRE
    challenges, too: ``Val_Ref/``, ``Val_Dist/`` and ``val_label.txt``, with lines ``A0185_10_00.bmp,1379.03``; this is
    the split ``"val"``.
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
        note="its authors give labels of the training part alone; copies with `val_label.txt` have a split val of 1000 "
        "images of 25 references, whose range of scores could not be checked here",
    )
    validation: ClassVar[Mapping[str, int]] = {"val": 1000}
    # Of 40 references, all 116 images.
    fixed_list = FixedList(4640, "", ("test_pipal_5k.json",))
    marks: ClassVar = ("Train_Label", "Train_Ref", "Train_Dist", "Distortion_1")

    @classmethod
    def facts_in(cls, folder: Folder, **options: Any) -> DatasetFacts:
        facts, split = super().facts_in(folder, **options), options.get("split")
        is_there = any(folder.find(name) is not None for name in _VALIDATION)
        is_asked = split is not None and canonical_split(split) == "validation"
        if options.get("test_list") is not None or not (is_there or is_asked):
            return facts
        return replace(facts, size={**facts.size, **cls.validation}, total=None, references=facts.references + 25)

    def read(self, folder: Folder) -> Iterator[Record]:
        is_asked = self.on_test_list(folder)
        if "val" in self.wanted:
            labels = folder.labels(*_VALIDATION)
            rows = read_columns(labels, ("name", "elo"), separator_of(labels))
            yield from _read(folder, labels, rows, "val", folder.folder("Val_Ref"), [folder.folder("Val_Dist")])
        if self.wanted == ("val",) or (self.partial and self.split is None and folder.find("Train_Label") is None):
            return
        texts = [name for name in folder.names(folder.folder("Train_Label")) if name.lower().endswith(".txt")]
        references = folder.folder("Train_Ref")
        present = [name for name in _DISTORTED if folder.find(name) is not None]
        if not present:
            folder.folder(*_DISTORTED[:2])
        places = [place for name in present for place in (name, *folder.subfolders(name))]
        for text in texts:
            labels = folder.labels(f"Train_Label/{text}")
            rows = read_columns(labels, ("name", "elo"), ",")
            asked = (row for row in rows if is_asked(row["name"], ""))
            yield from _read(folder, labels, asked, self.wanted[0], references, places)


def _read(
    folder: Folder, labels: Path, rows: Iterator[Row], split: str, references: str, places: list[str]
) -> Iterator[Record]:
    for row in rows:
        parts = row["name"].rsplit(".", 1)[0].split("_")
        if len(parts) != 3:
            raise DatasetError(f"{labels}: expected a name like 'A0001_00_00.bmp', but got {row['name']!r}.")
        image = folder.image(labels, *(f"{place}/{row['name']}" for place in places))
        original = folder.image(labels, f"{references}/{parts[0]}.bmp")
        if image is not None and original is not None:
            score = read_score(row["elo"], row.place)
            yield Record(image, score, split, original, group=parts[0].lower(), extras={"distortion": parts[1]})
