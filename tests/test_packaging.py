"""The wheel, installed into a clean environment with the network off, scores a photograph."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PHOTOGRAPH = ROOT / "docs" / "photographs" / "coffee" / "0-original.jpg"

NO_NETWORK = """
import socket

def refuse(self, address, *rest):
    if self.family != getattr(socket, "AF_UNIX", None):
        raise OSError(f"the network is off, but something connects to {address}")

socket.socket.connect = socket.socket.connect_ex = refuse
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def clean_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, the distributions it asks for, and nothing else."""
    if sys.platform == "win32":
        pytest.skip("links to the installed distributions need a privilege on Windows")
    folder = tmp_path_factory.mktemp("clean") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--disable-pip-version-check", str(wheel)], check=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    for dist in _required_by("topiq-metrics").values():
        for top in {file.parts[0] for file in dist.files or () if file.parts[0] not in {"..", "__pycache__"}}:
            link = site / top
            if not link.exists():
                link.symlink_to(dist.locate_file(top))
    (site / "sitecustomize.py").write_text(NO_NETWORK)
    return folder


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry_points = next(archive.read(n).decode() for n in names if n.endswith("entry_points.txt"))
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"topiq_metrics"}
    assert "topiq_metrics/py.typed" in names
    for model in ("topiq_nr-lite", "topiq_fr-lite"):
        assert f"topiq_metrics/weights/files/{model}.safetensors" in names
    for recipe in ("topiq_nr-lite", "topiq_fr-lite", "topiq_nr", "published", "fine-tuning"):
        assert f"topiq_metrics/training/recipes/{recipe}.toml" in names
    for part in ("report.js", "serve.css", "serve.js", "style.css", "templates/report.html", "templates/serve.html"):
        assert f"topiq_metrics/pages/{part}" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "topiq = topiq_metrics.cli:main" in entry_points
    assert wheel.stat().st_size < 30e6


def test_clean_environment_has_only_the_declared_dependencies(clean_environment: Path) -> None:
    script = "import importlib.util as u; print([n for n in ('pyiqa', 'timm', 'scipy', 'pytest') if u.find_spec(n)])"
    assert _run(clean_environment, "-c", script).stdout.strip() == "[]"


def test_the_network_is_off_there(clean_environment: Path) -> None:
    script = "import socket; socket.create_connection(('127.0.0.1', 9))"
    result = _run(clean_environment, "-c", script, check=False)
    assert "the network is off" in result.stderr


@pytest.mark.parametrize(
    ("metric", "picture", "options"),
    [("topiq_nr-lite", PHOTOGRAPH, ()), ("topiq_fr-lite", PHOTOGRAPH.with_stem("jpeg-1"), ("-r", PHOTOGRAPH))],
)
def test_installed_wheel_scores_a_photograph(
    metric: str, picture: Path, options: tuple[object, ...], clean_environment: Path, tmp_path: Path
) -> None:
    output = tmp_path / "scores.csv"
    result = _run(clean_environment, clean_environment / "bin" / "topiq", "score", picture, *options, "-o", output)
    (row,) = csv.DictReader(output.read_text().splitlines())
    assert row["status"] == "ok"
    assert 0.4 < float(row[metric]) < 1.1
    assert result.stderr.splitlines() == [f"1 images: 1 ok, 0 with errors -> {output}"]


def test_installed_metric_scores_without_warnings(clean_environment: Path) -> None:
    script = (
        "import topiq_metrics as t\n"
        f"metric = t.create_metric('topiq_nr-lite')\nprint(metric(t.load_image({str(PHOTOGRAPH)!r})[None]).item())"
    )
    assert 0.4 < float(_run(clean_environment, "-c", script).stdout) < 1.1


def _run(environment: Path, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("TOPIQ", "HF_", "PYTHON"))}
    # Our own code must not warn; what its dependencies do when they are imported is theirs.
    env |= {"HOME": str(environment.parent), "PYTHONWARNINGS": "error:::topiq_metrics"}
    command = [environment / "bin" / "python", *arguments]
    result = subprocess.run(
        [str(part) for part in command], env=env, cwd=environment.parent, capture_output=True, text=True, check=False
    )
    if check and result.returncode:
        pytest.fail(result.stderr)
    return result


def _required_by(name: str, found: dict[str, Distribution] | None = None) -> dict[str, Distribution]:
    """The installed distributions that ``name`` needs to run, with theirs, by canonical name."""
    found = {} if found is None else found
    seen: set[tuple[str, str]] = set()
    pending = [Requirement(name)]
    while pending:
        parent = pending.pop()
        for line in distribution(parent.name).requires or ():
            child = Requirement(line)
            extras = {"", *parent.extras}
            if child.marker and not any(child.marker.evaluate({"extra": extra}) for extra in extras):
                continue
            key = canonicalize_name(child.name)
            if (key, str(sorted(child.extras))) not in seen:
                seen.add((key, str(sorted(child.extras))))
                found[key] = distribution(child.name)
                pending.append(child)
    return found
