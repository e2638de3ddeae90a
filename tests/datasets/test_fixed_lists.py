"""The fixed test lists of works with multimodal models, on fake folders."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from reader_tester import save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import DatasetError, choose_datasets, split_hash
from topiq_metrics.datasets.opening import open_datasets

_LISTED = (datasets.KonIQ10k, datasets.SPAQ, datasets.KADID10k, datasets.PIPAL, datasets.AVA)


def hash_of(*names: str) -> str:
    return split_hash(SimpleNamespace(id=name, group=name) for name in names)


@pytest.fixture
def spaq(tmp_path, monkeypatch) -> Path:
    """A fake SPAQ of three images, two of which are on its list."""
    root = tmp_path / "SPAQ"
    names = [f"0000{i}.jpg" for i in (1, 2, 3)]
    save(root, *(f"TestImage/{name}" for name in names))
    write(
        root,
        "Annotations/MOS and Image attribute scores.csv",
        "Image name,MOS\n" + "".join(f"{n},5{n[4]}\n" for n in names),
    )
    known = replace(datasets.SPAQ.fixed_list, count=2, hash=hash_of("00001.jpg", "00003.jpg"))
    monkeypatch.setattr(datasets.SPAQ, "fixed_list", known)
    monkeypatch.setattr(datasets.SPAQ, "facts", replace(datasets.SPAQ.facts, size={"all": 3}))
    return root


def list_of(*paths: str, key: str = "image") -> str:
    return json.dumps([{key: path, "gt_score": 1} for path in paths])


class TestList:
    @pytest.mark.parametrize("place", ["test_spaq.json", "metas/test_spaq_2k.json"])
    def test_from_a_file_in_the_folder(self, place, spaq):
        write(spaq, place, list_of("spaq/00003.jpg", "spaq/00001.jpg"))
        (dataset,) = open_datasets([f"{spaq}:test_list=multimodal"]).datasets
        assert [(record.id, record.split) for record in dataset.records] == [
            ("00001.jpg", "test"),
            ("00003.jpg", "test"),
        ]
        assert (dataset.facts.name, dataset.facts.splits) == ("SPAQ multimodal test", ("test",))
        # Images that are not on the list are not looked for.
        (spaq / "TestImage/00002.jpg").unlink()
        assert len(datasets.SPAQ(spaq, "test", test_list="multimodal")) == 2
        (spaq / "TestImage/00003.jpg").unlink()
        with pytest.raises(DatasetError, match=r"names 'TestImage/00003\.jpg', which is not in"):
            datasets.SPAQ(spaq, test_list="multimodal")
        assert len(datasets.SPAQ(spaq, test_list="multimodal", partial=True)) == 1

    def test_from_a_named_file(self, spaq, tmp_path):
        write(tmp_path, "mine.json", list_of(r"SPAQ\images\00001.JPG", "00003.jpg", key="img_path"))
        assert len(datasets.SPAQ(spaq, test_list=tmp_path / "mine.json")) == 2

    def test_without_a_list(self, spaq):
        assert len(datasets.SPAQ(spaq)) == 3
        assert choose_datasets(f"{spaq}:test_list=no") == [("spaq", spaq, {"test_list": None})]
        with pytest.raises(DatasetError, match=r"no list .*test_spaq\.json, nor test_spaq_2k\.json, nor metas/"):
            datasets.SPAQ(spaq, test_list="multimodal")
        with pytest.raises(DatasetError, match=r"has official splits, \('test',\): leave out `seed`"):
            datasets.SPAQ(spaq, "test", test_list="multimodal", seed=0)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                list_of("00001.jpg", "00002.jpg"),
                "expected the 2 images that .* test, but got 2 others",
            ),
            (list_of("00001.jpg"), r"expected the 2 images .*, but got 1\."),
            ("[1]", "expected a list of objects with the path of an image as `image`"),
            ('{"a": 1}', "expected a list of objects with the path of an image as `image`"),
            ("[", "is not a JSON file"),
        ],
    )
    def test_another_list(self, text, message, spaq):
        write(spaq, "test_spaq.json", text)
        with pytest.raises(DatasetError, match=rf"test_spaq\.json.*{message}"):
            datasets.SPAQ(spaq, test_list="multimodal")

    def test_missing_file(self, spaq, tmp_path):
        with pytest.raises(DatasetError, match=re.escape(f"There is no list {tmp_path / 'nothing.json'}.")):
            datasets.SPAQ(spaq, test_list=tmp_path / "nothing.json")


class TestSets:
    def test_sizes(self):
        assert [reader.fixed_list.count for reader in _LISTED] == [2010, 2224, 2000, 4640, 19930]

    def test_kadid_has_a_rule(self, tmp_path, monkeypatch):
        names = [f"I{reference:02}_01_01.png" for reference in (1, 65, 66, 81)]
        save(tmp_path, *(f"images/{name}" for name in names), *(f"images/{name[:3]}.png" for name in names))
        rows = "".join(f"{name},{name[:3]}.png,4\n" for name in names)
        write(tmp_path, "dmos.csv", f"dist_img,ref_img,dmos\n{rows}")
        known = replace(datasets.KADID10k.fixed_list, count=2)
        monkeypatch.setattr(datasets.KADID10k, "fixed_list", known)
        dataset = datasets.KADID10k(tmp_path, test_list="multimodal", with_reference=True)
        assert [record.id for record in dataset.records] == ["i66_01_01.png", "i81_01_01.png"]

    def test_the_rule_of_kadid_gives_the_list(self):
        """The hash is that of Q-Align's file, the rule is ours."""
        known = datasets.KADID10k.fixed_list
        levels = [(kind, level) for kind in range(1, 26) for level in range(1, 6)]
        names = [f"i{reference:02}_{kind:02}_{level:02}.png" for reference in range(1, 82) for kind, level in levels]
        listed = [name for name in names if known.rule(name, "")]
        assert (len(listed), hash_of(*listed)) == (known.count, known.hash)

    def test_koniq_is_the_official_part_but_for_five(self, tmp_path):
        rows = {"121123359.jpg": "test", "1.jpg": "test", "2.jpg": "training", "3.jpg": "test"}
        save(tmp_path, *(f"512x384/{name}" for name in rows))
        text = "".join(f"{name},70,{split}\n" for name, split in rows.items())
        write(tmp_path, "koniq10k_distributions_sets.csv", f"image_name,MOS,set\n{text}")
        with pytest.raises(DatasetError, match="expected 2010 images in the split 'test', but got 2"):
            datasets.KonIQ10k(tmp_path, test_list="multimodal")
        dataset = datasets.KonIQ10k(tmp_path, test_list="multimodal", partial=True)
        assert [record.image.name for record in dataset.records] == ["1.jpg", "3.jpg"]

    def test_ava(self, tmp_path, monkeypatch):
        monkeypatch.setattr(datasets.AVA, "fixed_list", replace(datasets.AVA.fixed_list, count=1, hash=""))
        save(tmp_path, "ava_images/7.jpg", "ava_images/8.jpg")
        write(tmp_path, "AVA.txt", "".join(f"{i} {i} 1 0 0 0 0 0 0 0 0 1 0 0 0\n" for i in (7, 8)))
        write(tmp_path, "test_ava.json", list_of("ava_images/8.jpg"))
        (record,) = datasets.AVA(tmp_path, test_list="multimodal").records
        assert (record.image.name, record.split, record.score) == ("8.jpg", "test", 5.5)

    def test_pipal(self, tmp_path, monkeypatch):
        monkeypatch.setattr(datasets.PIPAL, "fixed_list", replace(datasets.PIPAL.fixed_list, count=1))
        for name in ("A0001", "A0002"):
            save(tmp_path, f"Train_Ref/{name}.bmp", f"Distortion_1/{name}_00_00.bmp")
            write(tmp_path, f"Train_Label/{name}.txt", f"{name}_00_00.bmp,1400\n")
        write(tmp_path, "test_pipal_5k.json", list_of("PIPAL/images/Distortion_1/A0002_00_00.bmp"))
        (record,) = datasets.PIPAL(tmp_path, "test", test_list="multimodal").records
        assert (record.image.name, record.split) == ("A0002_00_00.bmp", "test")
