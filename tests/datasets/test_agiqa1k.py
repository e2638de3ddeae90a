"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from reader_tester import ReaderTests, save, save_sheet

from topiq_metrics import datasets


class TestAGIQA1k(ReaderTests):
    reader = datasets.AGIQA1k
    higher_is_better = True
    labels = "AIGC_MOS_Zscore.xlsx"
    image = "file/deepai_0_0_0_0.jpg"
    expected: ClassVar = {
        "all": [
            ("file/deepai_0_0_0_0.jpg", 2.75),
            ("file/dreamStudio_0_0_0_0_1.jpg", 4.0),
            ("file/deepai_0_0_0_1.jpg", 0.0),
        ]
    }
    extras: ClassVar = {"file/deepai_0_0_0_0.jpg": {"prompt": "bird, city"}}
    groups: ClassVar = {"file/dreamStudio_0_0_0_0_1.jpg": "bird, city", "file/deepai_0_0_0_1.jpg": "cat, city"}

    def make(self, root: Path) -> None:
        save(root, *(path for path, _ in self.expected["all"]))
        prompts = ["bird, city", "Bird, city", "cat, city"]
        rows = [
            [Path(path).name, prompt, score]
            for (path, score), prompt in zip(self.expected["all"], prompts, strict=True)
        ]
        save_sheet(root / self.labels, [["Image", "Prompt", "MOS"], *rows])

    def test_images_beside_the_labels(self, root):
        for path in (root / "file").iterdir():
            path.rename(root / path.name)
        assert len(self.reader(root)) == 3
