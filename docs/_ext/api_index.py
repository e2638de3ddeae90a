"""The directive ``api-index``: every public name with the first sentence that is said of it, by module."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

MODULES = (
    "topiq_metrics",
    "topiq_metrics.losses",
    "topiq_metrics.images",
    "topiq_metrics.scoring",
    "topiq_metrics.inference",
    "topiq_metrics.explaining",
    "topiq_metrics.comparing",
    "topiq_metrics.faces",
    "topiq_metrics.catalog",
    "topiq_metrics.weights",
    "topiq_metrics.datasets",
    "topiq_metrics.evaluation",
    "topiq_metrics.contenders",
    "topiq_metrics.leaderboard",
)
"""What a user may import from."""


def public_names() -> Iterator[tuple[str, str]]:
    """Module and name of all that is public, each name once: where it is first."""
    seen: set[int] = set()
    for module in MODULES:
        found = importlib.import_module(module)
        for name in sorted(set(found.__all__) - {"__version__"}, key=str.lower):
            thing = getattr(found, name)
            if id(thing) not in seen or not callable(thing):
                yield module, name
            seen.add(id(thing))


def sentence(thing: object) -> str:
    """The first sentence of a docstring; of a value, none."""
    text = inspect.getdoc(thing) if inspect.isclass(thing) or inspect.isroutine(thing) else ""
    paragraph = " ".join((text or "").split("\n\n")[0].split())
    return paragraph.replace("|", "\\|").replace("``", "`")


class APIIndex(SphinxDirective):
    """Renders a table for each module, whose names lead to what is said of them."""

    def run(self) -> list[nodes.Node]:
        lines: list[str] = []
        last = ""
        for module, name in public_names():
            if module != last:
                lines += ["", f"**`{module}`**", "", "| | |", "|---|---|"]
                last = module
            lines.append(
                f"| {{py:obj}}`{name} <{module}.{name}>` | {sentence(getattr(importlib.import_module(module), name))} |"
            )
        node = nodes.container()
        self.state.nested_parse(StringList([*lines, ""], source="api-index"), self.content_offset, node)
        return node.children


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("api-index", APIIndex)
    return {"version": "1", "parallel_read_safe": True}
