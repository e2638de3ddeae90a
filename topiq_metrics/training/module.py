"""The network, its losses and its optimiser as a LightningModule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torchmetrics.functional.regression import pearson_corrcoef, spearman_corrcoef

from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.models.rewrites.carried_norms import carry_norms, return_norms
from topiq_metrics.training import losses, qfm
from topiq_metrics.training.backbones import load_pretrained_backbone
from topiq_metrics.training.crops import generator_of
from topiq_metrics.training.damage import DamageJudge
from topiq_metrics.training.data import TrainingBatch
from topiq_metrics.training.gathering import gather, gather_dealt, gather_objects, own_part, world_size
from topiq_metrics.training.recipe import Recipe, RecipeError
from topiq_metrics.training.teachers import load_teacher
from topiq_metrics.weights import load_network


class DivergedError(RuntimeError):
    """A training whose network has lost its scores; the epochs before are kept."""


class QualityModule(LightningModule):
    """Trains the network of ``recipe.name`` on scored crops; validates on whole images by SRCC and PLCC."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        settings = recipe.model
        # A recipe is of such a network.
        self.net = cast(CFANet, load_network(recipe.name, settings.weights or None)).requires_grad_(True).train()
        if settings.pretrained_backbone is not False and not settings.weights:
            load_pretrained_backbone(self.net.backbone, self.net.config.backbone, settings.pretrained_backbone)
        self.net.to(memory_format=torch.channels_last)
        for name in settings.frozen:
            self._submodule(name).requires_grad_(False)
        # How far the scores reach, to which settings are relative.
        self._span = float(max(self.net.config.bins - 1, 1))
        if recipe.loss.sensitivity:
            width = len(self.net.reduce) * self.net.config.dim
            self.queue = qfm.FeatureQueue(recipe.matching.queue, width)
        # In a list, so as not to be part of checkpoints.
        self._teachers = [load_teacher(teacher, recipe) for teacher in recipe.unlabelled.teachers]
        bins = self.net.config.bins
        self._judges = [DamageJudge(low=float(bins > 1), span=self._span)] if recipe.loss.damage else []
        self._collected: list[tuple[Tensor, Tensor]] = []

    def loss(self, batch: TrainingBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of the losses that have a weight, and each of them; over all processes' images."""
        weights = self.recipe.loss
        count, pairs = len(batch.images), len(batch.damaged) // 2
        references = batch.references
        if references is not None and pairs:
            references = torch.cat([references, references[:pairs], references[:pairs]])
        images = torch.cat([batch.images, batch.damaged])
        levels = list(self.net.levels(images, references))
        output = self.net.regress(levels).float()
        predictions = self.net.head.score(output, images, references)
        scores, mild, severe = predictions.tensor_split((count, count + pairs))
        predicted, targets = gather(scores), gather(batch.scores)
        terms = {
            name: getattr(losses, name)(predicted, targets)
            for name in ("mse", "nin", "plcc", "pairwise_rank")
            if getattr(weights, name)
        }
        if weights.rank:
            mild_severity, severe_severity = batch.severities[:pairs], batch.severities[pairs:]
            terms["rank"] = losses.rank(
                torch.cat([scores[:pairs], mild]),
                torch.cat([mild, severe]),
                weights.rank_margin * torch.cat([mild_severity, severe_severity - mild_severity]),
            )
        if weights.damage:
            terms["damage"] = self._damage(predictions[count:], batch)
        if weights.emd and batch.shares is not None:
            terms["emd"] = losses.emd(gather(output[:count].softmax(dim=1)), gather(batch.shares))
        if weights.sensitivity:
            terms["sensitivity"] = self._sensitivity(
                torch.cat([level[:count] for level in levels], dim=1), batch.scores
            )
        if weights.distillation and batch.unlabelled is not None:
            terms["distillation"] = self._distillation(batch.unlabelled)
        return torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum(), terms

    def _sensitivity(self, features: Tensor, scores: Tensor) -> Tensor:
        """How much the scores mind what the images show; matched are the pooled and reduced levels of the network.

        The images of all processes are matched alike, so that it does not matter how many share a batch.
        """
        settings = self.recipe.matching
        means = gather_dealt(qfm.mean_features(features).float())
        whole = gather_dealt(scores)
        pool = torch.cat([means, self.queue.features]), torch.cat([whole, self.queue.scores])
        found = qfm.match(
            means,
            whole,
            *pool,
            max_score_difference=settings.max_score_difference * self._span,
            min_distance_quantile=settings.min_distance_quantile,
            generator=generator_of("match", self.recipe.seed, self.global_step),
        )
        noise = qfm.semantic_noise(means, pool[0], found)
        self.queue.add(means, whole)

        def head(features: Tensor) -> Tensor:
            return self.net.head.score(self.net.regress(torch.split(features, self.net.config.dim, dim=1)).float())

        # Data-parallel training takes the mean over processes.
        count = max(int((found != qfm.UNMATCHED).sum()), 1) / world_size()
        with _without_dropout(self.net):
            return qfm.sensitivity_loss(
                head, features, own_part(noise), bound=settings.bound, steps=settings.strengths, count=count
            )

    def _distillation(self, images: Tensor) -> Tensor:
        """The error to the mean score that the teachers give two views of each image."""
        # Their scores are those that the metrics give, also where the network is trained in mixed precision.
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            views = torch.stack([teacher(view) for teacher in self._teachers for view in (images, images.flip(-1))])
            taught, deviations = views.float().mean(dim=0), views.float().std(dim=0)
            weights = qfm.confidence(deviations, self.recipe.unlabelled.confidence_scale * self._span)
        return qfm.distillation_loss(self.net(images).float(), taught, weights)

    def _damage(self, scores: Tensor, batch: TrainingBatch) -> Tensor:
        """The error to what the judge foretells for the damaged images."""
        pairs = len(batch.damaged) // 2
        if not pairs:
            return scores.sum()
        before = torch.cat([batch.images[:pairs]] * 2)
        foretold = self._judges[0](batch.damaged, before, torch.cat([batch.scores[:pairs]] * 2))
        return losses.mse(scores, foretold)

    def on_fit_start(self) -> None:
        if self.device.type == "cpu" and self.recipe.optimizer.precision == "bf16-mixed":
            carry_norms(self.net)
        self._teachers = [teacher.to(self.device) for teacher in self._teachers]
        self._judges = [judge.to(self.device) for judge in self._judges]

    def on_fit_end(self) -> None:
        return_norms(self.net)

    def training_step(self, batch: TrainingBatch, batch_index: int) -> Tensor:  # noqa: ARG002
        total, terms = self.loss(batch)
        count = len(batch.scores)
        means = {f"train/{name}": value for name, value in terms.items()}
        self.log_dict(means, on_step=False, on_epoch=True, batch_size=count, sync_dist=True)
        self.log("train/loss", total, on_step=True, on_epoch=True, prog_bar=True, batch_size=count, sync_dist=True)
        return total

    def validation_step(self, batch: Sequence[Tensor], batch_index: int) -> None:  # noqa: ARG002
        *images, scores = batch
        # Scores that are rounded have ties.
        with torch.autocast(self.device.type, enabled=False):
            self._collected.append((self.net(*images).float(), scores.float()))

    def on_validation_epoch_end(self) -> None:
        own = [[part.cpu() for part in pair] for pair in self._collected]
        self._collected.clear()
        pairs = [pair for process in gather_objects(own) for pair in process]
        predictions, scores = (torch.cat(part) for part in zip(*pairs, strict=True))
        # Ranks have no NaN: a network without scores could seem the best.
        if not predictions.isfinite().all():
            raise DivergedError(
                f"After epoch {self.current_epoch + 1} the network has scores that are not finite. A smaller 'lr' in "
                "optimizer, or a 'gradient_clip', may help, in another folder."
            )
        # A correlation needs two images.
        enough = len(scores) > 1
        values = {
            "val/srcc": spearman_corrcoef(predictions, scores) if enough else torch.tensor(0.0),
            "val/plcc": pearson_corrcoef(predictions, scores) if enough else torch.tensor(0.0),
        }
        self.log_dict(values, prog_bar=True)

    def configure_optimizers(self) -> Any:
        settings = self.recipe.optimizer
        backbone = [p for p in self.net.backbone.parameters() if p.requires_grad]
        known = {id(p) for p in self.net.backbone.parameters()}
        rest = [p for p in self.net.parameters() if p.requires_grad and id(p) not in known]
        optimizer = torch.optim.AdamW(
            [{"params": backbone, "lr": settings.backbone_lr}, {"params": rest, "lr": settings.lr}],
            weight_decay=settings.weight_decay,
        )
        total = max(int(self.trainer.estimated_stepping_batches), 1)
        warmup = min(settings.warmup_steps, total // 2)

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            # Of whole images, an epoch may have more batches than the first, which `total` is estimated from.
            share = min((step - warmup) / (total - warmup), 1.0)
            return 0.5 * (1 + math.cos(math.pi * share))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _submodule(self, name: str) -> nn.Module:
        try:
            return self.net.backbone.get_submodule(name)
        except AttributeError:
            raise RecipeError(f"'frozen' names {name!r}, which the backbone does not have.") from None


@contextmanager
def _without_dropout(net: CFANet) -> Iterator[None]:
    """Dropout would look like sensitivity."""
    training = net.training
    net.eval()
    try:
        yield
    finally:
        net.train(training)
