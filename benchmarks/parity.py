"""Compare our networks with pyiqa's, number by number.

Both sides get the same random weights: pyiqa's network is filled (BatchNorm statistics, LayerNorms and position
biases too, and the head scaled until scores spread), saved in pyiqa's own checkpoint format and loaded with
`load_network`. A network for faces is compared as such: neither side looks for faces.

    python benchmarks/parity.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from topiq_metrics.catalog import get_card
from topiq_metrics.images import SizePolicy
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.models.heads import expected_rating
from topiq_metrics.weights import load_network

NAMES = ("topiq_nr", "topiq_fr", "topiq_iaa_res50", "topiq_iaa", "topiq_nr_swin-face")
SIZES = ((64, 64), (224, 224), (384, 512), (225, 301), (768, 1024))
# Whatever the size, Swin sees 384x384: only the resizing differs.
SWIN_SIZES = ((64, 64), (384, 384), (225, 301))
BATCHES = (1, 3)
TOLERANCE = 1e-5
SPREAD = 0.5
MISSING = "pyiqa is not installed: pip install 'topiq-metrics[benchmarks]'"


def has_pyiqa() -> bool:
    return importlib.util.find_spec("pyiqa") is not None


@dataclass(frozen=True)
class Comparison:
    """Scores of the same images from both sides; ``error`` is the largest |Δ| / max(1, |score|)."""

    name: str
    height: int
    width: int
    batch: int
    error: float
    scores: list[float]

    @property
    def ok(self) -> bool:
        return self.error <= TOLERANCE


class Pair:
    """pyiqa's network and ours, with the same weights."""

    def __init__(self, name: str, folder: Path, seed: int = 0) -> None:
        self.name = name
        self.full_reference = get_card(name).mode == "FR"
        self.reference = random_reference(name, seed)
        checkpoint = folder / f"{name}.pth"
        torch.save({"params": self.reference.state_dict()}, checkpoint)
        self.ours = load_network(name, checkpoint)

    def compare(self, size: tuple[int, int], batch: int) -> Comparison:
        images = sample_images(size, batch, self.full_reference)
        with torch.inference_mode():
            theirs, ours = self.score_theirs(*images), self.score_ours(*images)
        return Comparison(self.name, *size, batch, relative_error(ours, theirs), theirs.tolist())

    def score_theirs(self, *images: Tensor) -> Tensor:
        return self.reference(*images).flatten()

    def score_ours(self, *images: Tensor) -> Tensor:
        return score(self.ours, *images)


def sizes_of(name: str) -> tuple[tuple[int, int], ...]:
    return SWIN_SIZES if "swin" in get_card(name).network.backbone else SIZES


def score(net: CFANet, *images: Tensor) -> Tensor:
    """Score after the size rule of the network's card."""
    size = SizePolicy.parse(get_card(net.name).size)
    return net(*(size.apply(image) for image in images))


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    if ours.shape != theirs.shape or not torch.isfinite(theirs).all():
        return float("inf")
    return ((ours - theirs).abs() / theirs.abs().clamp(min=1)).max().item()


def random_reference(name: str, seed: int) -> nn.Module:
    """Build pyiqa's network for a metric, with random weights; nothing is downloaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyiqa.archs import topiq_arch
        from pyiqa.default_model_configs import DEFAULT_CONFIGS

        options = dict(DEFAULT_CONFIGS[name]["metric_opts"])
        # The model's name would have it fetch a face detector.
        del options["type"], options["model_name"]
        create_swin = topiq_arch.create_swin
        torch.manual_seed(seed)
        with mock.patch.object(topiq_arch, "create_swin", lambda swin, **_: create_swin(swin, drop_path_rate=0.0)):
            net = topiq_arch.CFANet(**options, pretrained=False, backbone_pretrain=False)
    net.requires_grad_(False).eval()
    randomise(net)
    scale_head(net, net.score_linear, sample_images((96, 96), 6, get_card(name).mode == "FR"))
    return net


def randomise(net: nn.Module) -> None:
    """Give normalisation layers, embeddings and position biases values that a mix-up would change."""
    for module in net.modules():
        if isinstance(module, (nn.LayerNorm, nn.BatchNorm2d)):
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.2)
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
        if hasattr(module, "relative_position_bias_table"):
            module.relative_position_bias_table.normal_(0, 0.5)
        if hasattr(module, "mlp"):
            # As initialised, Swin hardly tells images apart, and in scores made to spread rounding would be large.
            for layer in module.modules():
                if isinstance(layer, nn.Linear):
                    layer.weight.mul_(2.5)
    net.h_emb.normal_(0, 0.5)
    net.w_emb.normal_(0, 0.5)


def scale_head(net: nn.Module, head: nn.Sequential, images: tuple[Tensor, ...]) -> None:
    """Scale the head's last linear layer until the scores of these images are further apart than the tests ask."""
    captured = []
    hook = head.register_forward_pre_hook(lambda _, inputs: captured.append(inputs[0]))
    with torch.no_grad():
        net(*images)
    hook.remove()
    last = [layer for layer in head if isinstance(layer, nn.Linear)][-1]
    last.bias.sub_(last(head[:6](captured[0])).mean(dim=0))
    while _spread(head(captured[0])) < 1.5 * SPREAD:
        last.weight.mul_(1.1)
        last.bias.mul_(1.1)


def _spread(output: Tensor) -> float:
    scores = output if output.shape[1] == 1 else expected_rating(output)
    return (scores.max() - scores.min()).item()


def sample_images(size: tuple[int, int], batch: int, full_reference: bool) -> tuple[Tensor, ...]:
    """Smooth colours under textures of different grain and contrast, and noisier copies where a pair is asked for."""
    generator = torch.Generator().manual_seed(size[0] * 10_000 + size[1])
    clean, noisy = [], []
    for index in range(batch):
        colour = F.interpolate(torch.rand(1, 3, 3, 3, generator=generator), size=size, mode="bicubic")
        grain = 2 ** (index % 3 + 1)
        texture = torch.rand(1, 1, -(-size[0] // grain), -(-size[1] // grain), generator=generator) - 0.5
        texture = F.interpolate(texture, size=size, mode="nearest")
        image = (colour + texture * (0.2 + 0.4 * torch.rand(1, generator=generator))).clamp(0, 1)
        noise = torch.randn(1, 3, *size, generator=generator) * 0.1 * (index % 3 + 1)
        clean.append(image)
        noisy.append((image + noise).clamp(0, 1))
    distorted, reference = torch.cat(noisy), torch.cat(clean)
    return (distorted, reference) if full_reference else (reference,)


def run(names: Sequence[str], batches: Sequence[int], *, quick: bool = False) -> list[Comparison]:
    results = []
    print(f"{'metric':<18} {'size':>10} {'batch':>5} {'largest error':>14}  {'seconds':>7}")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            pair = Pair(name, Path(folder))
        for size in sizes_of(name):
            if quick and size[0] > 225:
                continue
            for batch in batches:
                start = time.perf_counter()
                result = pair.compare(size, batch)
                results.append(result)
                seconds, verdict = time.perf_counter() - start, "" if result.ok else "  FAILED"
                label = f"{size[0]}x{size[1]}"
                print(f"{name:<18} {label:>10} {batch:>5} {result.error:>14.1e}  {seconds:>7.1f}{verdict}", flush=True)
    return results


def failures(results: Sequence[Comparison]) -> list[str]:
    problems = [f"{r.name} at {r.height}x{r.width}, batch {r.batch}: {r.error:.1e}" for r in results if not r.ok]
    for name in dict.fromkeys(r.name for r in results):
        scores = [score for r in results if r.name == name for score in r.scores]
        if max(scores) - min(scores) < SPREAD:
            problems.append(f"{name}: scores spread by less than {SPREAD}, so that the comparison says little")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare our networks with pyiqa's, number by number.")
    parser.add_argument("--quick", action="store_true", help="small images only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here")
    args = parser.parse_args()
    if not has_pyiqa():
        print(MISSING, file=sys.stderr)
        return 2
    results = run(NAMES, BATCHES, quick=args.quick)
    problems = failures(results)
    if args.json:
        report = {
            "tolerance": TOLERANCE,
            "torch": torch.__version__,
            "machine": platform.platform(),
            "failures": problems,
            "results": [asdict(result) for result in results],
        }
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print("\n".join(problems) or f"All agree within {TOLERANCE:g} (relative to max(1, |score|)).")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
