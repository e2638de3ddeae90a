"""The label files that pyiqa ships for its datasets, ``meta_info_*.csv``, with images in pyiqa's folders."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from topiq_metrics.datasets.base import ALL, IQADataset, Record
from topiq_metrics.datasets.bid import BID
from topiq_metrics.datasets.csiq import CSIQ
from topiq_metrics.datasets.files import DatasetError, Folder, Row, read_csv, read_score
from topiq_metrics.datasets.flive import FLIVE
from topiq_metrics.datasets.gfiqa20k import GFIQA20k
from topiq_metrics.datasets.kadid10k import KADID10k
from topiq_metrics.datasets.koniq10k import KonIQ10k, KonIQ10kPlusPlus
from topiq_metrics.datasets.live import LIVE, LIVEChallenge
from topiq_metrics.datasets.livemd import LIVEMD
from topiq_metrics.datasets.pipal import PIPAL
from topiq_metrics.datasets.spaq import SPAQ
from topiq_metrics.datasets.splits import BY_IMAGE, OFFICIAL
from topiq_metrics.datasets.tid import TID2008, TID2013

_NAME = re.compile(r"meta_info_(.+?)(Dataset)?\.csv", re.IGNORECASE)
_SPLIT = "official_split"
_PATCH = re.compile(r"_patch_\d+\.jpg$", re.IGNORECASE)
# Where a set of LIVE's has the realigned scores.
_REALIGNED_BEYOND = LIVE.facts.score_range


@dataclass(frozen=True)
class _Set:
    """A set of pyiqa's.

    Attributes:
        reader: whose facts and names are those of the set.
        images: the folder of the images, where all sets are.
        references: likewise, that of the references; empty where there are none.
        parts: how many parts of a path name an image.
        has_suffix: whether a group is a reference with its suffix.
    """

    reader: type[IQADataset]
    images: str
    references: str = ""
    parts: int = 1
    has_suffix: bool = False


# By the names of the files in small letters; folders as in pyiqa's documentation.
_SETS = {
    "csiq": _Set(CSIQ, "CSIQ/dst_imgs", "CSIQ/src_imgs"),
    "tid2008": _Set(TID2008, "tid2008/distorted_images", "tid2008/reference_images"),
    "tid2013": _Set(TID2013, "tid2013/distorted_images", "tid2013/reference_images"),
    "liveiqa": _Set(LIVE, "LIVEIQA_release2", "LIVEIQA_release2", parts=2, has_suffix=True),
    "livemd": _Set(LIVEMD, "LIVEmultidistortiondatabase", "LIVEmultidistortiondatabase", parts=2),
    "livechallenge": _Set(LIVEChallenge, "LIVEC/Images"),
    "koniq10k": _Set(KonIQ10k, "koniq10k/512x384"),
    "koniq10k++": _Set(KonIQ10kPlusPlus, "koniq10k/512x384"),
    "kadid10k": _Set(KADID10k, "kadid10k/images", "kadid10k/images", has_suffix=True),
    "spaq": _Set(SPAQ, "SPAQ/TestImage"),
    "pipal": _Set(PIPAL, "PIPAL/Dist_Imgs", "PIPAL/Train_Ref"),
    "flive": _Set(FLIVE, "FLIVE_Database/database", parts=2),
    "gfiqa": _Set(GFIQA20k, "GFIQA-20k/image"),
    "bid": _Set(BID, "BID"),
}


def is_meta_info(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one of pyiqa's label files that `MetaInfoDataset` reads, by its name."""
    return _set_of(Path(path)) is not None


class MetaInfoDataset(IQADataset):
    """A label file of pyiqa as an `IQADataset`, such as ``meta_info_KADID10kDataset.csv``.

    As in pyiqa, columns are identified by their position: image and score, or reference, image and score; the column
    ``official_split``, if there is one, has the splits. In ``facts``, name, direction and terms are those of the
    dataset, and counts are those of the file. Images have the same ids as in the dataset's own reader, so that random
    splits are the same.

    Args:
        labels: the file.
        split: one of those in ``official_split``; without such a column, a part of a random split, with ``seed``.
        transform: as for `IQADataset`.
        root: the folder that contains pyiqa's datasets, such as ``kadid10k/images``; by default the parent of the
            file's folder, as in ``datasets/meta_info/``.
        options: those of `IQADataset`.

    Raises:
        DatasetError: as for `IQADataset`, or the file is not a known label file of pyiqa.
    """

    def __init__(
        self,
        labels: str | os.PathLike[str],
        split: str | None = None,
        transform: Callable[..., Any] | None = None,
        *,
        root: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        self.labels = Path(labels)
        found = _set_of(self.labels)
        if found is None:
            raise DatasetError(f"{self.labels}: expected a file of pyiqa's, meta_info_ and one of {sorted(_SETS)}.")
        self._set = found
        rows = [row for row in read_csv(self.labels, ()) if not _is_training_image(found, row)]
        self._rows = [_cells(row, has_reference=bool(found.references)) for row in rows]
        has_splits = bool(rows) and all(row.get(_SPLIT) for row in rows)
        self._splits = [row[_SPLIT].lower() if has_splits else ALL for row in rows]
        facts = found.reader.facts
        rule = facts.split if facts.split.kind == "random" else BY_IMAGE
        self.facts = replace(
            facts,
            size=Counter(self._splits) or {ALL: 0},
            total=None,
            rounding=1,
            split=OFFICIAL if has_splits else rule,
            source=str(self.labels),
        )
        if found.reader is LIVE and not all(_is_within(score, _REALIGNED_BEYOND) for *_, score in self._rows):
            self.facts = replace(self.facts, name=f"{self.facts.name} realigned", score_range=(-3.0, 112.0))
        if found.reader is FLIVE and any(_PATCH.search(name) for _, name, _ in self._rows):
            self.facts = replace(self.facts, name=f"{self.facts.name} with patches")
        super().__init__(self.labels.resolve().parent.parent if root is None else root, split, transform, **options)
        del self._rows, self._splits

    def read(self, folder: Folder) -> Iterator[Record]:
        places = self._set
        for (reference, name, score), split in zip(self._rows, self._splits, strict=True):
            if split not in self.wanted:
                continue
            image = folder.image(self.labels, f"{places.images}/{name}")
            original = folder.image(self.labels, f"{places.references}/{reference}") if reference else None
            if image is not None and (original is not None or not reference):
                path = PurePosixPath(name.replace("\\", "/").lower())
                base = PurePosixPath(reference.replace("\\", "/").lower())
                group = base.name if places.has_suffix else base.stem
                if places.reader is FLIVE:
                    # A patch belongs to its image.
                    group = _PATCH.sub("", path.name)
                yield Record(image, score, split, original, id="/".join(path.parts[-places.parts :]), group=group)


def _set_of(path: Path) -> _Set | None:
    match = _NAME.fullmatch(path.name)
    return None if match is None else _SETS.get(match.group(1).lower())


def _is_training_image(known: _Set, row: Row) -> bool:
    """Whether an image of LIVE Challenge is one that observers were trained with."""
    return known.reader is LIVEChallenge and re.fullmatch(r"(.*/)?t\d\.bmp", next(iter(row.values()), "")) is not None


def _cells(row: Row, *, has_reference: bool) -> tuple[str, str, float]:
    cells = list(row.values())[: 3 if has_reference else 2]
    if len(cells) < 2 + has_reference or not all(cells):
        what = "a reference, an image and a score" if has_reference else "an image and a score"
        raise DatasetError(f"{row.place}: expected {what} in the first columns, but got {cells}.")
    return (cells[0] if has_reference else "", cells[-2], read_score(cells[-1], row.place))


def _is_within(score: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= score <= limits[1]
