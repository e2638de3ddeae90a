"""What rows say of the colours of an image and its reference."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from topiq_metrics import explain, rank_images
from topiq_metrics.scoring import Item, ScoreJob, score_items

P3, SRGB, PQ = (12, 13), (1, 13), (9, 16)
DIFFER = (
    "profiles-differ: the image has no colour profile, its reference the colour profile 'Display P3 (cICP)', and each "
    "was converted to sRGB by its own"
)


@pytest.fixture
def save(tmp_path):
    """Saves one picture with code points of colours, or without."""
    values = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)

    def make(name, points=None):
        info = PngImagePlugin.PngInfo()
        if points is not None:
            info.add(b"cICP", bytes([*points, 0, 1]))
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(values).save(path, pnginfo=info)
        return path

    return make


@pytest.fixture
def pair(save):
    return Item(save("image.png"), save("reference.png", P3))


class TestRows:
    @pytest.mark.parametrize("workers", [0, 1])
    def test_a_reference_of_another_profile(self, workers, pair, fake):
        (row,) = score_items([pair], [fake("topiq_fr")], workers=workers)
        assert (row.status, row.error, row.note) == ("ok", "", DIFFER)
        assert row.scores["topiq_fr"] > 0.01
        assert row.as_dict()["note"] == DIFFER
        (row,) = score_items([pair], [fake("topiq_fr")], workers=workers, profiles="ignore")
        assert (row.status, row.note, row.scores["topiq_fr"]) == ("ok", "", 0)

    @pytest.mark.parametrize(("first", "second"), [(None, None), (None, SRGB), (SRGB, None), (P3, P3)])
    def test_the_same_colors(self, first, second, save, fake):
        item = Item(save("image.png", first), save("reference.png", second))
        (row,) = score_items([item], [fake("topiq_fr")])
        assert (row.note, row.scores["topiq_fr"]) == ("", 0)

    def test_the_other_way_round(self, save, fake):
        item = Item(save("image.png", P3), save("reference.png"))
        (row,) = score_items([item], [fake("topiq_fr"), fake("topiq_nr")])
        assert "the image has the colour profile 'Display P3 (cICP)', its reference no colour profile" in row.note

    def test_bytes(self, pair, fake):
        item = Item("a", data=pair.path.read_bytes(), reference=pair.reference.read_bytes())
        (row,) = score_items([item], [fake("topiq_fr")])
        assert row.note == DIFFER

    def test_no_reference_no_note(self, save, fake):
        (row,) = score_items([Item(save("image.png", P3))], [fake()])
        assert (row.status, row.note) == ("ok", "")

    def test_no_score_no_note(self, pair, fake):
        (row,) = score_items([pair], [fake("topiq_fr", "square=32", lambda *_: np.nan * _[0].mean((1, 2, 3)))])
        assert (row.status, row.note) == ("error", "")

    @pytest.mark.parametrize("workers", [0, 1])
    def test_hdr(self, workers, save, fake):
        item = Item(save("image.png", PQ))
        (row,) = score_items([item], [fake()], workers=workers)
        assert row.status == "error"
        assert row.error.startswith(f"hdr: {item.path}: is HDR: BT.2020 PQ (cICP). ")
        (row,) = score_items([item], [fake()], workers=workers, profiles="ignore")
        assert row.status == "ok"
        assert row.note == "hdr: the image is BT.2020 PQ (cICP), and its values were read as if they were sRGB"

    def test_a_reference_that_is_hdr(self, save, fake):
        (row,) = score_items([Item(save("image.png"), save("reference.png", PQ))], [fake("topiq_fr")])
        assert row.error.startswith("reference-hdr: ")

    def test_other_words(self, pair, fake):
        with pytest.raises(ValueError, match="Argument `profiles` must be 'apply' or 'ignore', but got 'none'"):
            score_items([pair], [fake("topiq_fr")], profiles="none")


def test_a_job_counts_notes_and_knows_its_profiles(save, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        save(f"images/{name}")
        save(f"references/{name}", P3)
    save("images/c.png")
    save("references/c.png")
    options = {"references": "references", "workers": 0, "output": "out.jsonl"}
    job = ScoreJob("images", "topiq_fr-lite", **options)
    assert [bool(row.note) for row in job.rows()] == [True, True, False]
    assert job.progress.as_dict()["notes"] == {"profiles-differ": 2}
    assert job.progress.first_notes == {"profiles-differ": DIFFER}
    assert [json.loads(line)["note"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == [DIFFER] * 2 + [
        ""
    ]
    assert json.loads((tmp_path / "out.jsonl.provenance.json").read_text())["profiles"] == "apply"
    again = ScoreJob("images", "topiq_fr-lite", resume=True, **options)
    assert list(again.rows()) == []
    assert again.progress.notes == {"profiles-differ": 2}
    other = ScoreJob("images", "topiq_fr-lite", resume=True, profiles="ignore", **options)
    with pytest.raises(ValueError, match="Colour profiles: apply there, ignore here"):
        list(other.rows())


def test_rank_images_and_explain_say_it(save):
    reference = save("reference.png", P3)
    same, bare = save("same.png", P3), save("bare.png")
    ranked = {image.path: image.note for image in rank_images([same, bare], reference)}
    assert ranked == {str(same): "", str(bare): DIFFER}
    assert {image.note for image in rank_images([same, bare], reference, profiles="ignore")} == {""}
    assert {image.note for image in rank_images([same, bare])} == {""}
    assert explain(bare, reference).note == DIFFER
    assert explain(same, reference).note == ""
    assert explain(Image.open(io.BytesIO(bare.read_bytes())), reference, profiles="ignore").note == ""
