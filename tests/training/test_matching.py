"""Training against semantic noise, and on images that only teachers have scored."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from topiq_metrics import create_metric
from topiq_metrics.errors import ImageError, WeightsMismatchError
from topiq_metrics.images import SizePolicy
from topiq_metrics.models.cfanet import CFANet, CFANetConfig
from topiq_metrics.training import qfm
from topiq_metrics.training.claim import describe_data
from topiq_metrics.training.crops import RandomCrop
from topiq_metrics.training.data import QualityData
from topiq_metrics.training.module import QualityModule
from topiq_metrics.training.recipe import RecipeError
from topiq_metrics.training.run import train
from topiq_metrics.training.unlabelled import UnlabelledImages, find_unlabelled
from topiq_metrics.weights import load_network, read_metadata, resolve, save_network
from topiq_metrics.weights.hashes import sha256_of

NAME = "qfm_iqm-lite"
SIZE = SizePolicy.parse("native")


@pytest.fixture
def images(picture):
    return torch.stack([picture(64, 64, seed=seed) for seed in range(6)])


@pytest.fixture
def small(recipe):
    """A function that gives a module with a small network that selects features."""

    def make(**changes) -> QualityModule:
        settings = recipe(name=NAME, loss__rank=0.0, model__frozen=[], **changes)
        module = QualityModule(settings)
        torch.manual_seed(0)
        module.net = CFANet(
            CFANetConfig("efficientnet_lite0", dim=16, heads=2, gate_width=4, dropout=0.5, feature_selection=True)
        )
        torch.nn.init.normal_(module.net.selection.excite.weight)
        if settings.loss.sensitivity:
            module.queue = qfm.FeatureQueue(settings.matching.queue, 5 * 16)
        return module

    return make


class TestSelection:
    def test_a_new_gate_keeps_the_scores(self, images):
        plain = load_network("topiq_nr-lite")
        config = replace(plain.config, feature_selection=True)
        gated = CFANet(config).eval()
        missing = gated.load_state_dict(plain.state_dict(), strict=False).missing_keys
        assert missing
        assert all(key.startswith("selection.") for key in missing)
        with torch.inference_mode():
            assert torch.allclose(gated(images), plain(images), atol=0.02)

    def test_the_gate_is_of_all_levels(self, small, images):
        net = small().net.eval()
        levels = list(net.levels(images))
        together = torch.cat(levels, dim=1)
        gate, selected = net.selection.gate(together), net.selection(together).split(16, dim=1)
        for index, (kept, level) in enumerate(zip(selected, levels, strict=True)):
            expected = level * gate[:, 16 * index : 16 * (index + 1), None, None]
            assert torch.allclose(kept, expected, atol=1e-6)

    def test_weights_of_a_network_without_it(self, tmp_path):
        save_network(load_network("topiq_nr-lite"), tmp_path / "plain.safetensors", card={})
        with pytest.raises(WeightsMismatchError, match="but 'qfm_iqm-lite' needs"):
            load_network(NAME, tmp_path / "plain.safetensors")


class TestSensitivity:
    def test_is_the_change_under_matched_noise(self, small, images, batch_of):
        """With every image but one of another score, the match is known."""
        module = small(
            loss__mse=1.0, loss__nin=0.0, loss__sensitivity=2.0, matching__max_score_difference=0.05,
            matching__min_distance_quantile=0.0, matching__strengths=1, matching__bound=0.5,
        )  # fmt: skip
        scores = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9, 0.9])
        total, terms = module.loss(batch_of(images, scores))
        assert total.item() == pytest.approx((terms["mse"] + 2 * terms["sensitivity"]).item())
        net = module.net.eval()
        with torch.no_grad():
            levels = torch.cat(list(net.levels(images)), dim=1)
            noise = levels.mean(dim=(2, 3))[[5, 4]] - levels.mean(dim=(2, 3))[[4, 5]]
            noisy = levels[4:] + 0.5 * noise[:, :, None, None]
            changes = net.regress(noisy.split(16, dim=1)) - net(images[4:])[:, None]
        assert terms["sensitivity"].item() == pytest.approx(changes.square().mean().item(), rel=1e-4)
        assert terms["sensitivity"] > 0

    def test_dropout_is_off_for_the_change_alone(self, small, images, batch_of):
        """In a module whose features do not depend on dropout, only the score does."""
        module = small(loss__sensitivity=1.0, matching__min_distance_quantile=0.0)
        found = []
        for seed in range(2):
            module.queue = qfm.FeatureQueue(16, 80)
            torch.manual_seed(seed)
            _, terms = module.loss(batch_of(images, torch.full((6,), 0.5)))
            found.append({name: term.item() for name, term in terms.items()})
        assert found[0]["mse"] != found[1]["mse"]
        assert found[0]["sensitivity"] == found[1]["sensitivity"] > 0

    def test_the_mode_of_the_network_stays(self, small, images, batch_of):
        module = small(loss__sensitivity=1.0)
        for training in (False, True):
            module.net.train(training)
            module.loss(batch_of(images, torch.full((6,), 0.5)))
            assert module.net.training == training

    def test_matches_may_be_in_the_queue(self, small, images, batch_of):
        module = small(loss__sensitivity=1.0, matching__max_score_difference=0.05, matching__min_distance_quantile=0.0)
        _, alone = module.loss(batch_of(images[:2], torch.tensor([0.2, 0.8])))
        assert alone["sensitivity"] == 0
        assert len(module.queue) == 2
        _, later = module.loss(batch_of(images[2:4], torch.tensor([0.2, 0.8])))
        assert later["sensitivity"] > 0
        assert len(module.queue) == 4

    def test_the_gate_and_the_rest_learn_from_it(self, small, images, batch_of):
        module = small(loss__sensitivity=1.0, matching__min_distance_quantile=0.0)
        _, terms = module.loss(batch_of(images, torch.full((6,), 0.5)))
        terms["sensitivity"].backward()
        for name in ("selection.excite.weight", "reduce.4.0.weight", "head.6.weight", "backbone.stem.0.weight"):
            assert module.net.get_parameter(name).grad.abs().max() > 0, name

    def test_of_ratings_the_settings_are_relative_to_their_range(self, recipe, images, batch_of):
        settings = recipe(
            name="topiq_iaa_res50", model__frozen=[], loss__rank=0.0, loss__sensitivity=1.0,
            matching__max_score_difference=0.05, matching__min_distance_quantile=0.0,
        )  # fmt: skip
        module = QualityModule(settings)
        for difference, is_matched in ((0.4, True), (0.5, False)):
            module.queue = qfm.FeatureQueue(16, 5 * 512)
            _, terms = module.loss(batch_of(images[:2], torch.tensor([5.0, 5.0 + difference])))
            assert bool(terms["sensitivity"]) == is_matched


class TestTeachers:
    @pytest.fixture
    def teachers(self, tmp_path) -> list[str]:
        paths = []
        for seed in range(2):
            torch.manual_seed(seed)
            net = load_network("topiq_nr-lite", None)
            paths.append(str(tmp_path / f"{seed}.safetensors"))
            save_network(net, paths[-1], card={})
        return paths

    def test_their_mean_is_taught(self, small, images, teachers, batch_of):
        module = small(
            loss__mse=0.0, loss__nin=0.0, loss__distillation=2.0, unlabelled__teachers=teachers,
            unlabelled__images="x", unlabelled__confidence_scale=1.0,
        )  # fmt: skip
        module.net.eval()
        total, terms = module.loss(batch_of(images[:2], torch.rand(2), unlabelled=images[2:]))
        assert list(terms) == ["distillation"]
        with torch.no_grad():
            views = torch.stack(
                [
                    load_network("topiq_nr-lite", path)(view)
                    for path in teachers
                    for view in (images[2:], images[2:].flip(3))
                ]
            )
            weights = torch.exp(-((views.std(dim=0) / 1.0) ** 2))
            expected = (weights * (module.net(images[2:]) - views.mean(dim=0)) ** 2).mean()
        assert total.item() == pytest.approx(2 * expected.item(), rel=1e-3)
        assert weights.std() > 0

    def test_mixed_precision_does_not_concern_their_scores(self, small, images, teachers, batch_of, monkeypatch):
        module = small(unlabelled__teachers=teachers, unlabelled__images="x")
        taught = []
        loss = qfm.distillation_loss
        monkeypatch.setattr(qfm, "distillation_loss", lambda *args: taught.append(args[1]) or loss(*args))
        batch = batch_of(images[:2], torch.rand(2), unlabelled=images[2:])
        module.loss(batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            module.loss(batch)
        assert torch.equal(*taught)

    def test_they_are_not_trained_and_not_kept(self, small, images, teachers, batch_of):
        module = small(unlabelled__teachers=teachers, unlabelled__images="x")
        module.loss(batch_of(images[:2], torch.rand(2), unlabelled=images[2:]))[0].backward()
        assert all(p.grad is None for teacher in module._teachers for p in teacher.parameters())
        assert all(key.startswith("net.") for key in module.state_dict())

    def test_a_metric_of_the_catalogue_is_one_by_its_name(self, small):
        module = small(unlabelled__teachers=["topiq_nr-lite"], unlabelled__images="x")
        assert module._teachers[0].name == "topiq_nr-lite"

    def test_one_of_squares_needs_square_crops(self, recipe, tmp_path):
        save_network(load_network("topiq_nr_swin-face", None), tmp_path / "swin.safetensors", card={})
        settings = recipe(
            name=NAME, model__frozen=[], unlabelled__teachers=[str(tmp_path / "swin.safetensors")],
            unlabelled__images="x",
        )  # fmt: skip
        with pytest.raises(RecipeError, match="which takes squares of 384 px: set 'crop' and 'final_crop'"):
            QualityModule(settings)

    @pytest.mark.parametrize(
        ("teacher", "message"),
        [
            ("topiq_nr_lite", "neither a metric nor a file 'topiq_nr_lite'. Did you mean 'topiq_nr-lite'"),
            ("~/none.safetensors", r"'teachers' in unlabelled: The weights file /\S+none\.safetensors does not exist"),
        ],
    )
    def test_nothing_there(self, recipe, teacher, message):
        settings = recipe(name=NAME, model__frozen=[], unlabelled__teachers=[teacher], unlabelled__images="x")
        with pytest.raises(RecipeError, match=message):
            QualityModule(settings)

    def test_the_file_of_a_metric_that_is_not_installed(self, recipe, tmp_path):
        net = load_network("topiq_nr-lite")
        net.name = "mine"
        save_network(net, tmp_path / "mine.safetensors", card={})
        settings = recipe(
            name=NAME, model__frozen=[], unlabelled__teachers=[str(tmp_path / "mine.safetensors")],
            unlabelled__images="x",
        )  # fmt: skip
        with pytest.raises(RecipeError, match=r"is of 'mine'\. There is no metric named 'mine'"):
            QualityModule(settings)

    @pytest.mark.parametrize(
        ("teacher", "student", "of"),
        [("topiq_fr", NAME, "topiq_fr"), ("topiq_iaa", NAME, "topiq_iaa"), ("lpips+", NAME, r"lpips\+")],
    )
    def test_others_do_not_fit(self, recipe, teacher, student, of):
        settings = recipe(
            name=student, model__frozen=[], unlabelled__teachers=[teacher],
            unlabelled__images="x",
        )  # fmt: skip
        with pytest.raises(RecipeError, match=f"is of {of}, whose scores are not those of {student}"):
            QualityModule(settings)


class TestUnlabelledImages:
    @pytest.fixture
    def folder(self, tmp_path, save_picture) -> Path:
        for i in range(3):
            save_picture(tmp_path / "others" / f"{i}.png", 70, 90, seed=i)
        (tmp_path / "others" / "broken.png").write_bytes(b"nothing")
        (tmp_path / "others" / "notes.txt").write_text("no image")
        return tmp_path / "others"

    def test_crops_are_those_of_the_seed(self, folder, recipe):
        crop = RandomCrop(recipe().data, 48)
        images = UnlabelledImages(find_unlabelled(str(folder)), SIZE, crop)
        drawn = [images.draw(seed) for seed in range(30)]
        assert {tuple(image.shape) for image in drawn} == {(3, 48, 48)}
        assert all(torch.equal(image, images.draw(seed)) for seed, image in enumerate(drawn))
        assert len({image.sum().item() for image in drawn}) > 20

    def test_none_that_can_be_read(self, folder, recipe):
        crop = RandomCrop(recipe().data, 48)
        with pytest.raises(ImageError, match=r"broken\.png"):
            UnlabelledImages([str(folder / "broken.png")], SIZE, crop).draw(0)

    @pytest.mark.parametrize(("name", "message"), [("nothing", "nothing"), ("empty", "image")])
    def test_nothing_there(self, tmp_path, name, message):
        (tmp_path / "empty").mkdir()
        with pytest.raises(RecipeError, match=f"'images' in unlabelled: .*{message}"):
            find_unlabelled(str(tmp_path / name))

    def test_files_that_are_not_there_are_told(self, folder, tmp_path, capsys):
        (tmp_path / "list.txt").write_text("others/0.png\nothers/8.png\nothers/9.png\n")
        assert [Path(path).name for path in find_unlabelled(str(tmp_path / "list.txt"))] == ["0.png"]
        assert capsys.readouterr().err == f"2 of 3 images in {tmp_path / 'list.txt'} are not there.\n"

    def test_home(self, folder, monkeypatch):
        monkeypatch.setenv("HOME", str(folder.parent))
        monkeypatch.setenv("USERPROFILE", str(folder.parent))
        assert len(find_unlabelled("~/others")) == 4

    def test_a_batch_has_as_many_as_asked_for(self, dataset, folder, recipe):
        settings = recipe(
            unlabelled__teachers=["a"], unlabelled__images=str(folder),
            unlabelled__images_per_batch=3,
        )  # fmt: skip
        batches = list(QualityData(settings, dataset).train_dataloader())
        assert {tuple(batch.unlabelled.shape) for batch in batches} == {(3, 3, 64, 64)}
        again = list(QualityData(settings, dataset).train_dataloader())
        assert all(torch.equal(a.unlabelled, b.unlabelled) for a, b in zip(batches, again, strict=True))
        assert next(iter(QualityData(recipe(), dataset).train_dataloader())).unlabelled is None


@pytest.fixture(scope="module")
def others(tmp_path_factory, save_picture) -> Path:
    root = tmp_path_factory.mktemp("others")
    for i in range(5):
        save_picture(root / f"{i}.png", 80, 72, seed=50 + i)
    return root


@pytest.fixture(scope="module")
def outcome(dataset, others, recipe_values, write_recipe, topiq, tmp_path_factory):
    """A whole run with all of it, by the command: its result and its folder."""
    root = tmp_path_factory.mktemp("runs")
    recipe = write_recipe(root / "tiny.toml", recipe_values(name=NAME, loss__sensitivity=0.5, data__workers=1))
    result = topiq(
        "train", recipe, "--data", dataset, "-o", root / "run", "--unlabelled", others,
        "--teacher", "topiq_nr-lite", "--set", "unlabelled.images_per_batch=3",
    )  # fmt: skip
    return result, root / "run"


class TestWholeRun:
    def test_ends(self, outcome):
        result, folder = outcome
        assert result.exit_code == 0, result.stderr
        assert result.stdout.splitlines() == [str(folder / f"{NAME}.safetensors"), str(folder / "report.md")]

    def test_the_curves_have_each_loss(self, outcome):
        with (outcome[1] / "curves" / "0" / "metrics.csv").open() as stream:
            rows = [row for row in csv.DictReader(stream) if row["train/loss_epoch"]]
        assert len(rows) == 2
        for row in rows:
            assert float(row["train/sensitivity"]) > 0
            assert float(row["train/distillation"]) > 0

    def test_the_file_is_a_metric(self, outcome, images):
        path = outcome[1] / f"{NAME}.safetensors"
        about = read_metadata(path)
        assert (about["name"], about["config"]["feature_selection"]) == (NAME, True)
        assert about["recipe"]["unlabelled"]["teachers"] == ["topiq_nr-lite"]
        assert about["unlabelled_images"] == 5
        (teacher,) = about["taught_by"]
        assert (teacher["name"], teacher["sha256"]) == ("topiq_nr-lite", sha256_of(resolve("topiq_nr-lite")))
        assert teacher["trained_on"]["dataset"] == "BIQ2021"
        assert about["license"].endswith(f"; of a teacher: {teacher['license']}")
        metric = create_metric(NAME, weights=path, reduction="none")
        assert torch.allclose(metric(images), load_network(NAME, path)(images), atol=1e-5)

    def test_a_resumed_run_ends_alike(self, dataset, others, recipe, tmp_path, monkeypatch):
        """What is matched is a part of checkpoints."""
        settings = recipe(
            name=NAME, loss__sensitivity=1.0, unlabelled__teachers=["topiq_nr-lite"],
            unlabelled__images=str(others),
        )  # fmt: skip
        whole = train(settings, dataset, tmp_path / "whole", progress=False)

        def stop(self, batch, index):
            if (self.current_epoch, index) == (1, 1):
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(QualityModule, "on_train_batch_start", stop, raising=False)
            with pytest.raises(KeyboardInterrupt):
                train(settings, dataset, tmp_path / "halved", progress=False)
        halved = train(settings, dataset, tmp_path / "halved", progress=False)
        one, other = (load_network(NAME, path).state_dict() for path in (whole, halved))
        assert max((one[key].float() - other[key].float()).abs().max() for key in one) <= 1e-5


class TestMistakes:
    def test_images_without_a_teacher(self, dataset, others, topiq):
        result = topiq("train", NAME, "--data", dataset, "--unlabelled", others)
        assert result.exit_code == 2
        assert "'teachers' and 'images' in unlabelled go together" in result.stderr

    def test_a_teacher_that_is_not_there(self, dataset, others, tmp_path, topiq):
        result = topiq(
            "train", "topiq_nr-lite", "--data", dataset, "-o", tmp_path / "run", "--set", "data.validation_share=0.3",
            "--set", "data.test_share=0.3", "--set", "data.split=hash", "--set", "data.subset=train",
            "--set", 'model.weights=""', "--set", "optimizer.start_share=0.0", "--set", "data.partial=true",
            "--unlabelled", others, "--teacher", tmp_path / "none.safetensors",
        )  # fmt: skip
        assert result.exit_code == 2
        assert "none.safetensors" in result.stderr

    def test_weights_that_nobody_publishes(self, tmp_path, monkeypatch, topiq):
        for variable in ("TOPIQ_METRICS_CACHE", "TOPIQ_METRICS_WEIGHTS"):
            monkeypatch.setenv(variable, str(tmp_path))
        result = topiq("score", "image.png", "-m", NAME)
        assert result.exit_code != 0
        assert "Nobody publishes them. Train them with `topiq train qfm_iqm-lite --data FOLDER`" in result.stderr


class TestResuming:
    """What taught a run tells it from others."""

    @pytest.fixture
    def described(self, dataset, others, recipe):
        def describe(*teachers):
            settings = recipe(unlabelled__teachers=[*map(str, teachers)], unlabelled__images=str(others))
            return describe_data(settings, QualityData(settings, dataset))

        return describe

    def test_teachers_of_one_name(self, described, tmp_path):
        files = [tmp_path / folder / "net.safetensors" for folder in "ab"]
        for index, file in enumerate(files):
            file.parent.mkdir()
            file.write_bytes(bytes([index]))
        before = described(*files)
        assert sorted(before["weights"]) == ["net.safetensors", "net.safetensors (2)"]
        files[0].write_bytes(b"another")
        assert described(*files)["weights"] != before["weights"]

    def test_unlabelled_images(self, described, others, tmp_path):
        teacher = tmp_path / "net.safetensors"
        teacher.write_bytes(b"")
        before = described(teacher)["unlabelled"]
        added = others / "another.png"
        added.write_bytes(next(others.glob("*.png")).read_bytes())
        try:
            assert described(teacher)["unlabelled"]["images"] == before["images"] + 1
        finally:
            added.unlink()
        assert described(teacher)["unlabelled"] == before
