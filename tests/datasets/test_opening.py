"""Several sets at once: each whole, or its part, and what becomes of those that have no such part or are broken."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from reader_tester import write

from topiq_metrics.datasets import SPAQ, DatasetError, canonical_split
from topiq_metrics.datasets.fixed_lists import FixedList
from topiq_metrics.datasets.opening import Opening, is_table, open_datasets

PREFERENCES = "ref. image,image A,image B,raw preference for A,processed preference for A\n"


def labels(path: Path, *splits: str, broken: bool = False) -> Path:
    """A table of ten images; with splits, each image of the next one."""
    from PIL import Image

    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "score", *(["split"] if splits else [])])
        for index in range(10):
            name = f"{index}.png"
            if not (path.parent / name).exists():
                Image.new("RGB", (8, 8)).save(path.parent / name)
            score = "good" if broken else index
            writer.writerow([name, score, *([splits[index % len(splits)]] if splits else [])])
    return path


@pytest.fixture
def official(tmp_path: Path) -> Path:
    return labels(tmp_path / "official.csv", "training", "training", "validation", "test", "test")


@pytest.fixture
def unsplit(tmp_path: Path) -> Path:
    return labels(tmp_path / "unsplit.csv")


@pytest.fixture
def pieapp(tmp_path: Path) -> Path:
    """Its train and val, and of its test the labels of both kinds."""
    root = tmp_path / "PieAPP"
    for split, number in (("train", 3), ("val", 5), ("test", 7)):
        names = [f"distort_{number}_{letter}.png" for letter in "ab"]
        write(root, f"reference_images/{split}/ref_{number}.png", "x")
        for name in names:
            write(root, f"distorted_images/{split}/ref_{number}/{name}", "x")
        row = f"ref_{number}.png,{','.join(names)},,0.75\n"
        write(root, f"labels/{split}/ref_{number}_pairwise_labels.csv", PREFERENCES + row)
    scores = "ref. image,distorted image,score\nref_7.png,distort_7_a.png,1\nref_7.png,distort_7_b.png,2\n"
    write(root, "labels/test/ref_7_per_image_score.csv", scores)
    return root


def test_splits_that_only_some_copies_have(
    opened: Callable[..., Opening], tmp_path: Path, unsplit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = tmp_path / "GFIQA"
    for split in ("train", "val", "test"):
        write(faces, f"{split}/img/{split}.png", "x")
        write(faces, f"{split}/label.json", json.dumps({"Image": [f"{split}.png"], "MOS": [0.5]}))
    for how in ({"places": [f"{faces}:split=test"]}, {"places": [faces, unsplit], "split": "test"}):
        opening = opened(*how.pop("places"), partial=True, **how)
        assert parts(opening)["gfiqa-20k"] == ("test", 1)
    restored = tmp_path / "PIPAL"
    for name in ("Val_Ref/A0185.bmp", "Val_Dist/A0185_10_00.bmp", "Train_Ref/A0001.bmp"):
        write(restored, name, "x")
    write(restored, "val_label.txt", "A0185_10_00.bmp,1300.5\n")
    assert parts(opened(f"{restored}:split=val", partial=True)) == {"pipal": ("val", 1)}
    monkeypatch.setattr(SPAQ, "fixed_list", FixedList(1, "", ("test_spaq.json",)))
    phones = tmp_path / "SPAQ"
    write(phones, "TestImage/00001.jpg", "x")
    write(phones, "Annotations/MOS and Image attribute scores.csv", "Image name,MOS\n00001.jpg,50\n")
    write(phones, "test_spaq.json", json.dumps([{"image": "00001.jpg"}]))
    opening = opened(f"{phones}:split=test,test_list=multimodal", partial=True)
    assert parts(opening) == {"spaq-multimodal-test": ("test", 1)}


@pytest.fixture
def opened() -> Callable[..., Opening]:
    def opened(*places: object, **options: object) -> Opening:
        return open_datasets([str(place) for place in places], higher_is_better=True, **options)  # type: ignore[arg-type]

    return opened


def parts(opening: Opening) -> dict[str, tuple[str | None, int]]:
    return {dataset.facts.key: (dataset.split, len(dataset)) for dataset in opening.datasets}


def test_the_customary_protocol(opened: Callable[..., Opening], official: Path, unsplit: Path) -> None:
    opening = opened(f"{official}:split=test", unsplit)
    assert parts(opening) == {"official": ("test", 4), "unsplit": (None, 10)}
    assert opening.notes == []


def test_a_split_for_all_leaves_whole_what_nobody_has_split(
    opened: Callable[..., Opening], official: Path, unsplit: Path
) -> None:
    opening = opened(official, unsplit, split="test")
    assert parts(opening) == {"official": ("test", 4), "unsplit": (None, 10)}
    assert opening.notes == ["unsplit has no official split: all of it is taken."]
    seeded = opened(official, unsplit, split="test", seed=3)
    assert parts(seeded) == {"official": ("test", 4), "unsplit": ("test", 2)}
    assert seeded.datasets[1].seed == 3  # type: ignore[union-attr]
    assert seeded.notes == []


def test_a_set_that_is_split_otherwise_is_left_out(
    opened: Callable[..., Opening], tmp_path: Path, official: Path
) -> None:
    other = labels(tmp_path / "other.csv", "train", "fold 2")
    opening = opened(official, other, split="test")
    assert parts(opening) == {"official": ("test", 4)}
    assert opening.notes == ["other has no split 'test'; it has train, fold 2: it is left out."]
    assert parts(opened(f"{other}:split=fold 2")) == {"other": ("fold 2", 5)}


@pytest.mark.parametrize("name", ["train", "training", "Train", "val", "validation", "test", "all"])
def test_other_names_of_a_split(name: str, opened: Callable[..., Opening], official: Path) -> None:
    (dataset,) = opened(f"{official}:split={name}").datasets
    if name == "all":
        assert (dataset.split, len(dataset)) == (None, 10)
    else:
        assert dataset.split is not None
        assert canonical_split(dataset.split) == canonical_split(name)


def test_an_option_of_a_place_wins(opened: Callable[..., Opening], official: Path, unsplit: Path) -> None:
    opening = opened(f"{official}:split=train", f"{unsplit}:seed=1", split="test", seed=5)
    assert parts(opening) == {"official": ("training", 4), "unsplit": ("test", 2)}
    assert opening.datasets[1].seed == 1  # type: ignore[union-attr]
    assert parts(opened(f"{unsplit}:split=all", official, split="test", seed=5))["unsplit"] == (None, 10)


@pytest.mark.parametrize(("split", "key"), [("train", "pieapp"), ("val", "pieapp"), ("test", "pieapp-test")])
def test_a_part_of_a_folder_that_holds_two_sets(
    split: str, key: str, opened: Callable[..., Opening], pieapp: Path
) -> None:
    opening = opened(f"{pieapp}:split={split}", partial=True)
    assert key in parts(opening)
    assert {dataset.split for dataset in opening.datasets} == {split}
    if split == "test":
        assert opening.notes == []
    else:
        assert opening.notes == [f"PieAPP test has no split '{split}'; it has test: it is left out."]


def test_a_broken_set_does_not_stop_the_others(
    opened: Callable[..., Opening], tmp_path: Path, official: Path, pieapp: Path
) -> None:
    broken = labels(tmp_path / "broken.csv", broken=True)
    opening = opened(broken, pieapp, official)
    assert parts(opening) == {"official": (None, 10)}
    assert len(opening.broken) == 3
    assert opening.broken[0].startswith("broken: ")
    assert "'good'" in opening.broken[0]
    assert "PieAPP test: expected 600 images" in opening.broken[1] + opening.broken[2]
    with pytest.raises(DatasetError, match=r"(?s)broken: .*PieAPP test: expected 600"):
        opened(broken, pieapp)


def test_what_no_set_has_is_an_error(opened: Callable[..., Opening], official: Path, unsplit: Path) -> None:
    with pytest.raises(DatasetError, match="official has no split 'tset'; it has training, validation, test"):
        opened(f"{official}:split=tset", unsplit)
    with pytest.raises(DatasetError, match=r"unsplit has no official split: give both `split` and `seed` \(0 to 9\)"):
        opened(unsplit, split="test")
    with pytest.raises(DatasetError, match="unsplit has no random split 'fold'; it has train, test"):
        opened(unsplit, split="fold", seed=1)
    with pytest.raises(DatasetError, match="unsplit: give both `split` and `seed`"):
        opened(unsplit, seed=1)
    with pytest.raises(DatasetError, match="official has official splits, training, validation, test: leave out"):
        opened(f"{official}:split=test,seed=1")
    with pytest.raises(DatasetError, match="option 'seed' must be a number from 0, but got 'one'"):
        opened(f"{unsplit}:split=test,seed=one")
    with pytest.raises(DatasetError, match="option 'seed' is there twice"):
        opened(f"{unsplit}:split=test,seed=1,seed=2")
    with pytest.raises(DatasetError, match="is a table, which has no option 'attribute'"):
        opened(f"{unsplit}:attribute=Details")


def test_options_of_a_reader_go_on_beside_the_split(opened: Callable[..., Opening], tmp_path: Path) -> None:
    write(tmp_path / "LIVE", "dmos.mat", "")
    with pytest.raises(DatasetError, match="must be one of"):
        opened(f"{tmp_path / 'LIVE'}:realigned=perhaps,split=test,seed=1")


def test_what_is_a_table() -> None:
    assert is_table("a/labels.csv:split=test")
    assert is_table("labels.TSV")
    assert not is_table("koniq10k:split=test")
