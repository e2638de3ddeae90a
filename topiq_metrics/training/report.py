"""What a training run leaves for its reader: the result on the test part, curves, a scatter plot."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torchmetrics.functional.regression import kendall_rank_corrcoef, pearson_corrcoef, spearman_corrcoef

from topiq_metrics.catalog import get_card
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.training.recipe import Recipe
from topiq_metrics.weights import load_network

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import DataLoader

    from topiq_metrics.training.data import QualityData, Scale

_COUNT = "test_images"


def write_report(folder: Path, recipe: Recipe, net: CFANet, data: QualityData) -> dict[str, float]:
    """Score the test part once and write ``report.md``, ``test_scores.csv``, ``curves.png`` and ``scatter.png``."""
    tested = [data.whole.records[i] for i in data.splits.test]
    predictions, scores = predict(net, data.test_dataloader())
    results = {
        _COUNT: float(len(scores)),
        "test_srcc": spearman_corrcoef(predictions, scores).item(),
        "test_krcc": cast("Tensor", kendall_rank_corrcoef(predictions, scores)).item(),
        "test_plcc": pearson_corrcoef(predictions, scores).item(),
        "test_rmse": (predictions - scores).square().mean().sqrt().item(),
    }
    if recipe.optimizer.average_epochs > 1 or recipe.optimizer.start_share:
        # The curves are those of single epochs.
        validated, opinions = predict(net, data.whole_validation())
        results["validation_srcc"] = spearman_corrcoef(validated, opinions).item()
        results["validation_plcc"] = pearson_corrcoef(validated, opinions).item()
    if recipe.model.weights:
        start = cast(CFANet, load_network(recipe.name, recipe.model.weights, device=next(net.parameters()).device))
        before = predict(start, data.test_dataloader())[0]
        results["test_srcc_before"] = spearman_corrcoef(before, scores).item()
        results["test_plcc_before"] = pearson_corrcoef(before, scores).item()
    columns = {"image": [_within(data.whole.root, record.image) for record in tested]}
    if get_card(recipe.name).mode == "FR":
        columns["reference"] = [_within(data.whole.root, cast(Path, record.reference)) for record in tested]
    with (folder / "test_scores.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow((*columns, "mos", "score"))
        writer.writerows(zip(*columns.values(), scores.tolist(), predictions.tolist(), strict=True))
    curves = _read_curves(folder)
    _plot(folder, predictions, scores, curves)
    parts = (
        f"Trained on {len(data.splits.training)} images of {data.whole.facts.name}, stopped by "
        f"{len(data.splits.validation)}, tested once on {len(data.splits.test)}; "
        f"{_shared_in_words(data)}."
    )
    if missing := getattr(data.whole, "missing", []):
        parts += f" Left out, since they were not there: {len(missing)}; the first is on {missing[0]}."
    tested_names = [name for name in results if name.startswith("test_") and name != _COUNT]
    figures = [results[name] for name in results if name.startswith("validation_")]
    result_row = [f"| the result | {' | '.join(f'{value:.4f}' for value in figures)} |"] if figures else []
    lines = [
        f"# Training of `{recipe.name}`",
        "",
        parts,
        "",
        "| test part | value |",
        "|---|---|",
        *(f"| {_in_words(name)} | {value:.4f} |" for name, value in results.items() if name in tested_names),
        "",
        "| epoch | validation SRCC | validation PLCC |",
        "|---|---|---|",
        *(f"| {epoch + 1} | {srcc:.4f} | {plcc:.4f} |" for epoch, srcc, plcc in curves),
        *result_row,
        "",
        "PLCC and RMSE are raw, without a logistic fit." + _scale_in_words(data.scale),
        "",
        "![learning curve](curves.png)",
        "",
        "![score against MOS on the test part](scatter.png)",
        "",
        "```json",
        json.dumps(recipe.to_dict(), indent=2),
        "```",
    ]
    (folder / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return results


def _within(folder: Path, image: Path) -> str:
    return image.relative_to(folder).as_posix() if image.is_relative_to(folder) else str(image)


def _shared_in_words(data: QualityData) -> str:
    """Whether images of one group, such as those of a reference, are in several parts, as official ones may have it."""
    splits, records = data.splits, data.whole.records
    parts = [{records[i].group for i in part} for part in (splits.training, splits.validation, splits.test)]
    shared = sum(count > 1 for count in Counter(group for part in parts for group in part).values())
    if not shared:
        return "no two parts share a group of images"
    return f"{shared} group{'s' * (shared > 1)} of images {'are' if shared > 1 else 'is'} in more than one part"


def _in_words(result: str) -> str:
    name, _, before = result.removeprefix("test_").partition("_")
    return name.upper() + (", of the weights that it started from" if before else "")


def _scale_in_words(scale: Scale) -> str:
    if (scale.low, scale.high) == scale.target and not scale.lower_is_better:
        return ""
    start, end = scale.target[::-1] if scale.lower_is_better else scale.target
    return f" Opinion scores from {scale.low:g} to {scale.high:g} are scaled to {start:g} to {end:g}, higher better."


def predict(net: CFANet, loader: DataLoader[tuple[Tensor, ...]]) -> tuple[Tensor, Tensor]:
    """The network's scores and the MOS of every image of ``loader``, both ``(N,)``."""
    device = next(net.parameters()).device
    predictions, scores = [], []
    with torch.inference_mode():
        for *images, target in loader:
            predictions.append(net(*(image.to(device) for image in images)).float().cpu())
            scores.append(target.float())
    return torch.cat(predictions), torch.cat(scores)


def _read_curves(folder: Path) -> list[tuple[int, float, float]]:
    rows: dict[int, tuple[int, float, float]] = {}
    for path in sorted(folder.glob("curves/*/metrics.csv"), key=lambda p: int(p.parent.name)):
        with path.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                if row.get("val/srcc"):
                    epoch = int(row["epoch"])
                    rows[epoch] = (epoch, float(row["val/srcc"]), float(row["val/plcc"]))
    return [rows[epoch] for epoch in sorted(rows)]


def _plot(folder: Path, predictions: Tensor, scores: Tensor, curves: list[tuple[int, float, float]]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.add_subplot()
    epochs = [epoch + 1 for epoch, _, _ in curves]
    axes.plot(epochs, [srcc for _, srcc, _ in curves], "o-", label="SRCC")
    axes.plot(epochs, [plcc for _, _, plcc in curves], "s-", label="PLCC")
    axes.set(xlabel="epoch", ylabel="validation correlation", xticks=epochs)
    axes.legend()
    figure.savefig(folder / "curves.png", dpi=120)

    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(scores, predictions, s=8, alpha=0.5)
    low, high = min(scores.min(), predictions.min()).item(), max(scores.max(), predictions.max()).item()
    axes.plot([low, high], [low, high], "k--", linewidth=1)
    axes.set(xlabel="MOS", ylabel="score", aspect="equal")
    figure.savefig(folder / "scatter.png", dpi=120)
