"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import NumberTests, PairTests, ReaderTests, save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError


class TestPieAPPTest(NumberTests, ReaderTests):
    beside = ("pieapp",)
    reader = datasets.PieAPPTest
    higher_is_better = False
    labels = "labels/test/ref_2_per_image_score.csv"
    number = "1.25"
    image = "distorted_images/test/ref_2/distort_2_blur_1.png"
    expected: ClassVar = {
        "test": [
            ("distorted_images/test/ref_2/distort_2_blur_1.png", 1.25),
            ("distorted_images/test/ref_10/distort_10_noise_1.png", 3.0),
        ]
    }
    references: ClassVar = {
        "distorted_images/test/ref_2/distort_2_blur_1.png": "reference_images/test/ref_2.png",
        "distorted_images/test/ref_10/distort_10_noise_1.png": "reference_images/test/ref_10.png",
    }
    groups: ClassVar = {"distorted_images/test/ref_10/distort_10_noise_1.png": "ref_10"}

    def make(self, root: Path) -> None:
        save(root, *self.references, *self.references.values())
        head = "ref. image, distorted image, score for distorted image\n"
        write(root, self.labels, f"{head}ref_2.png, distort_2_blur_1.png, 1.25\n")
        write(
            root,
            "labels/test/ref_10_per_image_score.csv",
            f"{head}ref_10.png,distort_10_noise_1.png,3\n",
        )

    def test_missing_label_file(self, root):
        (root / self.labels).unlink()
        with pytest.raises(DatasetError, match="PieAPP test: expected 2 images in the split 'test', but got 1"):
            self.reader(root)

    def test_too_few_columns(self, root):
        write(root, self.labels, "ref. image, distorted image\nref_2.png, distort_2_blur_1.png\n")
        with pytest.raises(DatasetError, match=r"expected a value in each of the first 3 columns, but got"):
            self.reader(root)


class TestPieAPP(NumberTests, PairTests):
    beside = ("pieapp-test",)
    reader = datasets.PieAPP
    labels = "labels/train/ref_3_pairwise_labels.csv"
    number = "0.75"
    image = "distorted_images/train/ref_3/distort_3_a.png"
    expected: ClassVar = {
        "train": [
            (
                "reference_images/train/ref_3.png",
                "distorted_images/train/ref_3/distort_3_a.png",
                "distorted_images/train/ref_3/distort_3_b.png",
                0.25,
            ),
            (
                "reference_images/train/ref_3.png",
                "reference_images/train/ref_3.png",
                "distorted_images/train/ref_3/distort_3_b.png",
                0.0,
            ),
        ],
        "val": [
            (
                "reference_images/val/ref_4.png",
                "distorted_images/val/ref_4/distort_4_a.png",
                "distorted_images/val/ref_4/distort_4_b.png",
                0.5,
            )
        ],
        "test": [
            (
                "reference_images/test/ref_5.png",
                "distorted_images/test/ref_5/distort_5_a.png",
                "distorted_images/test/ref_5/distort_5_b.png",
                1.0,
            )
        ],
    }

    def make(self, root: Path) -> None:
        save(root, *(path for pairs in self.expected.values() for pair in pairs for path in pair[:3]))
        head = "ref. image, distorted image A, distorted image B"
        write(
            root,
            self.labels,
            f"{head}, raw preference for A, processed preference for A\n"
            "ref_3.png, distort_3_a.png, distort_3_b.png, , 0.75\n"
            "ref_3.png, distort_3_b.png, distort_3_a.png, ,\nref_3.png, ref_3.png, distort_3_b.png, 0.9, 1\n",
        )
        write(
            root,
            "labels/val/ref_4_pairwise_labels.csv",
            f"{head}, preference for A\nref_4.png,distort_4_a.png,distort_4_b.png,0.5\n",
        )
        write(
            root,
            "labels/test/ref_5_pairwise_labels.csv",
            f"{head}, preference for A\nref_5.png, distort_5_a.png, distort_5_b.png,0\n"
            "ref_5.png,ref_5.png,distort_5_b.png,0.9\n",
        )
        write(
            root,
            "labels/test/ref_5_per_image_score.csv",
            "ref. image, distorted image, score\nref_5.png,distort_5_a.png,2\nref_5.png,distort_5_b.png,1\n",
        )

    def test_missing_column(self, root):
        self.spoil(root, ", raw preference for A, processed preference for A", ", raw, processed")
        with pytest.raises(DatasetError, match=r"has no column 'preference for A'; its columns are \['ref. image', "):
            self.reader(root)

    def test_missing_label_file(self, root):
        (root / self.labels).unlink()
        with pytest.raises(DatasetError, match="PieAPP: expected 2 pairs in the split 'train', but got 0"):
            self.reader(root)

    def test_rows_without_a_preference(self, root):
        unrated = self.reader(root, "train").unrated
        assert len(unrated) == 1
        assert unrated[0].endswith("ref_3_pairwise_labels.csv, line 3")
        self.spoil(root, "0.75", "")
        with pytest.raises(
            DatasetError,
            match=r"but got 1 in '.*'\. 2 rows have no score, the first is .*csv, line 2\. Pass",
        ):
            self.reader(root, "train")

    def test_what_is_no_share(self, root):
        self.spoil(root, "0.75", "1.75")
        with pytest.raises(DatasetError, match=r"expected a share from 0 to 1 as preference, but got 1\.75"):
            self.reader(root)

    def test_a_part_may_lack_a_split(self, root):
        (root / "labels/val").rename(root / "aside")
        assert {record.split for record in self.reader(root, partial=True).records} == {"train", "test"}
        with pytest.raises(DatasetError, match=r"PieAPP: there is no folder .*val"):
            self.reader(root)
