"""One HTML file from the report's data: what a job was given is data in it, never markup or script."""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import json
import re
from collections.abc import Mapping
from importlib import resources

_UNDECODED = range(0xDC80, 0xDD00)


def render(title: str, data: Mapping[str, object]) -> str:
    """The page.

    Args:
        title: in the head of the page; any text.
        data: what ``page.js`` shows; JSON values, without NaN.
    """
    package = "topiq_metrics.scoring.report"
    parts = {"title": html.escape(visible(title)), "data": embed(data)}
    return fill(package, read_part(package, "page.css"), parts)


def fill(package: str, style: str, parts: Mapping[str, str]) -> str:
    """A package's ``page.html`` with a style, the package's ``page.js``, their hashes and ``parts``, by name."""
    script = read_part(package, "page.js")
    own = {"style": style, "style-hash": _hash(style), "script": script, "script-hash": _hash(script)}
    known = {**own, **parts}
    return re.sub(r"@@([a-z-]+)@@", lambda match: known[match[1]], read_part(package, "page.html"))


def embed(data: Mapping[str, object]) -> str:
    """JSON that no HTML parser takes for markup; ASCII only."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def visible(text: str) -> str:
    """``text`` with escapes for what does not show, or changes how its neighbours show: names may hold anything."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def readable(value: object, depth: int = 5) -> object:
    """A provenance value as text, or as pairs of name and value; what is empty is left out of them."""
    if isinstance(value, (list, tuple)) and not any(isinstance(inner, (Mapping, list, tuple)) for inner in value):
        return ", ".join(str(readable(inner)) for inner in value)
    if isinstance(value, (Mapping, list, tuple)):
        if not depth:
            return "…"
        entries = value.items() if isinstance(value, Mapping) else map(_labelled, itertools.count(1), value)
        pairs = [[visible(str(name)), readable(inner, depth - 1)] for name, inner in entries]
        return [pair for pair in pairs if pair[1]]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else visible(str(value))


def _labelled(number: int, value: object) -> tuple[str, object]:
    """An entry of a list under its own name, if it has one."""
    if isinstance(value, Mapping) and value.get("name"):
        return str(value["name"]), {name: inner for name, inner in value.items() if name != "name"}
    return str(number), value


def _escape(character: str) -> str:
    code = ord(character)
    # A byte of a file name that is not Unicode, as `os.fsdecode` gives it.
    return f"\\x{code - 0xDC00:02x}" if code in _UNDECODED else character.encode("unicode_escape").decode()


def read_part(package: str, name: str) -> str:
    """A text file of a package."""
    return (resources.files(package) / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
