from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from topiq_metrics.images import load_image
from topiq_metrics.training.data import TrainingBatch
from topiq_metrics.training.distortions import distort
from topiq_metrics.training.recipe import Recipe

TINY: dict[str, Any] = {
    "name": "topiq_nr-lite",
    "seed": 7,
    "data": {
        "dataset": "biq2021",
        "about": "",
        "partial": True,
        "split": "hash",
        "split_seed": 0,
        "subset": "train",
        "validation_share": 0.25,
        "test_share": 0.25,
        "score_range": (),
        "lower_is_better": False,
        "image_column": "",
        "score_column": "",
        "reference_column": "",
        "size": "native",
        "batch_size": 4,
        "images_per_epoch": 0,
        "crop": 64,
        "final_crop": 80,
        "final_crop_epochs": 0,
        "rescale_probability": 0.5,
        "rescale_smallest": 0.6,
        "enlarge_probability": 0.0,
        "enlarge_largest": 1.0,
        "damaged_per_batch": 1,
        "workers": 0,
    },
    "optimizer": {
        "epochs": 2,
        "patience": 9,
        "average_epochs": 1,
        "start_share": 0.0,
        "lr": 3e-4,
        "backbone_lr": 1e-4,
        "weight_decay": 1e-4,
        "warmup_steps": 2,
        "gradient_clip": 1.0,
        "precision": "32-true",
    },
    "model": {"weights": "", "pretrained_backbone": False, "frozen": ["stem", "stages.0"]},
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
        "queue": 16,
        "max_score_difference": 0.2,
        "min_distance_quantile": 0.3,
        "bound": 1.0,
        "strengths": 2,
    },
    "unlabelled": {"teachers": [], "images": "", "images_per_batch": 2, "confidence_scale": 0.05},
}


def changed(values: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy of ``values`` with some of them replaced; ``section__key`` names a nested one."""
    copy = {key: dict(value) if isinstance(value, dict) else value for key, value in values.items()}
    for name, value in changes.items():
        section, _, key = name.rpartition("__")
        (copy[section] if section else copy)[key] = value
    return copy


@pytest.fixture(scope="session")
def recipe_values() -> Callable[..., dict[str, Any]]:
    return lambda **changes: changed(TINY, **changes)


@pytest.fixture(scope="session")
def recipe() -> Callable[..., Recipe]:
    return lambda **changes: Recipe.from_dict(changed(TINY, **changes))


@pytest.fixture(scope="session")
def write_recipe() -> Callable[[Path, dict[str, Any]], Path]:
    """A function that writes the TOML of a recipe."""

    def write(path: Path, values: dict[str, Any]) -> Path:
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items() if not isinstance(value, dict)]
        for section, content in values.items():
            if isinstance(content, dict):
                lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in content.items())]
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def batch_of() -> Callable[..., TrainingBatch]:
    """A function that gives a batch without damage."""
    return lambda images, scores, **more: TrainingBatch(images, scores, images[:0], scores[:0], **more)


@pytest.fixture
def picture(tmp_path, save_picture) -> Callable[..., torch.Tensor]:
    """A function that draws a picture ``(3, H, W)`` in [0, 1]."""
    return lambda height=128, width=128, seed=0: load_image(save_picture(tmp_path / "p.png", width, height, seed))


@pytest.fixture(scope="session")
def dataset(tmp_path_factory, save_picture) -> Path:
    """24 pictures in the layout of BIQ2021, the more blurred the lower their score."""
    from PIL import Image

    root = tmp_path_factory.mktemp("biq2021")
    rows = []
    for i in range(24):
        name = f"ss01 ({i}).png"
        path = save_picture(root / "Images" / name, 96, 96, seed=i)
        severity = int(hashlib.sha256(name.encode()).hexdigest()[-4:], 16) / 2**16
        blurred = distort(load_image(path), "blur", severity, seed=0)
        Image.fromarray((blurred * 255).round().byte().permute(1, 2, 0).numpy()).save(path)
        rows.append((name, f"{1 - severity:.4f}", "", ""))
    with (root / "Train (Images and MOS).csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("Image Name", "MOS", "", ""), *rows])
    return root
