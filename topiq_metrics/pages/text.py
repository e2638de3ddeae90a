"""Any text and any value as a reader can see it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

_UNDECODED = range(0xDC80, 0xDD00)


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
