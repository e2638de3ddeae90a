"""CID2013: the same scenes by many cameras (Virtanen et al., IEEE TIP 24(1), 2015)."""

from __future__ import annotations

from collections.abc import Iterator

from topiq_metrics.datasets.base import ALL, DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.files import DatasetError, Folder, read_score, read_xlsx
from topiq_metrics.datasets.splits import BY_SCENE

_START, _SHEET = "cid2013 data", "CID2013 MOS"


class CID2013(IQADataset):
    """``IS_I_C01_D01.jpg``, in folders up to two levels down, with realigned mean opinion scores, higher is better.

    The scores, about 0…100, are in the sheet ``CID2013 MOS`` of ``CID2013 data - version 12112014.xlsx``. File names
    contain the image set, the scene and the camera.
    """

    facts = DatasetFacts(
        name="CID2013",
        size={ALL: 474},
        score_range=(0.0, 100.0),
        higher_is_better=True,
        citation="T. Virtanen, M. Nuutinen, M. Vaahteranoksa, P. Oittinen, J. Häkkinen. CID2013: a database for "
        "evaluating no-reference image quality assessment algorithms. IEEE Transactions on Image Processing 24(1), "
        "2015",
        license="free for research; see its page",
        source="https://zenodo.org/records/2647033",
        split=BY_SCENE,
        note="the realigned scores, which put six image sets on one scale; the range could not be checked here",
    )

    @classmethod
    def recognizes(cls, folder: Folder) -> bool:
        return _find_labels(folder) is not None

    def read(self, folder: Folder) -> Iterator[Record]:
        name = _find_labels(folder)
        labels = folder.labels(name or "CID2013 data - version 12112014.xlsx")
        places = folder.places()
        for row in read_xlsx(labels, ("Source_ID", "Realigned MOS"), _SHEET):
            id_ = row["Source_ID"]
            parts = id_.split("_")
            if len(parts) < 3:
                raise DatasetError(f"{row.place}: expected a name like 'IS_I_C01_D01', but got {id_!r}.")
            path = folder.image(labels, *(f"{place}{id_}.jpg" for place in places))
            if path is not None:
                # All scores are on one scale: a scene is a group, but no set of its own.
                scene = "_".join(parts[:-1]).lower()
                yield Record(path, read_score(row["Realigned MOS"], row.place), ALL, group=scene)


def _find_labels(folder: Folder) -> str | None:
    names = (name for name in folder.names() if name.lower().startswith(_START) and name.lower().endswith(".xlsx"))
    return next(names, None)
