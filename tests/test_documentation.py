"""Every Python block of the README and the docs runs, alone, beside a `photo.jpg` and a `scan.png`."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from topiq_metrics import load_image

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PHOTOGRAPH = ROOT / "docs" / "photographs" / "coffee" / "0-original.jpg"


def _blocks() -> list[object]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            line = text[: match.start()].count("\n") + 2
            found.append(pytest.param(match[1], id=f"{page.name}:{line}"))
    return found


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the examples name is in the current folder."""
    from PIL import Image

    shutil.copy(PHOTOGRAPH, tmp_path / "photo.jpg")
    with Image.open(PHOTOGRAPH) as image:
        image.resize((200, 150)).save(tmp_path / "scan.png")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("block", _blocks())
def test_block_runs(block: str) -> None:
    exec(compile(block, "block", "exec"), {"__name__": "block"})


@pytest.mark.usefixtures("pictures")
def test_the_notebook_runs() -> None:
    pytest.importorskip("pandas")
    notebook = json.loads((ROOT / "docs" / "examples" / "scores.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    names: dict[str, Any] = {"__name__": "notebook"}
    shown = []
    for cell in cells:
        *body, last = ast.parse(cell).body
        exec(compile(ast.Module(body, []), "cell", "exec"), names)
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), "cell", "eval"), names))
        else:
            exec(compile(ast.Module([last], []), "cell", "exec"), names)
    scores, found, ranked = shown
    assert set(scores.index) == {"photo.jpg", "scan.png"}
    assert scores["topiq_nr-lite"].is_monotonic_decreasing
    assert found._repr_jpeg_().startswith(b"\xff\xd8")
    assert list(ranked["place"]) == [1, 2]
    # Nothing of a run is kept in the file.
    assert all(cell.get("outputs", []) == [] for cell in notebook["cells"])


def test_relative_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not target.endswith(".png"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_figure_is_filled_in() -> None:
    for page in PAGES:
        assert not re.search(r"@[A-Z]+@", page.read_text(encoding="utf-8")), page.name


def test_photographs_can_be_read() -> None:
    paths = sorted((ROOT / "docs" / "photographs").rglob("*.jpg"))
    assert len(paths) == 36
    assert all(load_image(path).shape[0] == 3 for path in paths)


def test_every_public_name_is_described() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    described = set(re.findall(r"^\.\. auto(?:class|function|data|exception):: (\S+)", text, re.MULTILINE))
    for module, members in re.findall(
        r"^\.\. automodule:: (\S+)\n   :members: ((?:.*\n)(?:      .*\n)*)", text, re.MULTILINE
    ):
        described |= {f"{module}.{member}" for member in re.findall(r"\w+", members)}
    spec = importlib.util.spec_from_file_location("api_index", ROOT / "docs" / "_ext" / "api_index.py")
    assert spec is not None
    assert spec.loader is not None
    index = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(index)
    names = {name.rpartition(".")[2] for name in described}
    assert [f"{module}.{name}" for module, name in index.public_names() if name not in names] == []
