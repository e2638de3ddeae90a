"""Which room of the package may import which, and which libraries: as the table in docs/architecture.md says."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import topiq_metrics

# tomllib is not in Python 3.10, where tomli takes its place.
STDLIB = sys.stdlib_module_names | {"tomllib"}
pytestmark = pytest.mark.quick

PACKAGE = Path(topiq_metrics.__file__).parent
PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
BASE = "base"
DOOR = "__init__"
LOADERS = {"import_extra", "import_module"}


class Room(NamedTuple):
    """A row of the table."""

    rooms: frozenset[str]
    libraries: frozenset[str]


class Import(NamedTuple):
    """A module that a file imports, if only for type checkers."""

    file: str
    module: str
    for_types: bool


def read_table() -> dict[str, Room]:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)/?` \|[^|]*\|([^|]*)\|([^|]*)\|$", text, re.MULTILINE)
    return {
        name.removesuffix(".py"): Room(*(frozenset(re.findall(r"`(\w+)`", cell)) for cell in cells))
        for name, *cells in rows
    }


def imports_of(path: Path, package: Path) -> Iterator[Import]:
    name = path.relative_to(package).as_posix()
    nodes = [(node, False) for node in ast.parse(path.read_text(encoding="utf-8")).body]
    while nodes:
        node, for_types = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            nodes += [(child, True) for child in node.body] + [(child, for_types) for child in node.orelse]
            continue
        for module in _modules(node):
            yield Import(name, module, for_types)
        nodes += [(child, for_types) for child in ast.iter_child_nodes(node)]


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert not node.level, "imports are absolute"
        package = str(node.module)
        return [f"{package}.{alias.name}" for alias in node.names] if package == "topiq_metrics" else [package]
    # What is loaded by a name that starts here; a name that comes from elsewhere cannot be read.
    if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).rpartition(".")[2] in LOADERS:
        first = node.args[0].values[0] if isinstance(node.args[0], ast.JoinedStr) else node.args[0]
        return [first.value] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []
    return []


def room_of(file: str) -> str:
    top = file.partition("/")[0].removesuffix(".py")
    if top in {"__init__", "__main__"}:
        return DOOR
    return BASE if top == "errors" or top.startswith("_") else top


def forbidden(package: Path, table: dict[str, Room], *, for_types: bool) -> list[str]:
    """What is imported and may not be, a line for each."""
    found = []
    for path in sorted(package.rglob("*.py")):
        for file, module, is_for_types in imports_of(path, package):
            own = room_of(file)
            top, _, rest = module.partition(".")
            if is_for_types != for_types or top in STDLIB:
                continue
            if top == "topiq_metrics":
                # The package itself is asked for its version only.
                wanted = room_of(rest.partition(".")[0]) if rest.partition(".")[0] in _tops(package) else BASE
                allowed = {own, *table[own].rooms}
            else:
                # Checkers know the types of what need not be installed.
                wanted, allowed = top, set(table[own].libraries) | ({top} if for_types else set())
            if wanted not in allowed:
                found.append(f"{file} imports {module}, but {own} may import {', '.join(sorted(allowed - {own}))}")
    return found


def _tops(package: Path) -> set[str]:
    return {path.stem for path in package.iterdir()}


@pytest.fixture(scope="module")
def table() -> dict[str, Room]:
    return read_table()


def test_every_room_is_in_the_table(table: dict[str, Room]) -> None:
    rooms = {room_of(path.relative_to(PACKAGE).as_posix()) for path in PACKAGE.rglob("*.py")}
    assert set(table) == rooms


def test_rooms_import_those_above_them(table: dict[str, Room]) -> None:
    above: set[str] = set()
    for name, room in table.items():
        assert room.rooms <= above, f"{name} may import {room.rooms - above}, which come after it"
        above.add(name)


@pytest.mark.parametrize("for_types", [False, True])
def test_no_forbidden_import(for_types: bool, table: dict[str, Room]) -> None:
    assert forbidden(PACKAGE, table, for_types=for_types) == []


@pytest.mark.parametrize(
    ("code", "for_types", "complaint"),
    [
        (
            "from topiq_metrics.models.cfanet import CFANet",
            False,
            "imports topiq_metrics.models.cfanet, but statistics",
        ),
        ("from topiq_metrics import models", False, "imports topiq_metrics.models, but statistics"),
        ("def f():\n    import torch", False, "imports torch, but statistics may import numpy, scipy"),
        ("x = import_extra(f'pandas.{name}', 'data')", False, "imports pandas., but"),
        (
            "if TYPE_CHECKING:\n    from topiq_metrics.images import SizePolicy",
            True,
            "imports topiq_metrics.images, but",
        ),
        ("if TYPE_CHECKING:\n    import pandas", True, ""),
        ("import numpy, math\nfrom topiq_metrics import __version__\nimport topiq_metrics.errors", False, ""),
    ],
)
def test_the_guard_can_fail(code: str, for_types: bool, complaint: str, table: dict[str, Room], tmp_path: Path) -> None:
    for name in ("models", "images", "statistics"):
        (tmp_path / name).mkdir()
    (tmp_path / "errors.py").touch()
    (tmp_path / "statistics" / "new.py").write_text(code)
    found = forbidden(tmp_path, table, for_types=for_types)
    assert len(found) == bool(complaint)
    assert all(complaint in line for line in found)
