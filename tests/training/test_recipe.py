from __future__ import annotations

from dataclasses import replace

import pytest

from topiq_metrics.catalog import CARDS
from topiq_metrics.datasets import DATASETS
from topiq_metrics.training.recipe import Recipe, RecipeError, fine_tuning_recipe, load_recipe, tomllib

pytestmark = pytest.mark.quick

SHIPPED = "topiq_nr-lite"


TAUGHT = {"unlabelled__teachers": ["a.pth"], "unlabelled__images": "photos"}


def test_shipped_recipe():
    recipe = load_recipe(SHIPPED)
    assert recipe.name in CARDS
    assert recipe.data.dataset in DATASETS
    assert recipe.model.frozen == ("stem", "stages.0", "stages.1")
    assert recipe.data.crop == 448


@pytest.mark.parametrize(
    ("source", "metric", "dataset", "split"),
    [
        ("topiq_nr", "topiq_nr", "koniq-10k", "official"),
        ("topiq_nr-spaq", "topiq_nr-spaq", "spaq", "random"),
        ("topiq_nr-flive", "topiq_nr-flive", "flive", "official"),
        ("topiq_nr-livec", "topiq_nr", "live-challenge", "random"),
        ("topiq_nr-face", "topiq_nr-face", "cgfiqa-40k", "official"),
        ("topiq_nr_swin-face", "topiq_nr_swin-face", "cgfiqa-40k", "official"),
        ("topiq_fr", "topiq_fr", "kadid-10k", "random"),
        ("topiq_fr-pipal", "topiq_fr-pipal", "pipal", "official"),
        ("topiq_iaa_res50", "topiq_iaa_res50", "ava", "official"),
        ("topiq_iaa", "topiq_iaa", "ava", "official"),
        (SHIPPED, SHIPPED, "biq2021", "official"),
        ("qfm_iqm-lite", "qfm_iqm-lite", "biq2021", "hash"),
    ],
)
def test_shipped_recipes(source, metric, dataset, split):
    recipe = load_recipe(source)
    assert (recipe.name, recipe.data.dataset, recipe.data.split) == (metric, dataset, split)
    assert dataset in DATASETS
    facts = DATASETS[dataset].facts
    assert facts.split.kind == ("random" if split == "random" else "official")
    assert bool(facts.references) == (CARDS[metric].mode == "FR")
    assert recipe.loss.emd == (CARDS[metric].bins > 1)
    size = CARDS[metric].size
    if size.startswith("square="):
        assert recipe.data.size == "own"
        assert recipe.data.crop == int(size.removeprefix("square="))
    assert bool(recipe.loss.sensitivity) == bool(CARDS[metric].network.feature_selection)
    if dataset != "biq2021":
        optimizer = recipe.optimizer
        assert (optimizer.lr, optimizer.backbone_lr, optimizer.weight_decay) == (3e-5, 3e-5, 1e-5)
        assert (recipe.data.batch_size, optimizer.warmup_steps, recipe.model.frozen) == (16, 0, ())


def test_the_bundled_model_keeps_its_settings():
    assert load_recipe(SHIPPED).to_dict() == {
        "name": "topiq_nr-lite",
        "seed": 20261201,
        "data": {
            "dataset": "biq2021",
            "about": "",
            "partial": False,
            "split": "official",
            "split_seed": 0,
            "subset": "",
            "validation_share": 0.064,
            "test_share": 0.0,
            "score_range": (),
            "lower_is_better": False,
            "image_column": "",
            "score_column": "",
            "reference_column": "",
            "size": "native",
            "batch_size": 16,
            "images_per_epoch": 2816,
            "crop": 448,
            "final_crop": 512,
            "final_crop_epochs": 1,
            "rescale_probability": 0.3,
            "rescale_smallest": 0.75,
            "enlarge_probability": 0.0,
            "enlarge_largest": 1.0,
            "damaged_per_batch": 1,
            "workers": 2,
        },
        "optimizer": {
            "epochs": 4,
            "patience": 8,
            "average_epochs": 1,
            "start_share": 0.4,
            "lr": 1e-4,
            "backbone_lr": 4e-5,
            "weight_decay": 1e-4,
            "warmup_steps": 50,
            "gradient_clip": 1.0,
            "precision": "bf16-mixed",
        },
        "model": {
            "weights": "second.safetensors",
            "pretrained_backbone": True,
            "frozen": ("stem", "stages.0", "stages.1"),
        },
        "loss": {
            "mse": 1.0,
            "nin": 1.0,
            "plcc": 0.0,
            "pairwise_rank": 0.0,
            "rank": 0.5,
            "rank_margin": 0.1,
            "damage": 0.0,
            "emd": 0.0,
            "sensitivity": 0.0,
            "distillation": 1.0,
        },
        "matching": {
            "queue": 512,
            "max_score_difference": 0.05,
            "min_distance_quantile": 0.7,
            "bound": 1.0,
            "strengths": 2,
        },
        "unlabelled": {"teachers": (), "images": "", "images_per_batch": 8, "confidence_scale": 0.05},
    }


class TestExtends:
    def test_a_file_states_what_differs(self, tmp_path):
        (tmp_path / "a.toml").write_text('extends = "topiq_nr"\n[optimizer]\nlr = 1\n')
        (tmp_path / "b.toml").write_text('extends = "a.toml"\nseed = 3\n[optimizer]\nepochs = 7\n')
        recipe, published = load_recipe(tmp_path / "b.toml"), load_recipe("topiq_nr")
        assert recipe == replace(published, seed=3, optimizer=replace(published.optimizer, lr=1.0, epochs=7))

    def test_a_section_is_not_to_be_replaced_by_a_value(self, tmp_path):
        (tmp_path / "a.toml").write_text('extends = "topiq_nr"\ndata = 3\n')
        with pytest.raises(RecipeError, match="data must be a table, but got 3"):
            load_recipe(tmp_path / "a.toml")

    @pytest.mark.parametrize(
        ("base", "message"),
        [
            ('"a.toml"', r"a\.toml extends a\.toml, which in the end extends itself"),
            ('"other"', "There is no recipe 'other'"),
            ('"other.toml"', r"There is no recipe file .*other\.toml"),
            ("3", r"'extends' in .*a\.toml must be str, but got 3"),
            ('"published"', "data lacks the key 'dataset'"),
        ],
    )
    def test_wrong_bases(self, base, message, tmp_path):
        (tmp_path / "a.toml").write_text(f"extends = {base}\n")
        with pytest.raises(RecipeError, match=message):
            load_recipe(tmp_path / "a.toml")


class TestSettings:
    def test_values(self):
        settings = ["seed=5", "optimizer.lr = 1e-3", "model.frozen=['layer1']", "model.pretrained_backbone=a b.pth"]
        recipe = load_recipe("topiq_nr", settings)
        assert (recipe.seed, recipe.optimizer.lr, recipe.model.frozen) == (5, 1e-3, ("layer1",))
        assert recipe.model.pretrained_backbone == "a b.pth"

    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ("optimizer.lr", "A setting must be like 'optimizer.lr=1e-4', but got 'optimizer.lr'"),
            ("optimizer.speed=1", "Unknown key 'speed' in optimizer"),
            ("optimiser.lr=1", "Unknown key 'optimiser' in the recipe"),
            ("optimizer.lr=fast", "'lr' in optimizer must be float, but got 'fast'"),
        ],
    )
    def test_wrong_ones(self, setting, message):
        with pytest.raises(RecipeError, match=message):
            load_recipe("topiq_nr", [setting])

    def test_tables(self):
        path = 'un "\U0001f4f7" \x7f'
        settings = [{"unlabelled": {"teachers": ["a.pth"], "images": path}}, "loss.distillation=0.25"]
        recipe = load_recipe("topiq_nr", settings)
        assert (recipe.unlabelled.teachers, recipe.unlabelled.images) == (("a.pth",), path)
        assert (recipe.loss.distillation, recipe.unlabelled.images_per_batch) == (0.25, 8)


class TestFineTuning:
    @pytest.mark.parametrize("name", [name for name, card in CARDS.items() if card.is_topiq])
    def test_any_model_of_ours(self, name):
        recipe = fine_tuning_recipe(name, "some.pth", ["optimizer.epochs=3"])
        assert (recipe.name, recipe.data.dataset, recipe.model.weights) == (name, "csv", "some.pth")
        assert (recipe.optimizer.epochs, recipe.model.pretrained_backbone) == (3, False)
        size = CARDS[name].size
        assert recipe.data.crop == (int(size[7:]) if "square=" in size else 512 if "face" in name else 256)

    def test_no_other(self):
        with pytest.raises(RecipeError, match=r"lpips\+ is not the metric of a network that is trained here"):
            fine_tuning_recipe("lpips+")

    def test_nothing_to_start_from(self):
        none = 'model.weights=""'
        with pytest.raises(RecipeError, match="start from random numbers: set 'pretrained_backbone'"):
            fine_tuning_recipe("topiq_nr-lite", settings=[none])
        recipe = fine_tuning_recipe("topiq_nr-lite", settings=[none, "model.pretrained_backbone=true"])
        assert recipe.model.pretrained_backbone is True


def test_file(tmp_path, recipe_values, write_recipe):
    values = recipe_values()
    assert load_recipe(write_recipe(tmp_path / "a.toml", values)) == Recipe.from_dict(values)


def test_dictionary_comes_back(recipe):
    assert Recipe.from_dict(recipe().to_dict()) == recipe()
    assert Recipe.from_dict(load_recipe(SHIPPED).to_dict()) == load_recipe(SHIPPED)


def test_whole_numbers_are_numbers(recipe):
    lr = recipe(optimizer__lr=1).optimizer.lr
    assert (lr, type(lr)) == (1.0, float)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, r"Unknown key 'colour' in the recipe; known are \('name', 'seed', "),
        ({"data__colour": 1}, r"Unknown key 'colour' in data; known are \('dataset', "),
        ({"data": 3}, "data must be a table, but got 3"),
        ({"seed": "7"}, "'seed' in the recipe must be int, but got '7'"),
        ({"seed": True}, "'seed' in the recipe must be int, but got True"),
        ({"data__crop": 64.0}, "'crop' in data must be int, but got 64.0"),
        ({"optimizer__lr": "fast"}, "'lr' in optimizer must be float, but got 'fast'"),
        ({"optimizer__lr": True}, "'lr' in optimizer must be float, but got True"),
        ({"model__pretrained_backbone": 1}, r"'pretrained_backbone' in model must be bool \| str, but got 1"),
        ({"model__frozen": "stem"}, r"'frozen' in model must be tuple\[str, ...\], but got 'stem'"),
        ({"model__frozen": [1]}, r"'frozen' in model must be tuple\[str, ...\], but got \[1\]"),
        ({"data__crop": 31}, "'crop' in data must be 0 or from 32 to inf, but got 31"),
        (
            {"data__crop": 0, "data__rescale_probability": 0.5},
            "'rescale_probability' in data is of crops, but with a 'crop' of 0 there are whole images only",
        ),
        (
            {"data__crop": 0, "data__enlarge_probability": 0.5, "data__rescale_probability": 0.0},
            "'enlarge_probability' in data is of crops",
        ),
        (
            {**TAUGHT, "data__final_crop": 0, "data__final_crop_epochs": 1},
            "'teachers' in unlabelled score crops of one size, but a 'crop' or 'final_crop' of 0 in data is whole",
        ),
        ({"data__batch_size": 0}, "'batch_size' in data must be from 1 to inf, but got 0"),
        ({"data__test_share": 1.5}, "'test_share' in data must be from 0 to 1, but got 1.5"),
        ({"data__rescale_smallest": 0.0}, "'rescale_smallest' in data must be from 0.1 to 1, but got 0.0"),
        ({"optimizer__epochs": 0}, "'epochs' in optimizer must be from 1 to inf, but got 0"),
        ({"optimizer__lr": float("nan")}, "'lr' in optimizer must be from 0 to inf, but got nan"),
        ({"optimizer__lr": float("inf")}, "'lr' in optimizer must be from 0 to inf, but got inf"),
        ({"seed": -1}, "'seed' in the recipe must be from 0 to "),
        ({"name": "topiq_nr-light"}, r"'name' in the recipe: There is no metric named 'topiq_nr-light'\. Did you mean"),
        ({"name": "lpips+"}, "'name' in the recipe: lpips. is not the metric of a network that is trained here"),
        (
            {"data__split": "thirds"},
            r"'split' in data must be one of \('official', 'random', 'hash'\), but got 'thirds'",
        ),
        ({"data__score_range": [1]}, r"'score_range' in data must be two numbers or none, but got \[1.0\]"),
        ({"data__score_range": ["1"]}, r"'score_range' in data must be tuple\[float, ...\], but got \['1'\]"),
        ({"optimizer__precision": "8"}, "'precision' in optimizer must be one of .*, but got '8'"),
        ({"unlabelled__teachers": ["a.pth"]}, "'teachers' and 'images' in unlabelled go together"),
        ({"unlabelled__images": "photos"}, "'teachers' and 'images' in unlabelled go together"),
        ({**TAUGHT, "loss__distillation": 0.0}, "'teachers' in unlabelled, but 'distillation' in loss is 0"),
        (
            {**TAUGHT, "unlabelled__images_per_batch": 5},
            "'images_per_batch' in unlabelled must not be more than 'batch_size'",
        ),
        ({**TAUGHT, "name": "topiq_fr"}, "are for no-reference metrics, but topiq_fr compares"),
        ({"name": "topiq_fr", "loss__sensitivity": 1.0}, "are for no-reference metrics, but topiq_fr compares"),
        ({"matching__min_distance_quantile": 1.0}, "'min_distance_quantile' in matching must be from 0 to 0.999"),
        ({"loss__emd": 1.0}, "'emd' in loss needs a network that predicts ratings, but topiq_nr-lite predicts a score"),
        (
            {"loss__mse": 0, "loss__nin": 0, "loss__rank": 0},
            "Every weight in loss of what tells good from bad is 0: there is nothing to learn",
        ),
        ({"data__damaged_per_batch": 0}, "'rank' in loss needs pairs of rising damage: set 'damaged_per_batch'"),
        (
            {"data__damaged_per_batch": 0, "loss__rank": 0.0, "loss__damage": 1.0},
            "'damage' in loss needs pairs of rising damage: set 'damaged_per_batch'",
        ),
        ({"name": "topiq_fr", "loss__damage": 1.0}, "are for no-reference metrics, but topiq_fr compares"),
        ({"optimizer__start_share": 0.5, "model__weights": ""}, "'start_share' in optimizer is of the weights"),
    ],
)
def test_bad_values(changes, message, recipe):
    with pytest.raises(RecipeError, match=message):
        recipe(**changes)


@pytest.mark.parametrize(("section", "key"), [(None, "seed"), (None, "loss"), ("data", "crop"), ("loss", "nin")])
def test_missing_keys(section, key, recipe_values):
    values = recipe_values()
    del (values[section] if section else values)[key]
    with pytest.raises(RecipeError, match=f"{section or 'the recipe'} lacks the key '{key}'"):
        Recipe.from_dict(values)


def test_unknown_name():
    with pytest.raises(
        RecipeError,
        match=r"There is no recipe 'other': give a \.toml file or one of \['qfm_iqm-lite', .*'topiq_nr-lite'",
    ):
        load_recipe("other")


def test_missing_file(tmp_path):
    with pytest.raises(RecipeError, match=r"There is no recipe file .*a\.toml"):
        load_recipe(tmp_path / "a.toml")


def test_file_that_is_no_toml(tmp_path):
    (tmp_path / "a.toml").write_text("name = ")
    with pytest.raises(RecipeError, match=r"a\.toml is not valid TOML: ") as caught:
        load_recipe(tmp_path / "a.toml")
    assert isinstance(caught.value.__cause__, tomllib.TOMLDecodeError)


def test_file_that_is_no_text(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(RecipeError, match=r"The recipe file .*a\.toml cannot be read: "):
        load_recipe(tmp_path / "a.toml")
