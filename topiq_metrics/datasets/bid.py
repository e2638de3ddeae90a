"""BID: photographs with blur as it comes (Ciancio et al., IEEE TIP 20(1), 2011)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from topiq_metrics.datasets.base import ALL, DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.files import DatasetError, Folder, optional_number, read_score, read_xlsx
from topiq_metrics.datasets.splits import BY_IMAGE

_LABELS = "DatabaseGrades.xlsx"


class BID(IQADataset):
    """``DatabaseImage0001.JPG`` beside ``DatabaseGrades.xlsx`` or in a folder there: grades 0…5, higher is better."""

    facts = DatasetFacts(
        name="BID",
        size={ALL: 586},
        score_range=(0.0, 5.0),
        higher_is_better=True,
        citation="A. Ciancio, A. L. N. T. da Costa, E. A. B. da Silva, A. Said, R. Samadani, P. Obrador. No-reference "
        "blur assessment of digital pictures based on multifeature classifiers. IEEE Transactions on Image Processing "
        "20(1), 2011",
        license="not known here; see its page",
        source="https://github.com/zwx8981/UNIQUE#link-to-download-the-bid-dataset",
        split=BY_IMAGE,
        note="the page of its authors could not be reached; names and columns are those of published readers",
    )
    marks: ClassVar = (_LABELS,)

    def read(self, folder: Folder) -> Iterator[Record]:
        labels = folder.labels(_LABELS)
        places = folder.places()
        for row in read_xlsx(labels, ("Image Number", "Average Subjective Grade")):
            number = row["Image Number"].removesuffix(".0")
            if not number.isdecimal():
                raise DatasetError(f"{row.place}: expected the number of an image, but got {number!r}.")
            path = folder.image(labels, *(f"{place}DatabaseImage{int(number):04}.JPG" for place in places))
            if path is not None:
                score = read_score(row["Average Subjective Grade"], row.place)
                yield Record(path, score, ALL, extras=optional_number(row, std="std"))
