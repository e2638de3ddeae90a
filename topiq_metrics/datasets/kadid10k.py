"""KADID-10k: 81 references under 25 distortions (Lin, Hosu, Saupe, QoMEX 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from topiq_metrics.datasets.base import ALL, DatasetFacts, Extras, Record
from topiq_metrics.datasets.files import DatasetError, Folder, optional_number, read_csv, read_score
from topiq_metrics.datasets.fixed_lists import FixedList, ListedDataset
from topiq_metrics.datasets.splits import BY_REFERENCE


class KADID10k(ListedDataset):
    """``images/I01_{type}_{level}.png`` with scores 1…5, **higher is better**, although the column is called dmos."""

    facts = DatasetFacts(
        name="KADID-10k",
        size={ALL: 10125},
        score_range=(1.0, 5.0),
        higher_is_better=True,
        citation="H. Lin, V. Hosu, D. Saupe. KADID-10k: a large-scale artificially distorted IQA database. QoMEX 2019",
        license="see its page; the references come from Pixabay",
        source="https://database.mmsp-kn.de/kadid-10k-database.html",
        references=81,
        split=BY_REFERENCE,
        note="the column dmos holds scores that are higher for better images",
    )
    # All images of the last 16 references.
    fixed_list = FixedList(
        2000,
        "3c2e9270ca6425f4",
        ("test_kadid.json", "test_kadid_2k.json"),
        lambda name, _split: "i66" <= name[:3] <= "i81",
    )
    marks: ClassVar = ("dmos.csv", "images/I01_01_01.png")

    def read(self, folder: Folder) -> Iterator[Record]:
        labels = folder.labels("dmos.csv")
        images = folder.folder("images")
        is_asked, split = self.on_test_list(folder), self.only_split
        for row in read_csv(labels, ("dist_img", "ref_img", "dmos")):
            name = row["dist_img"]
            parts = name.rsplit(".", 1)[0].split("_")
            if len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):
                raise DatasetError(f"{labels}: expected a name like 'I01_01_01.png', but got {name!r}.")
            if not is_asked(name, ""):
                continue
            image = folder.image(labels, f"{images}/{name}")
            original = folder.image(labels, f"{images}/{row['ref_img']}")
            if image is not None and original is not None:
                extras: Extras = {
                    "distortion": parts[1],
                    "level": float(parts[2]),
                    **optional_number(row, variance="var"),
                }
                group = row["ref_img"].lower()
                yield Record(image, read_score(row["dmos"], row.place), split, original, group=group, extras=extras)
