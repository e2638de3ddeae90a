"""Which images of a dataset are in which part, on which scale their scores are, and what comes with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from topiq_metrics.datasets import KADID10k
from topiq_metrics.training.data import QualityData
from topiq_metrics.training.order import EpochSampler, epoch_order
from topiq_metrics.training.recipe import RecipeError


def ids(data: QualityData, part: str) -> list[str]:
    return sorted(data.whole.records[i].image.stem for i in getattr(data.splits, part))


def rows(path: Path, header: str, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


@pytest.fixture
def pictures(tmp_path, save_picture):
    """A function that draws pictures of these names in a folder."""
    first = save_picture(tmp_path / "first.png", 48, 40)

    def draw(*names: str) -> None:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(first.read_bytes())

    return draw


@pytest.fixture
def ratings(tmp_path, pictures):
    """A function that writes a CSV file, with pictures, and gives its path."""

    def make(header: str, *lines: str) -> Path:
        columns = header.split(",")
        for line in lines:
            values = dict(zip(columns, line.split(","), strict=True))
            pictures(*(values[key] for key in ("image", "reference") if key in values))
        return rows(tmp_path / "ratings.csv", header, *lines)

    return make


@pytest.fixture
def small(recipe):
    """A recipe for a CSV file of a few small pictures."""
    return lambda **changes: recipe(
        **{"data__dataset": "csv", "data__split": "official", "data__subset": "", **changes}
    )


def scores(data: QualityData, part: str) -> list[float]:
    loaded = data._split(getattr(data.splits, part))
    return [loaded.read(i)[1] for i in range(len(loaded))]


class TestOfficialSplits:
    def test_koniq(self, tmp_path, pictures, recipe):
        sets = ["training", "training", "validation", "test", "test"]
        lines = [f"{i}.jpg,{10 * i},{name}" for i, name in enumerate(sets)]
        rows(tmp_path / "koniq10k_distributions_sets.csv", "image_name,MOS,set", *lines)
        pictures(*(f"512x384/{i}.jpg" for i in range(5)))
        data = QualityData(recipe(data__dataset="koniq-10k", data__split="official", data__subset=""), tmp_path)
        assert [ids(data, part) for part in ("training", "validation", "test")] == [["0", "1"], ["2"], ["3", "4"]]
        assert scores(data, "test") == pytest.approx([0.3, 0.4])

    def test_files_that_do_not_say(self, tmp_path, pictures, recipe):
        rows(tmp_path / "koniq10k_scores_and_distributions.csv", "image_name,MOS_zscore", "0.jpg,10")
        pictures("512x384/0.jpg")
        with pytest.raises(RecipeError, match="not known which images of KonIQ-10k are in which official part"):
            QualityData(recipe(data__dataset="koniq-10k", data__split="official", data__subset=""), tmp_path)

    def test_faces(self, tmp_path, pictures, recipe):
        for part in ("train", "val", "test"):
            pictures(f"{part}/img/{part}.png")
            (tmp_path / part / "label.json").write_text(json.dumps({"Image": [f"{part}.png"], "MOS": [0.5]}))
        values = {"name": "topiq_nr-face", "data__dataset": "cgfiqa-40k", "data__split": "official", "data__subset": ""}
        data = QualityData(recipe(**values), tmp_path)
        assert [ids(data, part) for part in ("training", "validation", "test")] == [["train"], ["val"], ["test"]]

    def test_what_is_lacking_is_taken_from_training(self, ratings, small):
        lines = [f"{i}.png,{i},{'test' if i < 5 else 'train'}" for i in range(40)]
        data = QualityData(small(data__validation_share=0.3), ratings("image,score,split", *lines))
        assert ids(data, "test") == sorted(map(str, range(5)))
        validation, training = ids(data, "validation"), ids(data, "training")
        assert sorted(validation + training) == sorted(map(str, range(5, 40)))
        assert 5 <= len(validation) <= 16

    def test_a_seed_deals_anew(self, ratings, small):
        path = ratings("image,score", *(f"{i}.png,{i}" for i in range(80)))
        first, second = (QualityData(small(data__split_seed=seed), path) for seed in (0, 1))
        chosen = ids(first, "test")
        assert len(set(chosen) & set(ids(second, "training"))) >= 1
        assert ids(second, "test") != chosen
        assert ids(QualityData(small(data__split_seed=1), path), "test") == ids(second, "test")

    def test_files_of_one_name_in_several_folders(self, ratings, small):
        """Scenes in folders, each with the same three levels."""
        lines = [f"{scene}/{level}.png,{scene}.{level}" for scene in range(40) for level in range(3)]
        data = QualityData(small(data__split="hash"), ratings("image,score", *lines))
        for part in ("training", "validation", "test"):
            assert set(ids(data, part)) == {"0", "1", "2"}

    def test_a_part_of_another_name(self, ratings, small):
        with pytest.raises(RecipeError, match="ratings has a part 'spare', but training knows"):
            QualityData(small(), ratings("image,score,split", "0.png,1,train", "1.png,2,spare"))


class TestRandomSplits:
    @pytest.fixture
    def root(self, tmp_path, pictures):
        names = [f"I{i:02}_01_0{level}.png" for i in range(1, 21) for level in (1, 5)]
        rows(tmp_path / "dmos.csv", "dist_img,ref_img,dmos", *(f"{name},{name[:3]}.png,{name[8]}" for name in names))
        pictures(*(f"images/{name}" for name in names), *(f"images/I{i:02}.png" for i in range(1, 21)))
        return tmp_path

    @pytest.fixture
    def pairs(self, recipe):
        values = {"name": "topiq_fr", "data__dataset": "kadid-10k", "data__split": "random", "data__subset": ""}
        return lambda **changes: recipe(**{**values, "data__crop": 32, **changes})

    def test_by_reference_and_seed(self, root, pairs):
        found = []
        for seed in (0, 0, 1):
            data = QualityData(pairs(data__split_seed=seed), root)
            references = [{name[:3] for name in ids(data, part)} for part in ("training", "validation", "test")]
            assert set.union(*references) == {f"I{i:02}" for i in range(1, 21)}
            assert sum(map(len, references)) == 20
            official = KADID10k(root, "test", seed=seed, partial=True)
            assert ids(data, "test") == sorted(record.image.stem for record in official.records)
            found.append(references)
        assert found[0] == found[1] != found[2]

    def test_batches_have_references(self, root, pairs):
        data = QualityData(pairs(), root)
        batch = next(iter(data.train_dataloader()))
        assert torch.equal(batch.references, batch.images)
        assert set(batch.scores.tolist()) <= {0.0, 1.0}
        image, reference, score = next(iter(data.val_dataloader()))
        assert torch.equal(image, reference)
        assert score.item() in {0.0, 1.0}

    def test_not_where_there_is_an_official_one(self, dataset, recipe):
        with pytest.raises(RecipeError, match="BIQ2021 has official splits"):
            QualityData(recipe(data__split="random", data__subset=""), dataset)

    def test_a_metric_with_references_needs_them(self, dataset, recipe, ratings):
        with pytest.raises(RecipeError, match="topiq_fr compares with references, and BIQ2021 has none"):
            QualityData(recipe(name="topiq_fr"), dataset)
        path = ratings("image,score", "0.png,1", "1.png,2")
        with pytest.raises(RecipeError, match=r"topiq_fr compares with references, and 0\.png in .* has none"):
            QualityData(recipe(name="topiq_fr", data__dataset="csv", data__subset="", data__split="official"), path)


class TestRatings:
    @pytest.fixture
    def root(self, tmp_path, pictures):
        lines = [f"{i} {i} {' '.join('5' if k == i % 10 else '0' for k in range(10))} 0 0 0" for i in range(1, 31)]
        rows(tmp_path / "AVA.txt", lines[0], *lines[1:])
        rows(tmp_path / "aesthetics_image_lists/generic_test.jpgl", *map(str, range(1, 6)))
        pictures(*(f"ava_images/{i}.jpg" for i in range(1, 31)))
        return tmp_path

    def test_shares_and_mean(self, root, recipe):
        values = {"data__dataset": "ava", "data__split": "official", "data__subset": "", "loss__emd": 1.0}
        data = QualityData(recipe(name="topiq_iaa_res50", **values), root)
        assert ids(data, "test") == ["1", "2", "3", "4", "5"]
        batch = next(iter(data.train_dataloader()))
        assert batch.shares.shape == (4, 10)
        assert batch.shares.sum(dim=1).tolist() == [1.0] * 4
        assert (batch.shares.argmax(dim=1) + 1).tolist() == batch.scores.tolist()
        assert data.scale.target == (1.0, 10.0)

    def test_a_set_without(self, ratings, small):
        path = ratings("image,score", *(f"{i}.png,{1 + i % 10}" for i in range(30)))
        with pytest.raises(RecipeError, match="'emd' in loss needs the counts of 10 ratings of each image, which rat"):
            QualityData(small(name="topiq_iaa_res50", loss__emd=1.0), path)


class TestScale:
    lines = tuple(f"{i}.png,{2 * i + 10}" for i in range(12))

    def test_of_what_the_file_holds(self, ratings, small):
        data = QualityData(small(), ratings("image,score", *self.lines))
        assert (data.scale.low, data.scale.high, data.scale.target) == (10, 32, (0, 1))
        records = data.whole.records
        assert scores(data, "training") == pytest.approx([(records[i].score - 10) / 22 for i in data.splits.training])

    def test_as_told(self, ratings, small):
        data = QualityData(small(data__score_range=[0, 100]), ratings("image,score", *self.lines))
        assert max(max(scores(data, part)) for part in ("training", "validation", "test")) == pytest.approx(0.32)

    def test_turned_round(self, ratings, small):
        path = ratings("image,score", *self.lines)
        up, down = (QualityData(small(data__lower_is_better=lower), path) for lower in (False, True))
        assert scores(down, "training") == pytest.approx([1 - score for score in scores(up, "training")])

    def test_ratings_of_another_scale(self, ratings, small):
        path = ratings("image,score", *self.lines)
        with pytest.raises(
            RecipeError, match=r"predicts ratings from 1 to 10, .* ratings are from 10 to 32: set 'score_r"
        ):
            QualityData(small(name="topiq_iaa_res50"), path)
        data = QualityData(small(name="topiq_iaa_res50", data__score_range=[10, 32]), path)
        assert data.scale(10) == 1
        assert data.scale(32) == 10

    def test_scores_that_are_all_the_same(self, ratings, small):
        path = ratings("image,score", "0.png,3", "1.png,3")
        with pytest.raises(RecipeError, match="The scores of ratings are from 3 to 3: set 'score_range'"):
            QualityData(small(), path)

    def test_a_dataset_knows_its_direction(self, dataset, recipe):
        with pytest.raises(RecipeError, match="'lower_is_better' in data is for a CSV file"):
            QualityData(recipe(data__lower_is_better=True), dataset)
        with pytest.raises(RecipeError, match="'about' in data is for a CSV file"):
            QualityData(recipe(data__about="our photographs"), dataset)

        with pytest.raises(RecipeError, match="'score_column' in data is for a CSV file"):
            QualityData(recipe(data__score_column="mos"), dataset)

    def test_a_table_of_another_system(self, ratings, small, capsys):
        path = ratings("image,score", *self.lines)
        known = QualityData(small(), path)
        cells = [line.replace(",", "\t").replace("/", "\\") for line in self.lines]
        table = path.with_name("ratings.tsv")
        table.write_bytes("\r\n".join(["photo\tJOD", *cells, "gone\\x.png\t11"]).encode("utf-16"))
        data = QualityData(small(data__image_column="Photo", data__score_column="jod"), table)
        assert [record.image for record in data.whole.records] == [record.image for record in known.whole.records]
        assert data.splits == known.splits
        last = len(self.lines) + 2
        assert capsys.readouterr().err == (
            f"{table}: 1 image is not there and left out; the first is on line {last}: gone\\x.png\n"
        )

    def test_unknown_size(self, ratings, small):
        with pytest.raises(RecipeError, match="'size' in data must be 'own' or a size rule"):
            QualityData(small(data__size="big"), ratings("image,score", *self.lines))


class TestSampler:
    def indices(self, count, batch_size, world, seed=0):
        order = epoch_order(count, 0, seed, epoch=0)
        samplers = [EpochSampler(order, batch_size, rank, world) for rank in range(world)]
        return [list(sampler) for sampler in samplers]

    def test_processes_share_each_batch(self):
        (alone,) = self.indices(21, 8, 1)
        first, second = self.indices(21, 8, 2)
        assert len(alone) == 16
        assert len(set(alone)) == 16
        for start in (0, 8):
            half = slice(start // 2, start // 2 + 4)
            assert [i for pair in zip(first[half], second[half], strict=True) for i in pair] == alone[start : start + 8]

    def test_fewer_than_a_batch(self):
        assert sorted(self.indices(5, 8, 1)[0]) == [0, 1, 2, 3, 4]
        assert [len(part) for part in self.indices(5, 8, 2)] == [2, 2]

    def test_seed_decides(self):
        assert self.indices(20, 4, 1) == self.indices(20, 4, 1)
        assert self.indices(20, 4, 1) != self.indices(20, 4, 1, seed=1)


def test_short_epochs_deal_every_image_in_its_turn():
    orders = [epoch_order(10, 4, 0, epoch).tolist() for epoch in range(5)]
    assert [len(order) for order in orders] == [4] * 5
    shown = [index for order in orders for index in order]
    for turn in (shown[:10], shown[10:]):
        assert sorted(turn) == list(range(10))
    assert shown[:10] != shown[10:]
    assert orders == [epoch_order(10, 4, 0, epoch).tolist() for epoch in range(5)]


@pytest.mark.parametrize("per_epoch", [0, 10, 99])
def test_epochs_of_all_images(per_epoch):
    assert sorted(epoch_order(10, per_epoch, 0, 3).tolist()) == list(range(10))
    assert epoch_order(10, per_epoch, 0, 3).tolist() == epoch_order(10, 0, 0, 3).tolist()


def test_what_is_drawn_depends_on_seed_epoch_and_image(dataset, recipe):
    def batches(epoch, seed=7):
        data = QualityData(recipe(seed=seed), dataset)
        data.trainer = type("Trainer", (), {"current_epoch": epoch, "global_rank": 0, "world_size": 1})()
        torch.manual_seed(torch.seed())
        return list(data.train_dataloader())

    def equal(first, second):
        return all(
            torch.equal(a.images, b.images) and torch.equal(a.damaged, b.damaged)
            for a, b in zip(first, second, strict=True)
        )

    assert equal(batches(1), batches(1))
    assert not equal(batches(1), batches(2))
    assert not equal(batches(1), batches(1, seed=8))
