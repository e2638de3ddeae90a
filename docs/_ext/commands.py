"""The directive ``commands``: every command of `topiq` with its arguments and options, from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer.main
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from topiq_metrics.cli.app import app


class Commands(SphinxDirective):
    """Renders a section for each command, so that the text of a help is parsed as the page is."""

    def run(self) -> list[nodes.Node]:
        lines = [
            line for name, command in walk("topiq", typer.main.get_command(app)) for line in describe(name, command)
        ]
        node = nodes.container()
        self.state.nested_parse(StringList(lines, source="commands"), self.content_offset, node, match_titles=True)
        return node.children


def walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Commands that do something, with their whole names."""
    children = getattr(command, "commands", {})
    if not children or getattr(command, "invoke_without_command", False):
        yield name, command
    for child in children:
        yield from walk(f"{name} {child}", children[child])


def describe(name: str, command: Any) -> Iterator[str]:
    """The lines of a command, in Markdown."""
    context = typer.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    yield from (
        f"## {name}",
        "",
        "```console",
        f"$ {usage}",
        "```",
        "",
        dashes(inspect.cleandoc(command.help or "")),
        "",
    )
    records = [parameter.get_help_record(context) for parameter in command.params]
    if any(records):
        yield from ("| | |", "|---|---|")
        for spelling, text in filter(None, records):
            yield f"| `{cell(spelling)}` | {dashes(cell(text))} |"
        yield ""


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("*", "\\*")


def dashes(text: str) -> str:
    """A text whose double hyphens stay as they are typed."""
    return text.replace("--", "\\-\\-")


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("commands", Commands)
    return {"version": "1", "parallel_read_safe": True}
