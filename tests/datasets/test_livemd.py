"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from reader_tester import ReaderTests, cell, save, save_mat

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError

_PARTS = {"Part 1": "blurjpeg", "Part 2": "blurnoise"}


class TestLIVEMD(ReaderTests):
    reader = datasets.LIVEMD
    higher_is_better = False
    labels = "Part 1/Scores.mat"
    image = "Part 1/blurjpeg/iceskater_blur1.bmp"
    # An image that is only blurred is in both parts.
    expected: ClassVar = {
        "all": [
            ("Part 1/blurjpeg/babygirl_blur1.bmp", 20.0),
            ("Part 1/blurjpeg/iceskater_blur1.bmp", 30.5),
            ("Part 2/blurnoise/babygirl_blur1.bmp", 25.0),
            ("Part 2/blurnoise/iceskater_noise1.bmp", 60.0),
        ]
    }
    references: ClassVar = {
        path: f"{path.rpartition('/')[0]}/{Path(path).name.split('_')[0]}.bmp" for path, _ in expected["all"]
    }
    extras: ClassVar = {"Part 2/blurnoise/iceskater_noise1.bmp": {"distortion": "blurnoise"}}
    groups: ClassVar = {"Part 2/blurnoise/iceskater_noise1.bmp": "iceskater"}

    def make(self, root: Path) -> None:
        save(root, *self.references, *self.references.values())
        for part, kind in _PARTS.items():
            rows = [(Path(path).name, score) for path, score in self.expected["all"] if f"/{kind}/" in path]
            save_mat(
                root / part / "Imagelists.mat",
                distimgs=cell(*(name for name, _ in rows)).T,
                refimgs=cell("iceskater.bmp", "babygirl.bmp").T,
                ref4dist=[[2], [1]],
            )
            save_mat(root / part / "Scores.mat", DMOSscores=[[score for _, score in rows]])

    def test_as_the_archive_unpacks(self, root):
        (root / "To_Release").mkdir()
        for part in _PARTS:
            (root / part).rename(root / "To_Release" / part)
        assert len(self.reader(root)) == 4

    @pytest.mark.parametrize(
        ("name", "variables", "message"),
        [
            ("Scores.mat", {"DMOSscores": [[1.0]]}, r"Scores\.mat: expected 2 entries, but got 1"),
            (
                "Imagelists.mat",
                {"distimgs": cell("a.bmp", "b.bmp"), "refimgs": cell("c.bmp"), "ref4dist": [[1], [2]]},
                r"Imagelists\.mat: expected numbers of references, 1 to 1, got 2",
            ),
        ],
    )
    def test_bad_label_file(self, name, variables, message, root):
        save_mat(root / "Part 1" / name, **variables)
        with pytest.raises(DatasetError, match=message):
            self.reader(root, partial=True)
