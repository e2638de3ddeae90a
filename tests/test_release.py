"""The version, its date and what is told of it agree everywhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from packaging.version import Version

import topiq_metrics

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.quick


def released() -> list[tuple[str, str]]:
    """Versions and dates of the changelog, newest first."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return re.findall(r"^## \[([\d.]+\w*)\] - (\d{4}-\d{2}-\d{2})$", text, re.MULTILINE)


def test_the_changelog_begins_with_this_version() -> None:
    versions = [Version(version) for version, _ in released()]
    assert versions[0] == Version(topiq_metrics.__version__)
    assert versions == sorted(versions, reverse=True)


def test_the_citation_names_it() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    version, date = released()[0]
    assert f"\nversion: {version}\n" in citation
    assert f"\ndate-released: {date}\n" in citation


def test_the_package_says_which_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from topiq_metrics.cli import main

    monkeypatch.setattr(sys, "argv", ["topiq", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"topiq-metrics {released()[0][0]}\n"


def test_it_is_written_in_one_place() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in project
    assert not re.search(r'^version = "', project, re.MULTILINE)


def test_classifiers_are_the_versions_that_ci_runs() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    listed = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    (matrix,) = re.findall(r"python: \[(.*)\]", workflow)
    assert re.findall(r'"(3\.\d+)"', matrix) == [version for version in listed if version != "3.11"]
