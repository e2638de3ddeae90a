"""What must stay as it is when the house is rearranged: scores, keys of weights, graphs, rows, options.

``python tests/goldens/test_goldens.py`` writes the values anew, for a change that is meant.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from topiq_metrics.catalog import all_cards, get_card
from topiq_metrics.models.network import QualityNetwork
from topiq_metrics.weights import load_network

FILE = Path(__file__).with_name("goldens.json")
PHOTOGRAPHS = Path(__file__).parents[2] / "docs" / "photographs"
NAMES = [name for name, card in all_cards().items() if not card.is_foreign]
EXPORTED = ["topiq_nr-lite", "topiq_fr-lite"]


def images(side: int) -> tuple[Tensor, Tensor]:
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    waves = [torch.sin(x / (5.0 + 3 * c)) * torch.cos(y / (9.0 - 2 * c)) for c in range(3)]
    image = 0.5 + 0.4 * torch.stack(waves)[None]
    return image, (image + 0.1 * torch.sin(x * y / 7.0)).clamp(0, 1)


def filled(name: str) -> QualityNetwork:
    """A network whose weights depend on their names and shapes alone, not on the order in which layers are made."""
    net = load_network(name, None, device="cpu")
    with torch.no_grad():
        for key, value in net.state_dict().items():
            random = np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big"))
            draws = torch.from_numpy(random.standard_normal(tuple(value.shape)))
            if value.is_floating_point():
                spread = draws / max(1, value[0].numel() if value.ndim > 1 else 16) ** 0.5
                value.copy_(spread.abs() + 0.5 if key.endswith(("running_var", "norm.weight")) else spread)
    return net


def scores(name: str) -> list[float]:
    card = get_card(name)
    net = filled(name)
    side = int(card.size.rpartition("=")[2]) if card.size.startswith("square") else 96
    image, changed = images(side)
    with torch.no_grad():
        return [net(*pair[: 2 if card.mode == "FR" else 1]).item() for pair in ((image, changed), (changed, image))]


def bundled_scores() -> list[float]:
    from topiq_metrics.functional import topiq_full_reference, topiq_no_reference

    image, changed = images(301)
    return [
        topiq_no_reference(image).item(),
        topiq_no_reference(changed).item(),
        topiq_full_reference(changed, image).item(),
        topiq_full_reference(image.flip(-1), image).item(),
    ]


def keys(name: str) -> str:
    state = load_network(name, None, device="cpu").state_dict()
    shapes = sorted((key, tuple(value.shape), str(value.dtype)) for key, value in state.items())
    return hashlib.sha256(repr(shapes).encode()).hexdigest()


def operators(name: str) -> dict[str, int]:
    from topiq_metrics.inference.export.graph import onnx_model

    with torch.random.fork_rng(devices=[]):
        net = load_network(name, None, device="cpu")
        return dict(sorted(Counter(node.op_type for node in onnx_model(net).graph.node).items()))


def rows(folder: Path) -> list[dict[str, str]]:
    from topiq_metrics import score_images

    output = folder / "scores.csv"
    list(score_images(str(PHOTOGRAPHS / "coffee" / "*.jpg"), "topiq_nr-lite", output=output))
    with output.open(newline="", encoding="utf-8") as file:
        found = sorted(csv.DictReader(file), key=lambda row: row["path"])
    return [{key: Path(value).name if key == "path" else value for key, value in row.items()} for row in found]


def options() -> dict[str, list[str]]:
    """Of each command: its arguments and options with all their names and whether they are needed."""
    import typer

    from topiq_metrics.cli.app import app

    found = {}

    def visit(command: Any, name: str) -> None:
        subcommands = getattr(command, "commands", {})
        for each, other in subcommands.items():
            visit(other, f"{name} {each}")
        found[name] = [
            f"{' '.join(sorted([*p.opts, *p.secondary_opts]))} required={p.required} nargs={p.nargs} "
            f"multiple={getattr(p, 'multiple', False)} default={p.default!r}"
            for p in command.params
        ]

    visit(typer.main.get_command(app), "topiq")
    return found


def measured(folder: Path) -> dict[str, Any]:
    return {
        "scores": {name: scores(name) for name in NAMES},
        "bundled": bundled_scores(),
        "keys": {name: keys(name) for name in NAMES},
        "operators": {name: operators(name) for name in EXPORTED},
        "rows": rows(folder),
        "options": options(),
    }


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("name", NAMES)
def test_scores_and_keys(golden: dict[str, Any], name: str) -> None:
    assert keys(name) == golden["keys"][name]
    expected = golden["scores"][name]
    assert scores(name) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_bundled_scores(golden: dict[str, Any]) -> None:
    assert bundled_scores() == pytest.approx(golden["bundled"], abs=1e-5)


@pytest.mark.parametrize("name", EXPORTED)
def test_graphs(golden: dict[str, Any], name: str) -> None:
    assert operators(name) == golden["operators"][name]


def test_rows(golden: dict[str, Any], tmp_path: Path) -> None:
    found = rows(tmp_path)
    name = "topiq_nr-lite"
    expected = [{**row, name: pytest.approx(float(row[name]), abs=1e-5)} for row in golden["rows"]]
    assert [{**row, name: float(row[name])} for row in found] == expected


def test_options(golden: dict[str, Any]) -> None:
    assert options() == golden["options"]


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        FILE.write_text(json.dumps(measured(Path(folder)), indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")
