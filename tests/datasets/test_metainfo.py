"""pyiqa's label files, on fake folders as pyiqa has them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from reader_tester import save, write

from topiq_metrics import datasets
from topiq_metrics.datasets import CSVDataset, DatasetError, MetaInfoDataset
from topiq_metrics.datasets.opening import open_datasets


@pytest.fixture
def kadid(tmp_path, monkeypatch) -> Path:
    """KADID-10k with its own labels and pyiqa's."""
    names = [f"I{reference:02}_01_0{level}.png" for reference in range(1, 11) for level in (1, 2)]
    images = [*names, *sorted({f"{name[:3]}.png" for name in names})]
    save(tmp_path, *(f"kadid10k/images/{name}" for name in images))
    scores = {name: 1 + i / 10 for i, name in enumerate(names)}
    rows = "".join(f"{name},{name[:3]}.png,{score},0.5\n" for name, score in scores.items())
    write(tmp_path, "kadid10k/dmos.csv", f"dist_img,ref_img,dmos,var\n{rows}")
    rows = "".join(f"{name[:3]}.png,{name},{score},0.5,train\n" for name, score in scores.items())
    head = "ref_name,dist_name,dmos,std,ratio802_seed123_split_01"
    write(tmp_path, "meta_info/meta_info_KADID10kDataset.csv", f"{head}\n{rows}")
    monkeypatch.setattr(datasets.KADID10k, "facts", replace(datasets.KADID10k.facts, size={"all": len(names)}))
    return tmp_path


class TestMetaInfo:
    def test_same_images_scores_and_splits_as_the_own_reader(self, kadid):
        labels = kadid / "meta_info/meta_info_KADID10kDataset.csv"
        own = datasets.KADID10k(kadid / "kadid10k")
        (dataset,) = open_datasets([labels]).datasets
        assert isinstance(dataset, MetaInfoDataset)
        assert [(r.image, r.reference, r.score, r.id) for r in dataset.records] == [
            (r.image, r.reference, r.score, r.id) for r in own.records
        ]
        # The column is called dmos, and higher is better.
        assert (dataset.facts.key, dataset.facts.higher_is_better) == ("kadid-10k", True)
        assert [split.hashes for split in dataset.random_splits()] == [split.hashes for split in own.random_splits()]
        (part,) = open_datasets([labels], "test", 3).datasets
        assert part.split_hash == datasets.KADID10k(kadid / "kadid10k", "test", seed=3).split_hash

    def test_official_splits(self, tmp_path):
        save(tmp_path, *(f"koniq10k/512x384/{i}.jpg" for i in range(3)))
        text = "img_name,mos,std,official_split\n0.jpg,50.5,0.5,train\n1.jpg,60,0.5,val\n2.jpg,70,0.5,test\n"
        labels = tmp_path / "meta_info/meta_info_KonIQ10kDataset.csv"
        write(tmp_path, "meta_info/meta_info_KonIQ10kDataset.csv", text)
        for i, (split, own) in enumerate((("training", "train"), ("validation", "val"), ("test", "test"))):
            (record,) = MetaInfoDataset(labels, split).records
            assert (record.image, record.split) == (tmp_path / f"koniq10k/512x384/{i}.jpg", own)
        assert MetaInfoDataset(labels).facts.count == 3
        moved = tmp_path / "elsewhere" / labels.name
        moved.parent.mkdir()
        labels.rename(moved)
        assert len(MetaInfoDataset(moved, root=tmp_path)) == 3

    def test_images_that_observers_were_trained_with(self, tmp_path):
        save(tmp_path, "LIVEC/Images/3.bmp")
        write(tmp_path, "m/meta_info_LIVEChallengeDataset.csv", "img_name,mos,std\nt1.bmp,63.9,19\n3.bmp,50,20\n")
        assert len(MetaInfoDataset(tmp_path / "m/meta_info_LIVEChallengeDataset.csv")) == 1

    @pytest.mark.parametrize(("score", "name"), [("40.5", "LIVE"), ("-2.5", "LIVE realigned")])
    def test_live_has_two_kinds_of_scores(self, score, name, tmp_path):
        save(tmp_path, "LIVEIQA_release2/jp2k/img1.bmp", "LIVEIQA_release2/refimgs/bikes.bmp")
        labels = tmp_path / "m/meta_info_LIVEIQADataset.csv"
        write(labels.parent, labels.name, f"ref_name,dist_name,mos,std\nrefimgs/bikes.bmp,jp2k/img1.bmp,{score},1\n")
        dataset = MetaInfoDataset(labels)
        (record,) = dataset.records
        assert (dataset.facts.name, record.id, record.group) == (name, "jp2k/img1.bmp", "bikes.bmp")
        assert not dataset.facts.higher_is_better

    def test_a_patch_belongs_to_its_image(self, tmp_path):
        names = ("EE371R/a.jpg", "EE371R/b.jpg")
        patches = ("patches/a.jpg_patch_1.jpg", "patches/a.jpg_patch_2.jpg")
        labels = tmp_path / "m/meta_info_FLIVEDataset.csv"
        for found, name in ((names, "FLIVE"), ((*names, *patches), "FLIVE with patches")):
            save(tmp_path, *(f"FLIVE_Database/database/{each}" for each in found))
            rows = [f"{each},{50 + i},1,test" for i, each in enumerate(found)]
            write(labels.parent, labels.name, "\n".join(["img_name,mos,std,official_split", *rows]))
            dataset = MetaInfoDataset(labels, "test")
            assert dataset.facts.name == name
            groups = [record.group for record in dataset.records]
            assert groups == ["a.jpg", "b.jpg", "a.jpg", "a.jpg"][: len(found)]
        assert len({record.id for record in dataset.records}) == 4

    def test_missing_images(self, kadid):
        for name in ("I03_01_01.png", "I04.png"):
            (kadid / "kadid10k/images" / name).unlink()
        labels = kadid / "meta_info/meta_info_KADID10kDataset.csv"
        with pytest.raises(
            DatasetError,
            match=r"Dataset\.csv names 'kadid10k/images/I03_01_01\.png', which is not in '.*', nor are 1",
        ):
            MetaInfoDataset(labels)
        assert len(MetaInfoDataset(labels, partial=True)) == 17

    def test_too_few_columns(self, kadid):
        labels = kadid / "meta_info/meta_info_KADID10kDataset.csv"
        labels.write_text("ref_name,dist_name\nI01.png,I01_01_01.png\n")
        with pytest.raises(DatasetError, match=r"line 2: expected a reference, an image and a score in"):
            MetaInfoDataset(labels)

    def test_other_tables(self, tmp_path):
        write(tmp_path, "meta_info_MineDataset.csv", "name,mos\na.jpg,1\n")
        save(tmp_path, "a.jpg")
        (dataset,) = open_datasets([tmp_path / "meta_info_MineDataset.csv"], higher_is_better=True).datasets
        assert isinstance(dataset, CSVDataset)
        with pytest.raises(DatasetError, match=r"expected a file of pyiqa's, meta_info_ and one of \['bid', 'csiq',"):
            MetaInfoDataset(tmp_path / "meta_info_MineDataset.csv")
