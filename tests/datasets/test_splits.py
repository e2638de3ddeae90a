"""Random splits: the same everywhere, and without leakage."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from topiq_metrics.datasets.splits import (
    BY_IMAGE,
    BY_PROMPT,
    BY_REFERENCE,
    OFFICIAL,
    SplitRule,
    canonical_split,
    find_split,
    random_split,
    random_splits,
    split_hash,
)


@dataclass(frozen=True)
class Image:
    id: str
    group: str


def images(references: int, each: int = 3) -> list[Image]:
    return [Image(f"i{group:02}_{i}.png", f"i{group:02}") for group in range(references) for i in range(each)]


def test_the_same_on_every_machine():
    split = random_split(images(10, 1), BY_REFERENCE, 0)
    assert split.parts == {"train": (1, 2, 3, 4, 5, 7, 8, 9), "test": (0, 6)}
    assert split.hashes == {"train": "1566dc05b1a398a6", "test": "fa0b9a66b34be87c"}


@pytest.mark.parametrize(("references", "training"), [(25, 20), (29, 23), (30, 24), (81, 65), (200, 160)])
def test_shares(references, training):
    for split in random_splits(images(references), BY_REFERENCE):
        assert {part: len(indices) for part, indices in split.parts.items()} == {
            "train": 3 * training,
            "test": 3 * (references - training),
        }


def test_no_group_is_torn_apart():
    members = images(29)
    splits = random_splits(members, BY_REFERENCE)
    assert [split.seed for split in splits] == list(range(10))
    for split in splits:
        groups = [{members[i].group for i in indices} for indices in split.parts.values()]
        assert not groups[0] & groups[1]
        assert sorted(i for indices in split.parts.values() for i in indices) == list(range(len(members)))
    assert len({split.hashes["test"] for split in splits}) == 10


def test_the_order_of_the_members_does_not_matter():
    members = images(12)
    backwards = members[::-1]
    for seed in range(3):
        assert random_split(members, BY_IMAGE, seed).hashes == random_split(backwards, BY_IMAGE, seed).hashes


@pytest.mark.parametrize("groups", [3, 4, 5, 7])
def test_every_part_has_a_group(groups):
    rule = SplitRule("random", "image", (("train", 0.7), ("validation", 0.1), ("test", 0.2)))
    for split in random_splits(images(groups, 1), rule):
        assert all(split.parts.values())


def test_too_few_groups():
    with pytest.raises(ValueError, match="A split by prompt needs at least 2 of them, but got 1"):
        random_split(images(1), BY_PROMPT, 0)


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        *[(name, "train") for name in ("train", "training", "Train", " TRAINING ")],
        *[(name, "validation") for name in ("val", "valid", "validation", "dev")],
        *[(name, "test") for name in ("test", "Testing")],
        ("all", "all"),
        ("Fold 3", "fold 3"),
    ],
)
def test_one_name_for_a_split(name, canonical):
    assert canonical_split(name) == canonical


def test_a_split_is_found_as_its_set_spells_it():
    assert find_split("train", ("training", "validation", "test")) == "training"
    assert find_split("validation", ("train", "val", "test")) == "val"
    assert find_split("TEST", ("train", "val", "test")) == "test"
    assert find_split("train", ("training", "train")) == "train"
    assert find_split("validation", ("train", "test")) is None


def test_a_hash_tells_members_apart():
    members = images(3)
    assert split_hash(members) == split_hash(members[::-1])
    assert split_hash(members) != split_hash(members[1:])
    assert len(split_hash(members)) == 16


def test_rules_as_text():
    assert [str(rule) for rule in (OFFICIAL, BY_IMAGE, BY_REFERENCE)] == [
        "official",
        "random, 10 × 80/20",
        "by reference, 10 × 80/20",
    ]
