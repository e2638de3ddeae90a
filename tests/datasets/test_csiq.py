"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import NumberTests, ReaderTests, save, save_sheet, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError


class CSIQTests(ReaderTests):
    reader = datasets.CSIQ
    higher_is_better = False
    image = "dst_imgs/awgn/1600.AWGN.1.png"
    expected: ClassVar = {
        "all": [
            ("dst_imgs/awgn/1600.AWGN.1.png", 0.061989),
            ("dst_imgs/jpeg2000/1600.jpeg2000.5.png", 0.9),
            ("dst_imgs/BLUR/family.BLUR.2.png", 0.25),
        ]
    }
    references: ClassVar = {
        "dst_imgs/awgn/1600.AWGN.1.png": "src_imgs/1600.png",
        "dst_imgs/jpeg2000/1600.jpeg2000.5.png": "src_imgs/1600.png",
        "dst_imgs/BLUR/family.BLUR.2.png": "src_imgs/family.png",
    }
    extras: ClassVar = {"dst_imgs/BLUR/family.BLUR.2.png": {"distortion": "blur", "level": 2.0}}
    groups: ClassVar = {"dst_imgs/awgn/1600.AWGN.1.png": "1600"}

    def make(self, root: Path) -> None:
        save(root, *self.references, *self.references.values())
        self.make_labels(root)

    def make_labels(self, root: Path) -> None:
        raise NotImplementedError


class TestCSIQ(NumberTests, CSIQTests):
    labels = "csiq_label.txt"
    number = "0.061989"

    def make_labels(self, root: Path) -> None:
        write(
            root, self.labels, "1600.AWGN.1.png 0.061989\r\n1600.jpeg2000.5.png 0.9\r\nfamily.BLUR.2.png\t0.25\r\n\r\n"
        )

    @pytest.mark.parametrize("name", ["1600.1.png", "1600.AWGN.x.png", "1600.FOG.1.png"])
    def test_unknown_names(self, name, root):
        self.spoil(root, "1600.AWGN.1.png", name)
        with pytest.raises(DatasetError, match=r"csiq_label.txt: expected a (name like|type of)"):
            self.reader(root)


class TestCSIQOlderText(NumberTests, CSIQTests):
    labels = "csiq.beta.txt"
    number = "0.061989"

    def make_labels(self, root: Path) -> None:
        write(
            root,
            self.labels,
            "1600\t1\tnoise\t1\t0.05\t0.061989\r\n1600\t3\tjpeg 2000\t5\t0.1\t0.9\r\n"
            "family\t 5\tblur\t2\t0.1\t0.25\r\n",
        )

    def test_what_is_beside_the_score(self, root):
        assert [record.extras["std"] for record in self.reader(root).records] == [0.05, 0.1, 0.1]

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("\t1\tnoise", "\t7\tnoise", "the number of a type, 1 to 6, but got '7'"),
            ("noise\t1", "noise\tx", "a level"),
        ],
    )
    def test_unknown_types(self, old, new, message, root):
        self.spoil(root, old, new)
        with pytest.raises(DatasetError, match=message):
            self.reader(root)


class TestCSIQWorkbook(CSIQTests):
    labels = "csiq.DMOS.xlsx"

    def make_labels(self, root: Path) -> None:
        self.fill(root, ["image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"], 0.061989)

    def fill(self, root: Path, columns: list[str], score: object) -> None:
        rows = [
            [1600, 1, "noise", 1, 0.05, score],
            [1600, 5, "jpeg 2000", 5, 0.1, 0.9],
            ["family", 2, "blur", 2, 0.1, 0.25],
            [None] * 6,
        ]
        above: list[list[object]] = [[], ["CSIQ"], ["dmos by image"]]
        save_sheet(
            root / self.labels, [*above, *([None, None, None, *row] for row in [columns, *rows])], "all_by_image"
        )

    def test_missing_column(self, root):
        self.fill(root, ["image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "score"], 0.5)
        with pytest.raises(DatasetError, match=r"csiq.DMOS.xlsx has no column 'dmos'; its columns are \['image', "):
            self.reader(root)

    def test_score_that_is_no_number(self, root):
        self.fill(root, ["image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"], "n/a")
        with pytest.raises(DatasetError, match="expected a number as score, but got 'n/a'"):
            self.reader(root)

    def test_missing_sheet(self, root):
        save_sheet(root / self.labels, [["image"]], "other")
        with pytest.raises(DatasetError, match=r"has no sheet 'all_by_image'; its sheets are \['about', 'other'\]"):
            self.reader(root)

    def test_what_is_no_workbook(self, root):
        write(root, self.labels, "not Excel's")
        with pytest.raises(DatasetError, match=r"csiq.DMOS.xlsx is not an Excel workbook"):
            self.reader(root)

    def test_flat_folder(self, root):
        for path in list((root / "dst_imgs").rglob("*.png")):
            save(root, f"dst_imgs_all/{path.name}")
            path.unlink()
        (root / "dst_imgs").rename(root / "aside")
        places = {record.image.parent.name for record in self.reader(root).records}
        assert places == {"dst_imgs_all"}
