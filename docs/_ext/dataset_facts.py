"""The directives ``dataset-facts`` and ``dataset-sources``: tables of every dataset, from its reader."""

from __future__ import annotations

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from topiq_metrics.datasets.facts import rows


class DatasetTable(SphinxDirective):
    """Renders as Markdown, as the page is."""

    columns: tuple[str, ...]

    def run(self) -> list[nodes.Node]:
        lines = ["| " + " | ".join(self.columns) + " |", "|" + "---|" * len(self.columns)]
        for row in rows():
            texts = {**row, "dataset": f"`{row['dataset']}`", "source": f"<{row['source']}>"}
            lines.append("| " + " | ".join(texts[column] for column in self.columns) + " |")
        node = nodes.container()
        self.state.nested_parse(StringList(lines, source="datasets"), self.content_offset, node)
        return node.children


class DatasetFacts(DatasetTable):
    columns = ("dataset", "records", "references", "scores", "split", "note")


class DatasetSources(DatasetTable):
    columns = ("dataset", "citation", "license", "source")


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("dataset-facts", DatasetFacts)
    app.add_directive("dataset-sources", DatasetSources)
    return {"version": "1", "parallel_read_safe": True}
