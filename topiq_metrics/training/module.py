"""The network, its losses and its optimiser as a LightningModule."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torchmetrics.functional.regression import pearson_corrcoef, spearman_corrcoef

from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.training import losses
from topiq_metrics.training.backbones import load_pretrained_backbone
from topiq_metrics.training.data import TrainingBatch
from topiq_metrics.training.gathering import gather
from topiq_metrics.training.recipe import Recipe, RecipeError
from topiq_metrics.weights import load_network


class QualityModule(LightningModule):
    """Trains the network of ``recipe.name`` on scored crops; validates on whole images by SRCC and PLCC."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        # A recipe is of such a network.
        self.net = cast(CFANet, load_network(recipe.name, None)).requires_grad_(True).train()
        if recipe.model.pretrained_backbone:
            load_pretrained_backbone(self.net.backbone, self.net.config.backbone)
        self.net.to(memory_format=torch.channels_last)
        for name in recipe.model.frozen:
            self._submodule(name).requires_grad_(False)
        self._collected: list[tuple[Tensor, Tensor]] = []

    def training_step(self, batch: TrainingBatch, batch_index: int) -> Tensor:  # noqa: ARG002
        weights = self.recipe.loss
        count = len(batch.scores)
        predictions = self.net(torch.cat([batch.images, batch.damaged]))
        scores, damaged = predictions[:count], predictions[count:]
        mild, severe = damaged.chunk(2) if len(damaged) else (damaged, damaged)
        mild_severity, severe_severity = batch.severities.chunk(2) if len(damaged) else (damaged, damaged)
        predicted, targets = gather(scores), gather(batch.scores)
        terms = {
            "mse": losses.mse(predicted, targets),
            "nin": losses.nin(predicted, targets),
            "rank": losses.rank(
                torch.cat([scores[: len(mild)], mild]),
                torch.cat([mild, severe]),
                weights.rank_margin * torch.cat([mild_severity, severe_severity - mild_severity]),
            ),
        }
        total = weights.mse * terms["mse"] + weights.nin * terms["nin"] + weights.rank * terms["rank"]
        means = {f"train/{name}": value for name, value in terms.items()}
        self.log_dict(means, on_step=False, on_epoch=True, batch_size=count)
        self.log("train/loss", total, on_step=True, on_epoch=True, prog_bar=True, batch_size=count)
        return total

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:  # noqa: ARG002
        images, scores = batch
        self._collected.append((self.net(images).float(), scores.float()))

    def on_validation_epoch_end(self) -> None:
        predictions, scores = (torch.cat(part) for part in zip(*self._collected, strict=True))
        self._collected.clear()
        # A correlation needs two images; the sanity check may see fewer.
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
            return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _submodule(self, name: str) -> nn.Module:
        try:
            return self.net.backbone.get_submodule(name)
        except AttributeError:
            raise RecipeError(f"'frozen' names {name!r}, which the backbone does not have.") from None
