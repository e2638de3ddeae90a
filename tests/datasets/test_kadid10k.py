"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from reader_tester import ColumnTests, ReaderTests, save, write

from topiq_metrics import datasets


class TestKADID10k(ColumnTests, ReaderTests):
    reader = datasets.KADID10k
    higher_is_better = True
    labels = "dmos.csv"
    column = "dmos"
    number = "4.57"
    image = "images/I01_01_01.png"
    expected: ClassVar = {"all": [("images/I01_01_01.png", 4.57), ("images/I02_25_05.png", 1.0)]}
    references: ClassVar = {
        "images/I01_01_01.png": "images/I01.png",
        "images/I02_25_05.png": "images/I02.png",
    }
    extras: ClassVar = {"images/I02_25_05.png": {"distortion": "25", "level": 5.0, "variance": 0.75}}
    groups: ClassVar = {"images/I02_25_05.png": "i02.png"}

    def make(self, root: Path) -> None:
        save(root, *self.references, *self.references.values())
        write(
            root,
            self.labels,
            "dist_img,ref_img,dmos,var\nI01_01_01.png,I01.png,4.57,0.5\nI02_25_05.png,I02.png,1,0.75\n",
        )
