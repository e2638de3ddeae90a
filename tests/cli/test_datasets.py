from __future__ import annotations

from dataclasses import replace

import pytest

from topiq_metrics.datasets import all_datasets
from topiq_metrics.datasets.facts import COLUMNS, rows


@pytest.fixture
def kadid(tmp_path, save_picture, monkeypatch):
    """A folder with a whole copy of a small KADID-10k in it."""
    from topiq_metrics.datasets import KADID10k

    folder = tmp_path / "sets" / "kadid10k"
    for name in ("I01", "I01_01_01", "I02", "I02_25_05"):
        save_picture(folder / "images" / f"{name}.png", 32, 32)
    (folder / "dmos.csv").write_text(
        "dist_img,ref_img,dmos,var\nI01_01_01.png,I01.png,4.57,0.5\nI02_25_05.png,I02.png,1,0.7\n"
    )
    monkeypatch.setattr(KADID10k, "facts", replace(KADID10k.facts, size={"all": 2}))
    return folder


class TestList:
    def test_every_dataset(self, topiq):
        result = topiq("datasets", "list")
        assert result.exit_code == 0
        assert [name for name in all_datasets() if f" {name} " in result.stdout] == list(all_datasets())

    def test_what_is_said_of_each(self, topiq):
        lines = topiq("datasets", "list").stdout.splitlines()
        (line,) = [line for line in lines if " kadid-10k " in line]
        for text in ("10125", "81", "1 to 5, higher better", "by reference, 10 × 80/20", "kadid-10k-database.html"):
            assert text in line
        (line,) = [line for line in lines if " koniq-10k " in line]
        assert "official: training 7058, validation 1000, test 2015" in line
        (line,) = [line for line in lines if " pieapp " in line]
        assert "81480 pairs" in line

    def test_rows_are_whole(self):
        for row in rows():
            assert tuple(row) == COLUMNS
            assert all(text for column, text in row.items() if column != "note")


class TestCheck:
    def test_whole(self, kadid, topiq):
        for root in (kadid, kadid.parent):
            result = topiq("datasets", "check", root)
            assert (result.exit_code, result.stderr) == (0, "")
            assert result.stdout == f"kadid-10k: whole, 2 records ({kadid})\n"

    def test_broken(self, kadid, topiq):
        (kadid / "images" / "I02_25_05.png").unlink()
        result = topiq("datasets", "check", kadid.parent)
        assert result.exit_code == 1
        assert result.stdout.startswith(
            "kadid-10k: not whole: KADID-10k: dmos.csv names 'images/I02_25_05.png', which is not in "
        )

    def test_a_part(self, kadid, topiq):
        (kadid / "images" / "I02_25_05.png").unlink()
        result = topiq("datasets", "check", "--partial", kadid)
        assert result.exit_code == 0
        assert result.stdout.startswith(
            "kadid-10k: usable in part, 1 records, 1 images missing: KADID-10k: dmos.csv names "
        )
        (kadid / "dmos.csv").unlink()
        result = topiq("datasets", "check", "--partial", kadid)
        assert result.exit_code == 1
        assert result.stdout.startswith("kadid-10k: broken: KADID-10k: there is no label file ")

    def test_one_broken_of_several(self, kadid, topiq):
        other = kadid.parent / "SPAQ" / "TestImage"
        other.mkdir(parents=True)
        result = topiq("datasets", "check", kadid.parent)
        assert result.exit_code == 1
        first, second = result.stdout.splitlines()
        assert first.startswith("spaq: broken: SPAQ: there is no label file ")
        assert second.startswith("kadid-10k: whole, 2 records")

    def test_one_whole_split(self, tmp_path, save_picture, topiq, monkeypatch):
        from topiq_metrics.datasets import BIQ2021

        save_picture(tmp_path / "Images" / "ss01 (1).jpg", 32, 32)
        (tmp_path / "Test (Images and MOS).csv").write_text("Image Name,MOS\nss01 (1).jpg,0.5\n")
        monkeypatch.setattr(BIQ2021, "facts", replace(BIQ2021.facts, size={"train": 1, "test": 1}))
        result = topiq("datasets", "check", tmp_path)
        assert result.exit_code == 1
        assert result.stdout.startswith("biq2021: not whole: BIQ2021: there is no label file ")
        assert result.stdout.endswith(f" Whole: test 1. ({tmp_path})\n")

    def test_no_dataset(self, tmp_path, topiq):
        result = topiq("datasets", "check", tmp_path)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "no known dataset (see `topiq datasets list`)" in result.stderr

    def test_no_folder(self, tmp_path, topiq):
        result = topiq("datasets", "check", tmp_path / "nowhere")
        assert result.exit_code == 2
        assert "There is no folder " in result.stderr
