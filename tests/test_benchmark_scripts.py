"""Every script of ``benchmarks/`` starts, and those that read KADID-10k's opinions and CID22's pictures find them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_help(
    name: str,
    script: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = script(name)
    assert module.__doc__
    if not hasattr(module, "main"):
        return
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        module.main()
    assert capsys.readouterr().out.startswith(f"usage: {name}.py")


class TestPairs:
    def test_parts_of_the_pictures(self, script: Callable[[str], ModuleType], tmp_path: Path) -> None:
        (tmp_path / "images").mkdir()
        for index in range(200):
            (tmp_path / "images" / f"{index}.webp").touch()
        parts = script("make_pairs").split_pictures(tmp_path)
        assert len(parts) == 200
        counts = {part: list(parts.values()).count(part) for part in ("train", "validation", "test")}
        assert sum(counts.values()) == 200
        assert counts["train"] > counts["test"] > counts["validation"] > 0
        next(iter(parts)).unlink()
        fewer = script("make_pairs").split_pictures(tmp_path)
        assert all(parts[path] == part for path, part in fewer.items())

    def test_a_folder_without_pictures(self, script: Callable[[str], ModuleType], tmp_path: Path) -> None:
        with pytest.raises(SystemExit, match="There are no pictures of CID22 in"):
            script("make_pairs").split_pictures(tmp_path)


def test_opinions_between_levels(script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    rows = ["kind,level,mean_mos", *(f"7,{level},{5 - level / 2}" for level in range(1, 6))]
    (tmp_path / "kinds.csv").write_text("\n".join(rows), encoding="utf-8")
    damages = [{"kind": "kadid-7", "level": "2"}, {"kind": "kadid-7", "level": "2.5"}, {"kind": "blur", "level": "2"}]
    means = script("consensus").human_means(damages, tmp_path / "kinds.csv")
    assert means[:2].tolist() == [4.0, 3.75]
    assert np.isnan(means[2])
