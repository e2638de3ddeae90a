"""Scores of damaged photographs, foretold from those of the photographs."""

from __future__ import annotations

import pytest
import torch

from topiq_metrics.functional import topiq_full_reference
from topiq_metrics.training.damage import INVISIBLE, JUDGE, WORST, DamageJudge
from topiq_metrics.training.distortions import distort
from topiq_metrics.training.module import QualityModule
from topiq_metrics.training.run import train
from topiq_metrics.weights import read_metadata
from topiq_metrics.weights.hashes import sha256_of
from topiq_metrics.weights.load import locate


@pytest.fixture(scope="module")
def judge():
    return DamageJudge(low=0.0, span=1.0)


@pytest.fixture
def photograph(picture):
    return picture(256, 320)[None]


class TestDamageJudge:
    def test_no_damage_costs_nothing(self, judge, photograph):
        scores = torch.tensor([0.83])
        assert torch.equal(judge(photograph, photograph, scores), scores)

    def test_against_the_metric(self, judge, photograph):
        damaged = torch.cat([distort(photograph[0], "blur", severity, seed=0)[None] for severity in (0.2, 0.5, 0.9)])
        scores = torch.tensor([0.9, 0.5, 0.7])
        similarity = topiq_full_reference(damaged, photograph.expand(3, -1, -1, -1), reduction="none")
        expected = WORST + (scores - WORST) * (similarity / INVISIBLE).clamp(0, 1)
        assert judge(damaged, photograph.expand(3, -1, -1, -1), scores).tolist() == pytest.approx(
            expected.tolist(), abs=1e-5
        )
        assert similarity[0] > similarity[1] > similarity[2]

    def test_large_photographs_are_shrunk_as_for_the_metric(self, judge, picture):
        photograph = picture(500, 600)[None]
        damaged = distort(photograph[0], "jpeg", 0.7, seed=0)[None]
        similarity = topiq_full_reference(damaged, photograph).item()
        assert similarity < INVISIBLE
        found = judge(damaged, photograph, torch.tensor([1.0])).item()
        assert found == pytest.approx(WORST + (1 - WORST) * similarity / INVISIBLE, abs=1e-5)

    def test_mixed_precision_does_not_concern_it(self, judge, photograph):
        damaged, scores = distort(photograph[0], "noise", 0.6, seed=0)[None], torch.tensor([0.9])
        expected = judge(damaged, photograph, scores)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(judge(damaged, photograph, scores), expected)

    def test_a_photograph_below_the_worst_stays_there(self, judge, photograph):
        damaged = distort(photograph[0], "blur", 1.0, seed=0)[None]
        assert judge(damaged, photograph, torch.tensor([0.04])).item() == pytest.approx(0.04)

    def test_another_scale(self, judge, photograph):
        """Ratings from 1 to 10 are those from 0 to 1, stretched."""
        damaged = distort(photograph[0], "noise", 0.6, seed=0)[None]
        ratings = DamageJudge(low=1.0, span=9.0)
        expected = 1 + 9 * judge(damaged, photograph, torch.tensor([0.6])).item()
        assert ratings(damaged, photograph, torch.tensor([1 + 9 * 0.6])).item() == pytest.approx(expected, abs=1e-4)


class TestInTraining:
    @pytest.fixture
    def module(self, recipe):
        return QualityModule(recipe(loss__damage=2.0, loss__mse=0.0, loss__nin=0.0, loss__rank=0.0)).eval()

    def test_by_hand(self, module, judge, picture, batch_of):
        images = torch.stack([picture(96, 96, seed=seed) for seed in range(4)])
        batch = batch_of(images, torch.tensor([0.9, 0.6, 0.5, 0.2]))
        batch.damaged = torch.stack([distort(images[i], "blur", s, seed=0) for s in (0.2, 0.8) for i in (0, 1)])
        batch.severities = torch.tensor([0.2, 0.2, 0.8, 0.8])
        loss, terms = module.loss(batch)
        foretold = judge(batch.damaged, images[[0, 1, 0, 1]], torch.tensor([0.9, 0.6, 0.9, 0.6]))
        with torch.no_grad():
            error = (module.net(batch.damaged) - foretold).square().mean().item()
        assert list(terms) == ["damage"]
        assert loss.item() == pytest.approx(2 * error, rel=1e-3)
        assert not foretold.requires_grad
        loss.backward()
        assert max(p.grad.abs().max() for p in module.net.head.parameters()) > 0

    def test_ratings_from_1_to_10(self, recipe):
        changes = {"loss__damage": 1.0, "model__frozen": []}
        judge = QualityModule(recipe(name="topiq_iaa_res50", **changes))._judges[0]
        assert judge.worst == pytest.approx(1 + 9 * WORST)

    def test_without_damaged_images(self, module, images_and_scores):
        loss, _ = module.loss(images_and_scores)
        assert loss.item() == 0
        loss.backward()

    @pytest.fixture
    def images_and_scores(self, picture, batch_of):
        return batch_of(torch.stack([picture(64, 64, seed=seed) for seed in range(4)]), torch.rand(4))

    def test_the_judge_is_no_part_of_checkpoints(self, module):
        assert not any("judge" in key for key in module.state_dict())

    def test_the_file_names_it(self, recipe, dataset, tmp_path):
        path = train(recipe(loss__damage=1.0, optimizer__epochs=1), dataset, tmp_path / "run", progress=False)
        told = read_metadata(path)["damage_judged_by"]
        assert told["name"] == JUDGE
        assert told["sha256"] == sha256_of(locate(JUDGE, "default"))
        assert told["license"].startswith("Apache-2.0")
