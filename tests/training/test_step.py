"""A step of training by itself: its loss and gradients, and that every loss can be learned."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import replace

import pytest
import torch
from torchmetrics.functional.regression import spearman_corrcoef

from topiq_metrics.models.cfanet import CFANet, CFANetConfig
from topiq_metrics.training.backbones import load_pretrained_backbone
from topiq_metrics.training.data import TrainingBatch
from topiq_metrics.training.distortions import distort
from topiq_metrics.training.module import QualityModule

NO_LOSS = {f"loss__{name}": 0.0 for name in ("mse", "nin", "plcc", "pairwise_rank", "rank", "emd")}


@pytest.fixture
def module(recipe):
    """A function that gives a module with a small network on ImageNet features."""

    def make(mode="NR", bins=1, **weights) -> QualityModule:
        loss = {**NO_LOSS, **{f"loss__{name}": value for name, value in weights.items()}}
        name = {("NR", 1): "topiq_nr-lite", ("FR", 1): "topiq_fr", ("NR", 10): "topiq_iaa_res50"}[mode, bins]
        settings = recipe(name="topiq_nr-lite", model__frozen=[])
        module = QualityModule(settings)
        module.recipe = replace(recipe(name=name, **loss))
        torch.manual_seed(0)
        config = CFANetConfig("efficientnet_lite0", mode, dim=32, heads=2, bins=bins, gate_width=4)
        module.net = CFANet(config)
        load_pretrained_backbone(module.net.backbone, "efficientnet_lite0")
        return module

    return make


@pytest.fixture
def images(picture):
    return torch.stack([picture(64, 64, seed=seed) for seed in range(16)])


def shares_around(scores):
    """Ratings 1…10 around each score in [0, 1]."""
    weights = torch.exp(-0.5 * (torch.arange(10) - 9 * scores[:, None]).square())
    return weights / weights.sum(dim=1, keepdim=True)


class TestOverfit:
    @pytest.mark.parametrize("name", ["mse", "nin", "plcc", "pairwise_rank", "emd", "rank"])
    def test_sixteen_images(self, name, module, images, batch_of):
        started = time.monotonic()
        learner = module(
            bins=10 if name == "emd" else 1, **{name: 1.0}, **({"rank_margin": 1.0} if name == "rank" else {})
        )
        order = torch.randperm(16, generator=torch.Generator().manual_seed(1)).float() / 15
        batch = batch_of(images, order, shares=shares_around(order) if name == "emd" else None)
        if name == "rank":
            # One picture, eight times under some blur and under more.
            severities = torch.linspace(0.1, 1, 16).view(8, 2).T.flatten()
            blurred = [distort(images[0], "blur", severity, seed=0) for severity in severities.tolist()]
            batch = TrainingBatch(images[:1].repeat(8, 1, 1, 1), order[:8], torch.stack(blurred), severities)
            images, order = batch.damaged, -severities
        learner.net.backbone.requires_grad_(False)
        trained = [p for p in learner.net.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=3e-3)
        srcc = 0.0
        for step in range(1, 101):
            loss, terms = learner.loss(batch)
            assert list(terms) == [name]
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            if step % 10 == 0:
                learner.net.eval()
                with torch.inference_mode():
                    srcc = spearman_corrcoef(learner.net(images), order).item()
                learner.net.train()
                if srcc > 0.99:
                    break
        assert srcc > 0.99
        assert time.monotonic() - started < 60


class TestAgainstAnIndependentStep:
    """The same step in plain torch, with the losses from their papers' formulas."""

    @staticmethod
    def nin(predictions, targets):
        def normalised(x):
            return (x - x.mean()) / torch.linalg.vector_norm(x - x.mean())

        return torch.linalg.vector_norm(normalised(predictions) - normalised(targets), 1) / (
            2 * math.sqrt(len(targets))
        )

    @staticmethod
    def pairs(predictions, targets):
        terms = [
            max(torch.tensor(0.0), abs(t - u) - torch.sign(t - u) * (p - q))
            for p, t in zip(predictions, targets, strict=True)
            for q, u in zip(predictions, targets, strict=True)
        ]
        return sum(terms) / len(terms)

    @staticmethod
    def plcc(predictions, targets):
        return (1 - torch.corrcoef(torch.stack([predictions, targets]))[0, 1]) / 2

    @staticmethod
    def emd(predicted, wanted):
        distances = []
        for p, q in zip(predicted, wanted, strict=True):
            distances.append(torch.sqrt(sum((p[: k + 1].sum() - q[: k + 1].sum()) ** 2 for k in range(10)) / 10))
        return sum(distances) / len(distances)

    def compare(self, learner, batch, expected_loss):
        other = copy.deepcopy(learner.net)
        torch.manual_seed(3)
        loss, _ = learner.loss(batch)
        loss.backward()
        torch.manual_seed(3)
        expected = expected_loss(other)
        expected.backward()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
        for (name, own), theirs in zip(learner.net.named_parameters(), other.parameters(), strict=True):
            assert own.grad is not None, name
            assert own.grad.norm().item() == pytest.approx(theirs.grad.norm().item(), rel=1e-3, abs=1e-6), name
        norms = [
            torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in net.parameters()])).item()
            for net in (learner.net, other)
        ]
        assert norms[0] == pytest.approx(norms[1], rel=1e-5)
        assert norms[0] > 1e-3

    def test_scores(self, module, images, batch_of):
        images, scores = images[:6], torch.tensor([0.1, 0.9, 0.4, 0.3, 0.8, 0.6])
        learner = module(mse=1.0, nin=2.0, plcc=3.0, pairwise_rank=4.0)

        def expected(net):
            out = net(images)
            return (
                ((out - scores) ** 2).sum() / 6
                + 2 * self.nin(out, scores)
                + 3 * self.plcc(out, scores)
                + 4 * self.pairs(out, scores)
            )

        self.compare(learner, batch_of(images, scores), expected)

    def test_against_references(self, module, images, batch_of):
        images, references, scores = images[:4], images[4:8], torch.tensor([0.1, 0.9, 0.4, 0.3])
        learner = module("FR", mse=1.0, nin=1.0)

        def expected(net):
            out = net(images, references)
            return ((out - scores) ** 2).mean() + self.nin(out, scores)

        self.compare(learner, batch_of(images, scores, references=references), expected)

    def test_ratings(self, module, images, batch_of):
        images, scores = images[:4], torch.tensor([0.1, 0.9, 0.4, 0.3])
        shares = shares_around(scores)
        learner = module(bins=10, emd=1.0)
        self.compare(
            learner,
            batch_of(images, scores, shares=shares),
            lambda net: self.emd(net.distribution(images), shares),
        )

    def test_damaged_images_have_their_references(self, module, images):
        learner = module("FR", rank=1.0, rank_margin=1.0)
        batch = TrainingBatch(
            images[:3], torch.rand(3), images[3:7], torch.tensor([0.1, 0.2, 0.8, 0.9]), references=images[7:10]
        )

        learner.net.eval()
        loss, _ = learner.loss(batch)
        with torch.no_grad():
            clean = learner.net(images[:2], images[7:9])
            mild = learner.net(images[3:5], images[7:9])
            severe = learner.net(images[5:7], images[7:9])
        hinges = torch.cat([batch.severities[:2] - (clean - mild), torch.full((2,), 0.7) - (mild - severe)])
        assert loss.item() == pytest.approx(hinges.clamp(min=0).mean().item(), rel=1e-4)
