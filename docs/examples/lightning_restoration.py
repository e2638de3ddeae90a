"""Train a small denoiser with Lightning, and log TOPIQ beside PSNR after each epoch.

    python lightning_restoration.py --devices 2 --precision bf16-mixed

Needs ``pip install 'topiq-metrics[train]'``; both metrics are bundled.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MetricCollection
from torchmetrics.image import PeakSignalNoiseRatio

from topiq_metrics import TOPIQFullReference, TOPIQNoReference, load_image

PHOTOGRAPHS = Path(__file__).parents[1] / "photographs"


class Denoiser(pl.LightningModule):
    """Predicts the noise of an image, which is then subtracted."""

    def __init__(self) -> None:
        super().__init__()
        self.noise = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1))
        nn.init.zeros_(self.noise[-1].weight)
        nn.init.zeros_(self.noise[-1].bias)
        self.scores = MetricCollection(
            {
                "psnr": PeakSignalNoiseRatio(data_range=1.0),
                "topiq_nr": TOPIQNoReference(),
                "topiq_fr": TOPIQFullReference(),
            },
            prefix="val/",
        )

    def forward(self, noisy: Tensor) -> Tensor:
        return (noisy - self.noise(noisy).float()).clamp(0, 1)

    def training_step(self, batch: list[Tensor], batch_index: int) -> Tensor:
        noisy, clean = batch
        return F.mse_loss(self(noisy), clean)

    def validation_step(self, batch: list[Tensor], batch_index: int) -> None:
        noisy, clean = batch
        self.scores.update(self(noisy), clean)
        self.log_dict(self.scores)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class NoisyCrops(pl.LightningDataModule):
    """Crops of the photographs, and the same with noise."""

    def setup(self, stage: str) -> None:
        generator = torch.Generator().manual_seed(0)
        photographs = [load_image(path) for path in sorted(PHOTOGRAPHS.glob("*/0-original.jpg"))]
        crops = [image[:, top : top + 96, top : top + 96] for image in photographs for top in (0, 100)]
        clean = torch.stack([crop for crop in crops if crop.shape == (3, 96, 96)])
        noisy = (clean + 0.1 * torch.randn(clean.shape, generator=generator)).clamp(0, 1)
        self.training, self.validation = TensorDataset(noisy[5:], clean[5:]), TensorDataset(noisy[:5], clean[:5])

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.training, batch_size=1, sampler=self.mine(len(self.training) // 2 * 2))

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.validation, batch_size=2, sampler=self.mine(len(self.validation)))

    def mine(self, count: int) -> range:
        """Every image on one process, none on two: a distributed sampler repeats some, which changes the mean."""
        return range(self.trainer.global_rank, count, self.trainer.world_size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--precision", default="32-true", help="such as bf16-mixed")
    parser.add_argument("--epochs", type=int, default=1, help="0 only validates")
    parser.add_argument("--output", type=Path, default=Path("denoiser"), help="folder for the checkpoint and scores")
    parser.add_argument("--resume", help="a checkpoint to resume from")
    arguments = parser.parse_args()

    warnings.filterwarnings("ignore", message=".*does not have many workers")
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=arguments.devices,
        precision=arguments.precision,
        max_epochs=arguments.epochs,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=arguments.output,
    )
    model, data = Denoiser(), NoisyCrops()
    if arguments.epochs:
        trainer.fit(model, datamodule=data, ckpt_path=arguments.resume)
    else:
        trainer.validate(model, datamodule=data, verbose=False)
    trainer.save_checkpoint(arguments.output / "denoiser.ckpt")
    if trainer.is_global_zero:
        scores = {name: value.item() for name, value in trainer.callback_metrics.items()}
        (arguments.output / "scores.json").write_text(json.dumps(scores))
        print(scores)


if __name__ == "__main__":
    main()
