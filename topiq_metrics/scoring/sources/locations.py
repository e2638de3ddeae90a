"""Names of files, here or at a URL."""

from __future__ import annotations

import os
import re
from pathlib import Path

from topiq_metrics._tables import written_path

STDIN = "-"
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")


def is_url(name: str) -> bool:
    return "://" in name


def is_web(url: str) -> bool:
    return re.match(r"https?://", url, re.IGNORECASE) is not None


def links(url: str) -> tuple[str, str, str]:
    """The links of fsspec's chains: ``simplecache::``, then the URL itself, then ``::`` and where its archive is."""
    first, chain, rest = url.partition("::")
    if chain and not is_url(first):
        before, path, after = links(rest)
        return first + chain + before, path, after
    return "", first, chain + rest


def inner(url: str) -> str:
    """The URL itself, without the links around it and without a query."""
    path = links(url)[1]
    return path.partition("#")[0].partition("?")[0] if is_web(path) else path


def suffix(name: str) -> str:
    """``.jpg``, in small letters."""
    return os.path.splitext(inner(name) if is_url(name) else name)[1].lower()  # noqa: PTH122 - not a Path


def is_tar(name: str) -> bool:
    return (inner(name) if is_url(name) else name).lower().endswith(TAR_SUFFIXES)


def parent(name: str) -> str:
    if is_url(name):
        before, _, after = links(name)
        return before + inner(name).rpartition("/")[0] + after
    return str(Path(name).parent)


def join(root: str, name: str) -> str:
    """``name``, which starts at ``root`` unless it is a URL or absolute."""
    if is_url(name):
        return name
    if is_url(root) and not os.path.isabs(name):  # noqa: PTH117 - not a Path
        before, path, after = links(root)
        return f"{before}{path.rstrip('/')}/{name}{after}"
    return str(Path(root, name))


def place_of(root: str, name: str) -> str:
    """`join` of a name as a list or table has it; see `written_path`."""
    if is_url(name):
        return name.strip()
    if is_url(root):
        # It would take a request for each.
        return join(root, name.strip().replace("\\", "/"))
    return join(root, written_path(name, lambda path: os.path.lexists(join(root, path))))


def absolute(name: str) -> str:
    """One name for a file that can be named in several ways, without following links."""
    return name if is_url(name) else os.path.abspath(name)  # noqa: PTH100 - resolve() would follow links
