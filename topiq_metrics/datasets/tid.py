"""TID2008 and TID2013: 25 references under 17 and 24 distortions (Ponomarenko et al., 2009 and 2015)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from topiq_metrics.datasets.base import ALL, DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.files import DatasetError, Folder, read_columns, read_score
from topiq_metrics.datasets.splits import BY_REFERENCE

_LABELS, _DEVIATIONS = "mos_with_names.txt", "mos_std.txt"


class _TID(IQADataset):
    types: ClassVar[int]

    def read(self, folder: Folder) -> Iterator[Record]:
        labels = folder.labels(_LABELS)
        rows = list(read_columns(labels, ("mos", "name")))
        deviations: list[float] = []
        if folder.find(_DEVIATIONS) is not None:
            path = folder.labels(_DEVIATIONS)
            deviations = [read_score(row["std"], row.place) for row in read_columns(path, ("std",))]
            if len(deviations) != len(rows):
                raise DatasetError(f"{path}: expected {len(rows)} lines, as in {labels.name}, got {len(deviations)}.")
        distorted, references = folder.folder("distorted_images"), folder.folder("reference_images")
        for index, row in enumerate(rows):
            name = row["name"]
            reference, *numbers = name.lower().rsplit(".", 1)[0].split("_")
            if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
                raise DatasetError(f"{labels}: expected a name like 'I01_01_1.bmp', but got {name!r}.")
            image = folder.image(labels, f"{distorted}/{name}")
            original = folder.image(labels, f"{references}/{reference}.bmp")
            if image is not None and original is not None:
                extras: dict[str, str | float] = {"distortion": numbers[0], "level": float(numbers[1])}
                if deviations:
                    extras["std"] = deviations[index]
                score = read_score(row["mos"], row.place)
                yield Record(image, score, ALL, original, id=name.lower(), group=reference, extras=extras)

    @classmethod
    def recognizes(cls, folder: Folder) -> bool:
        if folder.find(_LABELS) is None and folder.find("distorted_images/i01_01_1.bmp") is None:
            return False
        # The two share a layout; only the newer has more than 17 types.
        names = folder.names("distorted_images")
        types = max((int(parts[1]) for parts in (name.split("_") for name in names) if _is_name(parts)), default=0)
        return (types > TID2008.types) == (cls is TID2013)


def _is_name(parts: list[str]) -> bool:
    return len(parts) == 3 and parts[1].isdecimal()


class TID2008(_TID):
    """``distorted_images/I01_{type}_{level}.bmp`` with mean opinion scores 0…9, higher is better."""

    types = 17
    facts = DatasetFacts(
        name="TID2008",
        size={ALL: 1700},
        score_range=(0.0, 9.0),
        higher_is_better=True,
        citation="N. Ponomarenko, V. Lukin, A. Zelensky, K. Egiazarian, M. Carli, F. Battisti. TID2008: a database for "
        "evaluation of full-reference visual quality assessment metrics. Advances of Modern Radioelectronics 10, 2009",
        license="see its page",
        source="https://www.ponomarenko.info/tid2008.htm",
        references=25,
        split=BY_REFERENCE,
    )


class TID2013(_TID):
    """``distorted_images/I01_{type}_{level}.bmp`` with mean opinion scores 0…9, higher is better."""

    types = 24
    facts = DatasetFacts(
        name="TID2013",
        size={ALL: 3000},
        score_range=(0.0, 9.0),
        higher_is_better=True,
        citation="N. Ponomarenko, L. Jin, O. Ieremeiev, V. Lukin, K. Egiazarian, J. Astola, B. Vozel, K. Chehdi, "
        "M. Carli, F. Battisti, C.-C. J. Kuo. Image database TID2013: peculiarities, results and perspectives. "
        "Signal Processing: Image Communication 30, 2015",
        license="see its page",
        source="https://www.ponomarenko.info/tid2013.htm",
        references=25,
        split=BY_REFERENCE,
    )
