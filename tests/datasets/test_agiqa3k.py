"""On a fake folder in the official layout, with the traps that the real one holds."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from reader_tester import ColumnTests, ReaderTests, save, write

from topiq_metrics import datasets


class TestAGIQA3k(ColumnTests, ReaderTests):
    reader = datasets.AGIQA3k
    higher_is_better = True
    labels = "data.csv"
    column = "mos_quality"
    number = "1.25"
    image = "AttnGAN_normal_000.jpg"
    expected: ClassVar = {
        "all": [
            ("AttnGAN_normal_000.jpg", 1.25),
            ("sd1.5_highcfg_001.jpg", 4.5),
            ("midjourney_lowstep_002.jpg", 3.0),
        ]
    }
    extras: ClassVar = {"sd1.5_highcfg_001.jpg": {"prompt": "A dog, asleep", "std": 0.25, "alignment": 4.0}}
    groups: ClassVar = {"AttnGAN_normal_000.jpg": "a dog, asleep", "sd1.5_highcfg_001.jpg": "a dog, asleep"}

    def make(self, root: Path) -> None:
        save(root, *(path for path, _ in self.expected["all"]))
        write(
            root,
            self.labels,
            "name,prompt,adj1,adj2,style,mos_quality,std_quality,mos_align,std_align\n"
            'AttnGAN_normal_000.jpg,"a dog, asleep",,,,1.25,0.5,0.4,0.3\n'
            'sd1.5_highcfg_001.jpg,"A dog, asleep",,,,4.5,0.25,4,0.3\n'
            "midjourney_lowstep_002.jpg,a boat,,,,3,0.25,4,0.3\n",
        )

    def test_images_in_a_folder(self, root):
        for path, _ in self.expected["all"]:
            (root / "AGIQA-3K").mkdir(exist_ok=True)
            (root / path).rename(root / "AGIQA-3K" / path)
        assert len(self.reader(root)) == 3
