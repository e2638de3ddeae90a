"""The directive ``catalogue``: a table of every metric, from the catalogue itself."""

from __future__ import annotations

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from topiq_metrics.catalog import CARDS

_HEADER = ("metric", "mode", "for", "scores", "size rule", "trained on", "license of the weights")


class Catalogue(SphinxDirective):
    """Renders as a list table, so that the text of a cell is parsed as the page is."""

    def run(self) -> list[nodes.Node]:
        rows = [_HEADER]
        for card in CARDS.values():
            low, high = card.score_range
            scores = f"{low:g} to {high:g}, {'higher' if card.higher_is_better else 'lower'} better"
            license_ = card.weights.license if card.weights is not None else ""
            rows.append(
                (f"`{card.name}`", card.mode, card.summary, scores, f"`{card.size}`", card.trained_on, license_)
            )
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        lines.insert(1, "|" + "---|" * len(_HEADER))
        node = nodes.container()
        self.state.nested_parse(StringList(lines, source="catalogue"), self.content_offset, node)
        return node.children


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("catalogue", Catalogue)
    return {"version": "1", "parallel_read_safe": True}
