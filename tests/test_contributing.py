"""What CONTRIBUTING.md tells to do works: its diffs apply, and its commands show what it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FINDINGS = sorted((ROOT / "findings").glob("*.sh"))


def recipes() -> dict[str, str]:
    """The text of each recipe by its title."""
    section = GUIDE.split("\n## Recipes\n")[1].split("\n## ")[0]
    return {part.partition("\n")[0]: part for part in section.split("\n### ")[1:]}


def patched(text: str, hunk: str) -> str:
    """A text after a diff without line numbers, whose lines of context must be there once, or none for a new file."""
    lines = hunk.splitlines()
    before, after = (
        "".join(f"{line[1:]}\n" for line in lines if line[0] in marks) for marks in ((" ", "-"), (" ", "+"))
    )
    assert text.count(before) == 1 if before else not text, before
    return text.replace(before, after) if before else after


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package, to be changed, beside a photograph and a list of it."""
    shutil.copytree(ROOT / "topiq_metrics", tmp_path / "topiq_metrics", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "docs" / "photographs" / "coffee" / "0-original.jpg", tmp_path / "photo.jpg")
    (tmp_path / "night.m3u").write_text("# taken at night\nphoto.jpg\n")
    return tmp_path


@pytest.mark.parametrize("title", [title for title in recipes() if title != "Add a finding"])
def test_recipe(title: str, copy: Path) -> None:
    recipe = recipes()[title]
    diffs = re.findall(r"^```diff (\S+)\n(.*?)^```", recipe, re.DOTALL | re.MULTILINE)
    (shown,) = re.findall(r"^```console\n(.*?)^```", recipe, re.DOTALL | re.MULTILINE)
    assert diffs
    for name, hunk in diffs:
        path = copy / name
        path.write_text(patched(path.read_text() if path.exists() else "", hunk))
    command, *expected = shown.splitlines()
    arguments = command.removeprefix("$ topiq ").split()
    run = subprocess.run(
        [sys.executable, "-m", "topiq_metrics", *arguments],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    for line in expected:
        assert line in run.stdout
    ruff = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml")]
    subprocess.run([*ruff, *(name for name, _ in diffs)], cwd=copy, check=True)


def test_a_recipe_whose_place_has_gone_fails() -> None:
    with pytest.raises(AssertionError):
        patched("a\nb\n", " c\n+d\n")
    with pytest.raises(AssertionError):
        patched("a\na\n", " a\n+d\n")
    assert patched("a\nb\n", " a\n+d\n") == "a\nd\nb\n"


def test_every_command_of_make_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make (\w+)`", GUIDE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_relative_links_lead_somewhere() -> None:
    for page in (
        ROOT / "CONTRIBUTING.md",
        ROOT / "CODE_OF_CONDUCT.md",
        ROOT / "SECURITY.md",
        ROOT / "findings/README.md",
    ):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


class TestFindings:
    def test_the_list_is_whole(self) -> None:
        text = (ROOT / "findings" / "README.md").read_text(encoding="utf-8")
        assert re.findall(r"^\| `(\S+\.sh)` \|", text, re.MULTILINE) == [path.name for path in FINDINGS]

    @pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.stem)
    def test_form(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert text.startswith("#!/usr/bin/env bash\n# ")
        assert "\n# Good guess:" in text
        assert "\n# Seen:" in text
        assert "set -euo pipefail" in text
        assert "mktemp -d" in text
        assert "trap 'rm -rf" in text
        assert "topiq" not in text.lower()
        installs = re.findall(r"^[^#\n]*pip\"? install ((?:[^\n]|(?<=\\)\n)*)", text, re.MULTILINE)
        assert installs
        packages = [word for line in installs for word in line.replace("\\\n", " ").split() if not word.startswith("-")]
        assert packages
        assert all("==" in package or package.startswith("http") for package in packages), packages
        subprocess.run(["bash", "-n", str(path)], check=True)
