"""Quality-aware feature matching on features of which the answer is known."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.autograd import gradcheck

from topiq_metrics.models.feature_selection import FeatureSelection
from topiq_metrics.training import qfm

# The first channel is quality, the others say what an image shows.
CONTENTS = torch.eye(4)


def features_of(quality, contents):
    return torch.cat([torch.tensor(quality)[:, None], 5 * CONTENTS[contents]], dim=1)


class TestMatching:
    scores = torch.tensor([0.50, 0.52, 0.51, 0.90, 0.10])
    features = features_of([0.50, 0.52, 0.51, 0.90, 0.10], [0, 0, 1, 1, 2])

    def match(self, **options):
        settings = {"max_score_difference": 0.05, "min_distance_quantile": 0.5, **options}
        return qfm.match(self.features, self.scores, self.features, self.scores, **settings).tolist()

    def test_as_good_but_something_else(self):
        # Of equal quality are 0, 1 and 2; 0 and 1 show the same.
        assert self.match()[0] == self.match()[1] == 2
        assert self.match()[2] in (0, 1)
        assert self.match()[3:] == [qfm.UNMATCHED] * 2

    def test_any_content_does_without_a_quantile(self):
        found = {self.match(min_distance_quantile=0.0)[0] for _ in range(40)}
        assert found == {1, 2}

    def test_any_score_does_with_a_wide_difference(self):
        assert qfm.UNMATCHED not in self.match(max_score_difference=1.0)

    def test_draws_are_those_of_the_generator(self):
        generator = torch.Generator().manual_seed(3)
        first = self.match(min_distance_quantile=0.0, generator=generator)
        assert first == self.match(min_distance_quantile=0.0, generator=torch.Generator().manual_seed(3))

    def test_near_features_are_told_apart_in_mixed_precision(self):
        generator = torch.Generator().manual_seed(0)
        features = 1 + 0.1 * torch.rand(16, 64, generator=generator)
        scores = torch.full((16,), 0.5)
        with torch.autocast("cpu", torch.bfloat16):
            found = qfm.match(features, scores, features, scores, max_score_difference=0, min_distance_quantile=0.5)
        assert (found != qfm.UNMATCHED).sum() > 12

    def test_an_image_alone_has_no_match(self):
        assert qfm.match(
            self.features[:1], self.scores[:1], self.features[:1], self.scores[:1],
            max_score_difference=1, min_distance_quantile=0,
        ).tolist() == [qfm.UNMATCHED]  # fmt: skip

    def test_maps_are_matched_by_their_means(self):
        maps = self.features[:, :, None, None] + torch.tensor([-1.0, 0.0, 1.0])
        assert torch.allclose(qfm.mean_features(maps.requires_grad_()), self.features, atol=1e-6)
        assert not qfm.mean_features(maps).requires_grad

    def test_a_quantile_beyond_its_range(self):
        with pytest.raises(ValueError, match="from 0 to below 1, but got 1"):
            self.match(min_distance_quantile=1.0)


class TestNoise:
    def test_is_the_way_to_the_match(self):
        features = torch.rand(3, 4)
        pool = torch.rand(5, 4)
        noise = qfm.semantic_noise(features.requires_grad_(), pool, torch.tensor([4, qfm.UNMATCHED, 0]))
        assert torch.allclose(features[[0, 2]] + noise[[0, 2]], pool[[4, 0]])
        assert not noise[1].any()
        assert not noise.requires_grad

    def test_moves_all_places_alike(self):
        features, noise = torch.rand(2, 3, 4, 5), torch.rand(2, 3)
        moved = qfm.add_noise(features, noise, torch.tensor([0.5, 2.0])) - features
        for i, strength in enumerate((0.5, 2.0)):
            assert torch.allclose(moved[i], (strength * noise[i])[:, None, None].expand(3, 4, 5), atol=1e-6)

    def test_the_worst_strength_is_found(self):
        # The change is largest in the middle for the first image, and at the end for the second.
        def head(features):
            return torch.where(features[:, 1] > 0, features[:, 0], torch.sin(features[:, 0] * torch.pi))

        features, noise = torch.tensor([[0.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
        assert qfm.worst_strength(head, features, noise, bound=1, steps=4).tolist() == [0.5, 1.0]
        changes = qfm.sensitivity(head, features, noise, torch.tensor([0.5, 1.0]))
        assert changes.tolist() == pytest.approx([1, 1])
        loss = qfm.sensitivity_loss(head, features, noise, bound=1)
        assert loss.item() == pytest.approx(1)

    @pytest.mark.parametrize("wrong", [{"bound": 0}, {"bound": 1, "steps": 0}])
    def test_no_strength_to_try(self, wrong):
        with pytest.raises(ValueError, match="at least one of `steps`"):
            qfm.worst_strength(torch.sum, torch.rand(1, 2), torch.rand(1, 2), **wrong)

    def test_images_without_a_match_do_not_count(self):
        features = torch.rand(2, 3)
        noise = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
        alone = qfm.sensitivity_loss(lambda f: f[:, 0], features[1:], noise[1:], bound=1)
        assert qfm.sensitivity_loss(lambda f: f[:, 0], features, noise, bound=1) == alone

    def test_no_match_at_all_is_zero_and_differentiable(self):
        features = torch.rand(2, 3, requires_grad=True)
        loss = qfm.sensitivity_loss(lambda f: f[:, 0], features, torch.zeros(2, 3), bound=1)
        loss.backward()
        assert loss.item() == 0
        assert features.grad.isfinite().all()

    def test_gradients(self):
        head = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.GELU(), torch.nn.Linear(4, 1)).double()
        noise = torch.rand(2, 3, dtype=torch.float64)
        strengths = torch.tensor([0.5, 1.0], dtype=torch.float64)
        features = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
        assert gradcheck(lambda f: qfm.sensitivity(lambda x: head(x)[:, 0], f, noise, strengths), (features,))


class TestQueue:
    def test_the_oldest_make_room(self):
        queue = qfm.FeatureQueue(5, 2)
        assert len(queue) == 0
        for batch in range(3):
            scores = torch.tensor([2.0 * batch, 2.0 * batch + 1])
            queue.add(scores[:, None].expand(-1, 2).requires_grad_(), scores)
        assert len(queue) == 5
        assert sorted(queue.scores.tolist()) == [1, 2, 3, 4, 5]
        assert torch.equal(queue.features[:, 0], queue.scores)
        assert not queue.features.requires_grad

    def test_a_batch_longer_than_the_queue(self):
        queue = qfm.FeatureQueue(3, 1)
        queue.add(torch.arange(7.0)[:, None], torch.arange(7.0))
        assert sorted(queue.scores.tolist()) == [4, 5, 6]

    def test_it_is_part_of_a_checkpoint(self):
        queue = qfm.FeatureQueue(3, 1)
        queue.add(torch.arange(2.0)[:, None], torch.arange(2.0))
        other = qfm.FeatureQueue(3, 1)
        other.load_state_dict(queue.state_dict())
        assert len(other) == 2
        assert torch.equal(other.features, queue.features)

    def test_a_queue_of_nothing(self):
        with pytest.raises(ValueError, match="at least 1, but got 0"):
            qfm.FeatureQueue(0, 1)


class TestDistillation:
    def test_a_sure_teacher_counts_more(self):
        weights = qfm.confidence(torch.tensor([0.0, 0.1, 1.0]), scale=0.1)
        assert weights.tolist() == pytest.approx([1, torch.e**-1, 0], abs=1e-6)
        loss = qfm.distillation_loss(torch.tensor([1.0, 1.0, 5.0]), torch.tensor([1.0, 0.0, 0.0]), weights)
        assert loss.item() == pytest.approx(weights[1].item() / 3, rel=1e-4)

    def test_doubt_is_not_relative_to_the_batch(self):
        doubtful = qfm.distillation_loss(torch.ones(2), torch.zeros(2), torch.full((2,), 1e-6))
        assert doubtful.item() == pytest.approx(1e-6)

    def test_a_teacher_without_confidence_says_nothing(self):
        assert qfm.distillation_loss(torch.ones(2), torch.zeros(2), torch.zeros(2)).item() == 0

    def test_a_scale_of_nothing(self):
        with pytest.raises(ValueError, match="above 0"):
            qfm.confidence(torch.ones(1), 0)


class TestSelection:
    @pytest.mark.parametrize("shape", [(2, 16), (2, 16, 3, 5)])
    def test_a_new_gate_is_nearly_open(self, shape):
        features = torch.rand(shape)
        out = FeatureSelection(16)(features)
        assert out.shape == features.shape
        assert torch.allclose(out, features, rtol=0.02)

    def test_the_gate_depends_on_the_image_alone(self):
        selection = FeatureSelection(16)
        torch.nn.init.normal_(selection.excite.weight)
        features = torch.rand(3, 16, 4, 4)
        gates = selection.gate(features)
        assert torch.allclose(selection.gate(features[1:2]), gates[1:2])
        assert not torch.allclose(gates[0], gates[1])
        assert ((gates > 0) & (gates < 1)).all()

    def test_training_against_noise_closes_what_only_shows_content(self):
        """Content predicts the score of the labelled images by chance; matching tells that it is not quality."""
        torch.manual_seed(0)
        contents = torch.randint(4, (400,))
        quality = 0.6 * torch.rand(400) + 0.1 * contents
        features = features_of(quality.tolist(), contents) + 0.2 * torch.randn(400, 5)
        held_out = torch.randint(4, (400,))
        other = 0.6 * torch.rand(400) + 0.1 * (3 - held_out)
        elsewhere = features_of(other.tolist(), held_out) + 0.2 * torch.randn(400, 5)

        start = torch.nn.Sequential(FeatureSelection(5), torch.nn.Linear(5, 1))
        changes, agreements = [], []
        for weight in (0.0, 1.0):
            net = copy.deepcopy(start)
            optimizer = torch.optim.Adam(net.parameters(), lr=0.02)

            def head(rows, net=net):
                return net(rows)[:, 0]

            for step in range(300):
                generator = torch.Generator().manual_seed(step)
                found = qfm.match(
                    features, quality, features, quality,
                    max_score_difference=0.03, min_distance_quantile=0.5, generator=generator,
                )  # fmt: skip
                noise = qfm.semantic_noise(features, features, found)
                loss = (head(features) - quality).square().mean()
                loss = loss + weight * qfm.sensitivity_loss(head, features, noise, bound=1.0)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            found = qfm.match(elsewhere, other, elsewhere, other, max_score_difference=0.03, min_distance_quantile=0.5)
            noise = qfm.semantic_noise(elsewhere, elsewhere, found)
            strengths = torch.ones(400)
            with torch.no_grad():
                changes.append(qfm.sensitivity(head, elsewhere, noise, strengths).mean().item())
                agreements.append(torch.corrcoef(torch.stack([head(elsewhere), other]))[0, 1].item())
        assert changes[1] < 0.6 * changes[0]
        assert agreements[1] > agreements[0] + 0.02
