"""Jobs that decode to fewer pixels where these are enough for every size rule."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from topiq_metrics import score_images
from topiq_metrics.scoring import Item, ScoreJob, score_items

FINE = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)


@pytest.fixture
def save(tmp_path):
    """Saves a picture of noise, of which a codec that averages makes something else than one that does not."""

    def make(name, values=FINE, **options):
        Image.fromarray(values).save(tmp_path / name, **options)
        return tmp_path / name

    return make


def spread(images, references):
    """Tells how much of the noise has been averaged away; of a pair, how much differs."""
    return images.std(dim=(1, 2, 3)) if references is None else (images - references).abs().mean(dim=(1, 2, 3))


def scored(item, *predictors, workers=0, **options):
    (row,) = score_items([item], predictors, workers=workers, **options)
    assert row.status == "ok", row.error
    assert (row.width, row.height) == (800, 600)
    return [row.scores[predictor.card.name] for predictor in predictors]


@pytest.mark.parametrize("workers", [0, 1])
def test_fewer_pixels_where_they_will_do(workers, save, fake):
    item = Item(save("a.jpg", quality=95))
    (exact,) = scored(item, fake(size="max_side=100", function=spread), workers=workers)
    predictor = fake(size="max_side=100", function=spread)
    (fast,) = scored(item, predictor, workers=workers, decode="fast")
    assert predictor.batches == [(1, 3, 75, 100)]
    assert fast == pytest.approx(exact, abs=0.02)
    assert fast != exact


@pytest.mark.parametrize("size", ["native", "max_side=1000", "short_side=700", "max_side=401"])
def test_all_pixels_where_they_are_needed(size, save, fake):
    item = Item(save("a.jpg"))
    exact = scored(item, fake(size=size, function=spread))
    assert scored(item, fake(size=size, function=spread), decode="fast") == exact


def test_all_metrics_of_a_job_are_served(save, fake):
    item = Item(save("a.jpg"))
    small, large = fake(size="max_side=100", function=spread), fake("topiq_nr", size="native", function=spread)
    exact = scored(item, small, large)
    assert scored(item, small, large, decode="fast") == exact


def test_image_and_reference_alike(save, fake):
    item = Item(save("a.jpg", quality=95), save("b.jpg", quality=95))
    assert scored(item, fake("topiq_fr", size="max_side=100"), decode="fast") == [0]


@pytest.mark.parametrize("names", [("a.jpg", "b.png"), ("a.png", "b.jpg"), ("a.jpg", "b.jp2")])
def test_other_codecs_are_compared_as_a_whole(names, save, fake):
    first, second = names
    item = Item(save(first), save(second))
    exact = scored(item, fake("topiq_fr", size="max_side=100"))
    assert scored(item, fake("topiq_fr", size="max_side=100"), decode="fast") == exact


def test_a_reference_of_another_size(save, fake):
    item = Item(save("a.jpg"), save("b.jpg", FINE[:590]))
    (row,) = score_items([item], [fake("topiq_fr", size="max_side=100")], decode="fast")
    assert row.error.startswith("size-mismatch: the image has 800x600")


def test_a_job_says_how_it_decodes(save, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save("a.jpg")
    list(score_images("a.jpg", workers=0, decode="fast", output="out.csv"))
    assert json.loads((tmp_path / "out.csv.provenance.json").read_text())["decode"] == "fast"
    with pytest.raises(ValueError, match="Decoding: fast there, exact here"):
        list(ScoreJob("a.jpg", workers=0, output="out.csv", resume=True).rows())


def test_an_unknown_way(save):
    with pytest.raises(ValueError, match="Argument `decode` must be 'exact' or 'fast', but got 'quick'"):
        score_images(save("a.jpg"), decode="quick")
