"""Templates filled: whatever a job or a board was given is text or data in a page, never markup or script."""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any

from topiq_metrics.pages.text import visible

if TYPE_CHECKING:
    from jinja2 import Environment


def render(page: str, **content: Any) -> str:
    """One HTML file.

    Args:
        page: ``"report"``, ``"leaderboard"`` or ``"serve"``: the name of a template, of its script and, where it has
            one beside that of all pages, of its style sheet.
        content: what the template shows: any text, escaped and made visible; and ``data`` for the script, JSON values
            without NaN.
    """
    parts = {"style": _read("style.css") + _style_of(page), "script": _read(f"{page}.js")}
    hashes = {f"{name}_hash": _hash(text) for name, text in parts.items()}
    return _environment().get_template(f"{page}.html").render(**parts, **hashes, **content)


@functools.cache
def _environment() -> Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment


def _shown(value: Any) -> Any:
    """Text made visible; markup, which is ours, as it is."""
    return value if not isinstance(value, str) or hasattr(value, "__html__") else visible(value)


def _read(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _style_of(page: str) -> str:
    own = resources.files(__package__) / f"{page}.css"
    return own.read_text(encoding="utf-8") if own.is_file() else ""


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
