"""Metrics of other distributions: real ones, built and installed into an environment of their own."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "{name}"
version = "1.0"
[project.entry-points."topiq_metrics.metrics"]
{entry_points}
[tool.hatch.build.targets.wheel]
packages = ["{module}"]
"""

BRIGHTNESS = """
import torch
from torchmetrics import Metric
from topiq_metrics import ModelCard

CARD = ModelCard(
    name="brightness", mode="NR", summary="the mean of an image", score_range=(0, 1), metric="shiny:Brightness"
)

def make_contrast():
    return ModelCard(
        name="darkening", mode="FR", summary="mean difference", score_range=(0, 1), metric="shiny:Darkening",
        higher_is_better=False,
    )

class Brightness(Metric):
    full_state_update = False

    def __init__(self, model, reduction="mean", **kwargs):
        super().__init__(**kwargs)
        self.reduction = reduction
        self.add_state("scores", [], dist_reduce_fx="cat")

    def update(self, preds, target=None):
        self.scores.append(preds.mean(dim=(1, 2, 3)))

    def compute(self):
        scores = torch.cat(self.scores)
        return scores if self.reduction == "none" else scores.mean()

class Darkening(Brightness):
    def update(self, preds, target):
        self.scores.append((target - preds).mean(dim=(1, 2, 3)))
"""

SHINY = 'brightness = "shiny:CARD"\ndarkening = "shiny:make_contrast"'


def wrong(**changes: str) -> str:
    """A module whose card is wrong in one field."""
    fields = {"name": "'broken_metric'", "mode": "'NR'", "summary": "''", "score_range": "(0, 1)", "metric": "'a:B'"}
    fields |= changes
    return f"import topiq_metrics as t\nCARD = t.ModelCard({', '.join(f'{k}={v}' for k, v in fields.items())})"


class Environment:
    """A folder with installed distributions that Python finds beside those of the tests."""

    def __init__(self, folder: Path) -> None:
        self.sources = folder / "sources"
        self.site = folder / "site"

    def install(self, name: str, entry_points: str, code: str, module: str = "") -> None:
        module = module or name
        source = self.sources / name
        (source / module).mkdir(parents=True)
        (source / module / "__init__.py").write_text(code)
        (source / "pyproject.toml").write_text(PYPROJECT.format(name=name, module=module, entry_points=entry_points))
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
        subprocess.run(build, cwd=source, check=True, capture_output=True)
        (wheel,) = (source / "dist").glob("*.whl")
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*install, "--no-index", "--target", str(self.site), str(wheel)], check=True)

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": str(self.site)}
        command = [str(argument) for argument in arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=300)

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-c", code)

    def topiq(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return self.run(Path(sysconfig.get_path("scripts")) / "topiq", *arguments)


@pytest.fixture(scope="module")
def shiny(tmp_path_factory):
    environment = Environment(tmp_path_factory.mktemp("shiny"))
    environment.install("shiny", SHINY, BRIGHTNESS)
    return environment


@pytest.fixture
def environment(tmp_path):
    return Environment(tmp_path)


def test_it_is_listed_and_built(shiny):
    run = shiny.python(
        "import json, torch, topiq_metrics as t\n"
        "metric = t.create_metric('brightness')\n"
        "metric.update(torch.full((2, 3, 32, 32), 0.25))\n"
        "print(json.dumps([t.list_metrics(), t.list_metrics('FR'), t.get_card('darkening').summary,"
        " type(metric).__module__, metric.compute().item()]))"
    )
    assert run.stderr == ""
    names, full_reference, summary, module, value = json.loads(run.stdout)
    assert {"brightness", "darkening", "topiq_nr"} <= set(names)
    assert "darkening" in full_reference
    assert "brightness" not in full_reference
    assert (summary, module, value) == ("mean difference", "shiny", 0.25)


def test_it_is_listed_by_the_command(shiny):
    run = shiny.topiq("list")
    assert run.returncode == 0
    (line,) = [line for line in run.stdout.splitlines() if " darkening " in line]
    assert "0 to 1, lower better" in line
    assert "installed" in line


def test_the_command_scores_with_it(shiny, tmp_path, save_picture):
    for number, side in enumerate((64, 64, 64, 80)):
        save_picture(tmp_path / "in" / f"{number}.png", side, side, seed=number)
        save_picture(tmp_path / "reference" / f"{number}.png", side, side, seed=number)
    output = tmp_path / "scores.csv"
    arguments = ["-m", "brightness", "-m", "darkening", "-m", "topiq_nr-lite", "-r", tmp_path / "reference"]
    run = shiny.topiq("score", tmp_path / "in", *arguments, "-o", output)
    assert run.returncode == 0, run.stderr
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert [row["status"] for row in rows] == ["ok"] * 4
    assert all(0.2 < float(row["brightness"]) < 0.8 and float(row["darkening"]) == 0 for row in rows)


def test_it_is_on_a_board(shiny, tmp_path, save_picture):
    rows = [f"{save_picture(tmp_path / f'{i}.png', 64, 64, seed=i).name},{i}" for i in range(8)]
    (tmp_path / "mine.csv").write_text("\n".join(["image,score", *rows]))
    output = tmp_path / "board.json"
    run = shiny.topiq(
        "leaderboard", "--data", tmp_path / "mine.csv", "-m", "brightness", "-o", output, "--scores", tmp_path / "kept"
    )
    assert run.returncode == 0, run.stderr
    (entry,) = json.loads(output.read_text())["entries"]
    assert entry["status"] == "scored"
    run = shiny.python(
        "from topiq_metrics.contenders import get_toolbox_metric as get\n"
        "metric = get('brightness')\n"
        "print(metric.package, metric.version)"
    )
    assert run.stdout == "shiny 1.0\n"


@pytest.mark.slow
def test_there_are_no_weights_to_fetch(shiny):
    run = shiny.topiq("weights", "fetch", "brightness")
    assert run.returncode == 2
    assert "brightness needs no weights" in run.stderr
    assert shiny.topiq("weights", "list").returncode == 0


@pytest.mark.parametrize(
    ("entry_point", "code", "problem"),
    [
        ("broken:CARD", "import module_that_is_not_there", "ModuleNotFoundError: No module named 'module_that"),
        ("broken:CARD", "CARD = 'a card'", "must give a topiq_metrics.ModelCard, but gives str"),
        ("broken:nothing", "", "AttributeError"),
        ("broken:make", "def make():\n    raise SystemError('no licence')", "SystemError: no licence"),
        ("broken:make", "def make():\n    raise SystemExit('no licence')", "SystemExit: no licence"),
        ("broken:CARD", wrong(mode="'XX'"), "its card has a wrong mode."),
        ("broken:CARD", wrong(score_range="(0,)"), "ValueError: not enough values"),
        ("broken:CARD", wrong(score_range="(1, 0)"), "its card has a wrong score_range."),
        ("broken:CARD", wrong(size="'huge'"), "its card has a wrong size."),
        ("broken:CARD", wrong(size="'max_side=31'"), "its card has a wrong size."),
        ("broken:CARD", wrong(weights="'x.pth'"), "its card has a wrong weights or also_needs."),
        ("broken:CARD", wrong(network="{'dim': 8}"), "its card has a wrong network."),
        (
            "broken:CARD",
            BRIGHTNESS.replace('"brightness"', '"other"'),
            "its card is named 'other'",
        ),
    ],
)
def test_a_broken_one_is_named_once_and_left_out(environment, entry_point, code, problem):
    environment.install("broken", f'broken_metric = "{entry_point}"', code)
    run = environment.python(
        "import topiq_metrics as t\n"
        "assert 'broken_metric' not in t.list_metrics() and 'topiq_nr' in t.list_metrics()\n"
        "t.get_card('topiq_nr')\n"
        "try:\n    t.create_metric('broken_metric')\nexcept ValueError as error:\n    print(error)"
    )
    assert run.returncode == 0, run.stderr
    assert "There is no metric named 'broken_metric'" in run.stdout
    assert run.stderr.count("UserWarning") == 1
    assert "The metric 'broken_metric' of the distribution 'broken'" in run.stderr
    assert problem in run.stderr


@pytest.mark.slow
def test_a_metric_that_cannot_be_built(environment, tmp_path, save_picture):
    environment.install("shiny", SHINY, BRIGHTNESS.replace("shiny:Brightness", "shiny:Missing"))
    picture = save_picture(tmp_path / "picture.png")
    run = environment.topiq("score", picture, "-m", "brightness")
    assert run.returncode == 2
    assert "The metric 'brightness' cannot be built: AttributeError" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_metric_that_fails_makes_rows_with_the_reason(environment, tmp_path, save_picture):
    environment.install("shiny", SHINY, BRIGHTNESS.replace("preds.mean(dim=(1, 2, 3))", "preds.mean(dim=9)"))
    picture = save_picture(tmp_path / "picture.png")
    run = environment.topiq("score", picture, "-m", "brightness")
    assert run.returncode == 1
    assert "IndexError" in run.stdout
    assert "Traceback" not in run.stderr


@pytest.mark.slow
def test_two_of_one_name(environment):
    for name in ("first", "second"):
        card = BRIGHTNESS.replace("shiny:", f"{name}:")
        environment.install(name, f'brightness = "{name}:CARD"', card)
    code = "import topiq_metrics as t\ntry:\n    {}\nexcept ValueError as error:\n    print(error)"
    for call in ("t.list_metrics()", "t.create_metric('brightness')", "t.get_card('brightness')"):
        run = environment.python(code.format(call))
        assert "The metric 'brightness' is defined by more than one distribution: first and second." in run.stdout
    assert environment.python("import topiq_metrics as t; t.create_metric('topiq_nr-lite')").returncode == 0


def test_the_name_of_one_of_ours(environment):
    environment.install("greedy", 'topiq_nr = "greedy:CARD"', BRIGHTNESS)
    code = "import topiq_metrics as t\ntry:\n    t.get_card('topiq_nr')\nexcept ValueError as error:\n    print(error)"
    assert "defined by more than one distribution: topiq-metrics and greedy." in environment.python(code).stdout
    run = environment.topiq("list")
    assert run.returncode == 2
    assert "topiq-metrics and greedy" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.slow
def test_a_trained_network_of_our_architecture(environment, lite_weights, tmp_path, save_picture):
    card = """
from topiq_metrics import ModelCard, get_card
from topiq_metrics.catalog import WeightsFile
CARD = ModelCard(
    name="topiq_nr-mine", mode="NR", summary="mine", score_range=(0, 1),
    metric="topiq_metrics.metrics.topiq:TOPIQNoReference", weights=WeightsFile("mine.safetensors", "", "MIT", "a/b"),
    network=get_card("topiq_nr-lite").network, size="max_side=256",
)
"""
    environment.install("mine", '"topiq_nr-mine" = "mine:CARD"', card)
    picture = save_picture(tmp_path / "picture.png")
    run = environment.topiq("score", picture, "-m", "topiq_nr-mine", "--weights", lite_weights)
    assert run.returncode == 0, run.stderr
    score = float(run.stdout.splitlines()[1].split(",")[1])
    run = environment.python(
        "import topiq_metrics as t\n"
        f"metric = t.create_metric('topiq_nr-mine', weights={str(lite_weights)!r})\n"
        f"print(metric(t.load_image({str(picture)!r})[None]).item())\n"
        "from topiq_metrics.weights import load_network\n"
        f"metric = t.TOPIQNoReference(net=load_network('topiq_nr-mine', {str(lite_weights)!r}))\n"
        "print(metric.model)"
    )
    found, model = run.stdout.split()
    assert float(found) == pytest.approx(score, abs=1e-5), run.stderr
    assert model == "topiq_nr-mine"
