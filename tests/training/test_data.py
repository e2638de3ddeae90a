from __future__ import annotations

import pickle
import shutil
from collections import Counter
from dataclasses import replace

import pytest
import torch

from topiq_metrics.datasets import DatasetError
from topiq_metrics.training.crops import RandomCrop
from topiq_metrics.training.data import Collate, QualityData, TrainingItem
from topiq_metrics.training.distortions import PLAIN, VISIBLE, distort
from topiq_metrics.training.order import EpochSampler, epoch_order_by_size
from topiq_metrics.training.recipe import RecipeError
from topiq_metrics.training.splitting import split_by_name

NAMES = [f"ss0{i % 5} ({i}).jpg" for i in range(2000)]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def parts_by_name(names):
    parts = split_by_name(names, 0.1, 0.2)
    return [{names[i] for i in part} for part in (parts.training, parts.validation, parts.test)]


class TestSplit:
    def test_parts_are_disjoint_and_whole(self):
        training, validation, test = parts_by_name(NAMES)
        assert not training & validation
        assert not training & test
        assert not validation & test
        assert training | validation | test == set(NAMES)

    def test_shares(self):
        _, validation, test = parts_by_name(NAMES)
        assert len(validation) / len(NAMES) == pytest.approx(0.1, abs=0.02)
        assert len(test) / len(NAMES) == pytest.approx(0.2, abs=0.03)

    def test_a_name_stays_in_its_part(self):
        few = parts_by_name(NAMES[500:900:2])
        for some, all_of_them in zip(few, parts_by_name(NAMES[::-1]), strict=True):
            assert some <= all_of_them

    def test_a_name_that_comes_twice_is_in_one_part(self):
        parts = split_by_name(NAMES + NAMES, 0.1, 0.2)
        assert set(parts.test) == {(i + len(NAMES)) % (2 * len(NAMES)) for i in parts.test}

    def test_it_is_the_same_everywhere(self):
        parts = split_by_name(["ss01 (1).jpg", "ss02 (2).jpg", "ss03 (3).jpg", "ss04 (4).jpg"], 0.3, 0.3)
        assert (parts.training, parts.validation, parts.test) == ([0, 1], [3], [2])


class TestCrop:
    @pytest.mark.parametrize("size", [(200, 300), (64, 64), (40, 50), (32, 500), (65, 63)])
    @pytest.mark.parametrize("probability", [0.0, 1.0])
    def test_is_a_square_of_the_wanted_side(self, size, probability, recipe, picture):
        crop = RandomCrop(replace(recipe().data, rescale_probability=probability), 64)
        image = picture(*size)
        for seed in range(10):
            (cut,) = crop([image], seeded(seed))
            assert cut.shape == (3, 64, 64)
            assert cut.min() >= 0
            assert cut.max() <= 1

    def test_at_native_resolution_pixels_are_copied(self, recipe):
        crop = RandomCrop(replace(recipe().data, rescale_probability=0.0), 64)
        image = torch.arange(100 * 120).view(1, 100, 120).expand(3, -1, -1).float()
        corners = set()
        for seed in range(60):
            (cut,) = crop([image], seeded(seed))
            row = cut[0, 0].diff()
            assert (row == row[0]).all()
            assert abs(row[0].item()) == 1
            corners.add(cut.min().item())
        assert len(corners) > 20

    def test_it_is_mirrored_half_of_the_time(self, recipe):
        crop = RandomCrop(replace(recipe().data, rescale_probability=0.0), 64)
        image = torch.linspace(0, 1, 64).expand(3, 64, 64)
        mirrored = sum(bool(crop([image], seeded(seed))[0][0, 0, 0] > 0.5) for seed in range(100))
        assert 30 < mirrored < 70

    @pytest.mark.parametrize("probability", [0.0, 1.0])
    def test_a_reference_is_cropped_alike(self, probability, recipe, picture):
        crop = RandomCrop(replace(recipe().data, rescale_probability=probability), 64)
        image = picture(100, 120)
        for seed in range(10):
            first, second = crop([image, 1 - image], seeded(seed))
            assert torch.allclose(first, 1 - second, atol=1e-5)

    def test_an_enlarged_crop_shows_less_of_both_images(self, recipe):
        settings = replace(recipe().data, rescale_probability=0.0, enlarge_probability=1.0, enlarge_largest=2.0)
        crop = RandomCrop(settings, 64)
        ramp = torch.linspace(0, 1, 128).expand(3, 128, 128)
        shares = []
        for seed in range(40):
            first, second = crop([ramp, 1 - ramp], seeded(seed))
            assert first.shape == (3, 64, 64)
            assert torch.allclose(first, 1 - second, atol=1e-5)
            shares.append((first.max() - first.min()).item() * 127 / 63)
        assert 0.45 < min(shares) < 0.6
        assert 0.85 < max(shares) <= 1.01


class TestWholeImages:
    def test_a_side_of_0_mirrors_all_of_the_images_or_nothing(self, recipe, picture):
        crop = RandomCrop(recipe(data__crop=0, data__rescale_probability=0.0).data, 0)
        image = picture(40, 70)
        mirrored = 0
        for seed in range(40):
            first, second = crop([image, 1 - image], seeded(seed))
            assert torch.equal(first, image) or torch.equal(first, image.flip(-1))
            assert torch.equal(second, 1 - first)
            mirrored += not torch.equal(first, image)
        assert 10 < mirrored < 30

    @pytest.mark.parametrize("per_epoch", [0, 3, 12, 14, 1000])
    def test_batches_are_of_one_size(self, per_epoch):
        sizes = [(64, 64 + 8 * (i % 3)) for i in range(50)] + [(32, 32)] * 3
        orders = [epoch_order_by_size(sizes, 4, per_epoch, 7, epoch).tolist() for epoch in range(60)]
        for order in orders:
            # 17, 17 and 16 images of a size are four batches each, and three of another none.
            assert len(order) == {3: 4, 12: 12, 14: 16}.get(per_epoch, 48)
            assert len(set(order)) == len(order)
            for start in range(0, len(order), 4):
                assert len({sizes[index] for index in order[start : start + 4]}) == 1
        assert orders[0] != orders[1]
        assert orders == [epoch_order_by_size(sizes, 4, per_epoch, 7, epoch).tolist() for epoch in range(60)]
        # What one round leaves out, another shows.
        assert {index for order in orders for index in order} == set(range(50))

    def test_processes_have_one_size_at_each_step(self):
        sizes = [(64, 64 + 8 * (i % 3)) for i in range(50)]
        order = epoch_order_by_size(sizes, 4, 0, 7, 0)
        first, second = (list(EpochSampler(order, 4, rank, 2)) for rank in range(2))
        assert sorted(first + second) == sorted(order.tolist())
        assert [sizes[index] for index in first] == [sizes[index] for index in second]

    def test_epochs_of_one_round_show_no_image_twice(self):
        sizes = [(64, 64), (64, 96)] * 24
        orders = [epoch_order_by_size(sizes, 4, 16, 0, epoch).tolist() for epoch in range(3)]
        assert sorted(index for order in orders for index in order) == list(range(48))

    def test_a_loader_gives_whole_images_of_several_sizes(self, dataset, recipe, tmp_path, save_picture, capsys):
        shutil.copytree(dataset, tmp_path / "data")
        whole = recipe(data__crop=0, data__rescale_probability=0.0, data__batch_size=2)
        names = QualityData(recipe(), dataset)
        training = [names.whole.records[index].image.name for index in names.splits.training]
        for name, size in zip(training, [(80, 112)] * 5 + [(50, 60)], strict=False):
            save_picture(tmp_path / "data" / "Images" / name, *size[::-1], seed=1)
        data = QualityData(whole, tmp_path / "data")
        shapes = Counter(tuple(batch.images.shape) for batch in data.train_dataloader())
        assert shapes == {(2, 3, 80, 112): 2, (2, 3, 96, 96): (len(training) - 6) // 2}
        assert capsys.readouterr().err == "1 training image is left out: too few are of the same size to fill a batch\n"

    def test_no_batch_of_one_size(self, dataset, recipe):
        whole = recipe(data__crop=0, data__rescale_probability=0.0, data__batch_size=1000)
        with pytest.raises(RecipeError, match="needs batches of one size, but no 1000 training images, a batch, are"):
            QualityData(whole, dataset)

    def test_a_reference_of_another_size(self, recipe, tmp_path, save_picture):
        rows = ["image,reference,score,split"]
        for index in range(12):
            save_picture(tmp_path / f"{index}.png", 80, 64, seed=index)
            split = ("validation", "test")[index] if index < 2 else "train"
            rows.append(f"{index}.png,reference.png,{index / 12},{split}")
        save_picture(tmp_path / "reference.png", 64, 80, seed=0)
        (tmp_path / "pairs.csv").write_text("\n".join(rows), encoding="utf-8")
        pairs = recipe(
            name="topiq_fr-lite",
            data__dataset="csv",
            data__split="official",
            data__subset="",
            data__score_range=[0, 1],
            data__crop=0,
            data__rescale_probability=0.0,
        )
        with pytest.raises(DatasetError, match=r"\.png is not of the size of its reference .*reference\.png"):
            next(iter(QualityData(pairs, tmp_path).train_dataloader()))


class TestCollate:
    @pytest.fixture
    def items(self, picture):
        return [TrainingItem(picture(64, 64, seed=i), i / 10, seed=i) for i in range(5)]

    def test_without_damage(self, items):
        batch = Collate(0)(items)
        assert torch.equal(batch.images, torch.stack([item.image for item in items]))
        assert batch.scores.tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
        assert batch.damaged.shape == (0, 3, 64, 64)
        assert batch.severities.shape == (0,)

    @pytest.mark.parametrize("count", [1, 3, 5, 9])
    def test_first_mild_then_severe(self, count, items):
        batch = Collate(count)(items)
        count = min(count, 5)
        assert batch.damaged.shape == (2 * count, 3, 64, 64)
        mild, severe = batch.severities[:count], batch.severities[count:]
        assert (mild <= severe).all()

    def test_pairs_are_of_one_image_and_one_kind(self, items, monkeypatch):
        calls = []

        def record(image, kind, severity, *, seed):
            calls.append((kind, severity, seed))
            return distort(image, kind, severity, seed=seed)

        monkeypatch.setattr("topiq_metrics.training.data.distort", record)
        batch = Collate(3)(items)
        assert sorted(call[1] for call in calls) == pytest.approx(sorted(batch.severities.tolist()))
        for i, (mild, severe) in enumerate(zip(calls[::2], calls[1::2], strict=True)):
            assert mild[0] == severe[0]
            assert mild[2] == severe[2]
            for j, (kind, severity, seed) in ((i, mild), (i + 3, severe)):
                assert batch.severities[j].item() == pytest.approx(severity)
                assert torch.equal(batch.damaged[j], distort(items[i].image, kind, severity, seed=seed))

    @pytest.mark.parametrize("wanted", [PLAIN, VISIBLE])
    def test_every_kind_comes_up(self, items, monkeypatch, wanted):
        kinds = set()
        monkeypatch.setattr(
            "topiq_metrics.training.data.distort", lambda image, kind, *_, **__: kinds.add(kind) or image
        )
        for seed in range(60):
            Collate(5, kinds=wanted)([replace(item, seed=5 * seed + item.seed) for item in items])
        assert kinds == set(wanted)


class TestQualityData:
    @pytest.mark.parametrize(("weight", "kinds"), [(0.0, PLAIN), (1.0, VISIBLE)])
    def test_kinds_of_damage(self, weight, kinds, dataset, recipe):
        loader = QualityData(recipe(loss__damage=weight), dataset).train_dataloader()
        assert loader.collate_fn.kinds == kinds

    def test_loaders(self, dataset, recipe):
        data = QualityData(recipe(), dataset)
        assert len(data.splits.training) + len(data.splits.validation) + len(data.splits.test) == 24
        batch = next(iter(data.train_dataloader()))
        assert batch.images.shape == (4, 3, 64, 64)
        assert batch.damaged.shape == (2, 3, 64, 64)
        for loader, part in (
            (data.val_dataloader(), data.splits.validation),
            (data.test_dataloader(), data.splits.test),
        ):
            batches = list(loader)
            assert [images.shape for images, _ in batches] == [(1, 3, 96, 96)] * len(part)
            assert [score.item() for _, score in batches] == [data.whole.records[i].score for i in part]

    def test_workers_may_be_spawned(self, dataset, recipe):
        loader = QualityData(recipe(), dataset).train_dataloader()
        crops, collate = pickle.loads(pickle.dumps((loader.dataset, loader.collate_fn)))
        assert collate([crops[0], crops[1]]).images.shape == (2, 3, 64, 64)

    def test_unknown_dataset(self, dataset, recipe):
        with pytest.raises(RecipeError, match=r"Unknown dataset 'koniq'; known are \('live', .*'biq2021'"):
            QualityData(recipe(data__dataset="koniq"), dataset)

    def test_a_part_without_images(self, dataset, recipe):
        with pytest.raises(RecipeError, match=r"The test part of .* is empty: set 'test_share' in data, or say which"):
            QualityData(recipe(data__test_share=0.0), dataset)
        with pytest.raises(RecipeError, match=r"The test part of .* is empty: 24 images are too few for the shares"):
            QualityData(recipe(data__test_share=1e-6), dataset)

    def test_shares_of_everything(self, dataset, recipe):
        with pytest.raises(RecipeError, match="'validation_share' and 'test_share' in data must leave something"):
            QualityData(recipe(data__validation_share=0.75), dataset)

    def test_a_table_without_training_images(self, dataset, recipe, tmp_path):
        images = sorted((dataset / "Images").iterdir())[:6]
        rows = [
            f"{path},{index},{part}" for index, (path, part) in enumerate(zip(images, ["val", "test"] * 3, strict=True))
        ]
        (tmp_path / "ratings.csv").write_text("\n".join(["image,score,split", *rows]), encoding="utf-8")
        table = {"data__dataset": "csv", "data__split": "official", "data__subset": ""}
        with pytest.raises(RecipeError, match=r"The training part of .* is empty: no image is said to be of it\."):
            QualityData(recipe(**table), tmp_path / "ratings.csv")

    @pytest.mark.parametrize("score_range", [(1.0, 5.0), (0.0, 4.5), (0.5, 9.0)])
    def test_a_score_range_that_does_not_hold_the_scores_of_a_table(self, score_range, dataset, recipe, tmp_path):
        images = sorted((dataset / "Images").iterdir())[:24]
        rows = [f"{path},{index % 6}" for index, path in enumerate(images)]
        (tmp_path / "ratings.csv").write_text("\n".join(["image,score", *rows]), encoding="utf-8")
        table = {"data__dataset": "csv", "data__subset": ""}
        assert QualityData(recipe(**table, data__score_range=(0.0, 5.0)), tmp_path / "ratings.csv").scale.high == 5
        low, high = score_range
        message = f"'score_range' in data is from {low:g} to {high:g}, but the scores of .* are from 0 to 5"
        with pytest.raises(RecipeError, match=message):
            QualityData(recipe(**table, data__score_range=score_range), tmp_path / "ratings.csv")
