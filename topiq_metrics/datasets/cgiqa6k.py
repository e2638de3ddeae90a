"""CGIQA-6k: pictures from games and films (Zhang et al., ACM TOMM, 2023)."""

from __future__ import annotations

from collections.abc import Iterator

from topiq_metrics.datasets.base import ALL, DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.files import DatasetError, Folder, read_csv, read_score
from topiq_metrics.datasets.splits import BY_IMAGE

_LABELS, _KINDS = "mos.csv", ("game", "movie")


class CGIQA6k(IQADataset):
    """``database/{game,movie}_0001.jpg`` with scores 0…5, higher is better: the second column of ``mos.csv``."""

    facts = DatasetFacts(
        name="CGIQA-6k",
        size={ALL: 6000},
        score_range=(0.0, 5.0),
        higher_is_better=True,
        citation="Z. Zhang, W. Sun, Y. Zhou, J. Jia, Z. Zhang, J. Liu, X. Min, G. Zhai. Subjective and objective "
        "quality assessment for in-the-wild computer graphics images. ACM Transactions on Multimedia Computing, "
        "Communications, and Applications, 2023",
        license="none stated in its repository",
        source="https://github.com/zzc-1998/CGIQA6K",
        split=BY_IMAGE,
        note="the names of the columns could not be checked here: the first two are taken",
    )

    @classmethod
    def recognizes(cls, folder: Folder) -> bool:
        if folder.find(_LABELS) is None:
            return False
        # Any set may have a file and a folder of these names; this one has these images.
        names = [name for place in ("database", "") for name in folder.names(place)]
        return any(name.lower().startswith(tuple(f"{kind}_" for kind in _KINDS)) for name in names)

    def read(self, folder: Folder) -> Iterator[Record]:
        labels = folder.labels(_LABELS)
        places = folder.places()
        for row in read_csv(labels, ()):
            name, score, *_ = (*row.values(), "", "")
            if not name or not score:
                raise DatasetError(f"{row.place}: expected a name and a score in the first two columns.")
            path = folder.image(labels, *(place + name for place in places))
            if path is not None:
                kind = name.split("_")[0].lower()
                extras = {"kind": kind} if kind in _KINDS else {}
                yield Record(path, read_score(score, row.place), ALL, extras=extras)
