from __future__ import annotations

import pytest

from topiq_metrics.catalog import CARDS
from topiq_metrics.datasets import DATASETS
from topiq_metrics.training.recipe import Recipe, RecipeError, load_recipe, tomllib

SHIPPED = "topiq_nr-lite"


def write(path, values):
    """TOML of a recipe; only what the tests need of it."""

    def literal(value):
        return str(value).lower() if isinstance(value, bool) else repr(value)

    lines = [f"{key} = {literal(value)}" for key, value in values.items() if not isinstance(value, dict)]
    for section, content in values.items():
        if isinstance(content, dict):
            lines += [f"[{section}]", *(f"{key} = {literal(value)}" for key, value in content.items())]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_shipped_recipe():
    recipe = load_recipe(SHIPPED)
    assert recipe.name in CARDS
    assert recipe.data.dataset in DATASETS
    assert recipe.model.frozen == ("stem", "stages.0", "stages.1")
    assert recipe.data.crop == 288


def test_file(tmp_path, recipe_values):
    values = recipe_values()
    assert load_recipe(write(tmp_path / "a.toml", values)) == Recipe.from_dict(values)


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
        ({"model__pretrained_backbone": 1}, "'pretrained_backbone' in model must be bool, but got 1"),
        ({"model__frozen": "stem"}, r"'frozen' in model must be tuple\[str, ...\], but got 'stem'"),
        ({"model__frozen": [1]}, r"'frozen' in model must be tuple\[str, ...\], but got \[1\]"),
        ({"data__crop": 31}, "'crop' in data must be from 32 to inf, but got 31"),
        ({"data__batch_size": 0}, "'batch_size' in data must be from 1 to inf, but got 0"),
        ({"data__test_share": 1.5}, "'test_share' in data must be from 0 to 1, but got 1.5"),
        ({"data__rescale_smallest": 0.0}, "'rescale_smallest' in data must be from 0.1 to 1, but got 0.0"),
        ({"optimizer__epochs": 0}, "'epochs' in optimizer must be from 1 to inf, but got 0"),
        ({"optimizer__lr": float("nan")}, "'lr' in optimizer must be from 0 to inf, but got nan"),
        ({"optimizer__lr": float("inf")}, "'lr' in optimizer must be from 0 to inf, but got inf"),
        ({"seed": -1}, "'seed' in the recipe must be from 0 to "),
        ({"name": "topiq_nr-light"}, r"'name' in the recipe: There is no metric named 'topiq_nr-light'\. Did you mean"),
        ({"name": "topiq_fr"}, "'name' in the recipe: topiq_fr is not a no-reference metric that predicts a single"),
        ({"name": "topiq_iaa_res50"}, "topiq_iaa_res50 is not a no-reference metric that predicts a single score"),
        ({"name": "lpips+"}, "'name' in the recipe: lpips. is not a no-reference metric"),
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
        RecipeError, match=r"There is no recipe 'other': give a \.toml file or one of \['topiq_nr-lite'"
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
