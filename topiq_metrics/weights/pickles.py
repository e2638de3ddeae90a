"""What a pickle would import, read from its opcodes: nothing in it is run."""

from __future__ import annotations

import contextlib
import io
import pickletools
import re
import zipfile
from pathlib import Path

_STRINGS = frozenset(("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"))
_MEMO_WRITES = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
_MEMO_READS = frozenset(("GET", "BINGET", "LONG_BINGET"))
_OF_TENSORS = re.compile(
    r"collections\.OrderedDict|torch\.\w+Storage|torch\.storage\.\w+|torch\._utils\._rebuild_(tensor(_v2)?|parameter)"
)


def foreign_names(path: Path) -> list[str]:
    """List what the pickle in a torch file, or a bare pickle, would import beside what tensors need.

    Empty also where the file holds no whole pickle.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names = [
                    name
                    for member in archive.namelist()
                    if member.endswith(".pkl")
                    for name in _imports(io.BytesIO(archive.read(member)))
                ]
        else:
            names = _imports_of_all(io.BytesIO(path.read_bytes()))
    except (ValueError, OSError, zipfile.BadZipFile):
        return []
    return [name for name in dict.fromkeys(names) if not _OF_TENSORS.fullmatch(name)]


def _imports_of_all(file: io.BytesIO) -> list[str]:
    """Of the pickles at the start of a file: torch's old format has several, with raw data after them."""
    names = _imports(file)
    with contextlib.suppress(ValueError):
        while True:
            names += _imports(file)
    return names


def _imports(file: io.BytesIO) -> list[str]:
    names: list[str] = []
    recent: list[str] = []
    memo: dict[int, str] = {}
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in ("GLOBAL", "INST"):
            names.append(str(argument).replace(" ", ".", 1))
        elif opcode.name == "STACK_GLOBAL":
            names.append(".".join(recent[-2:]))
        elif opcode.name in _STRINGS:
            recent.append(str(argument))
        elif opcode.name == "MEMOIZE":
            memo[len(memo)] = recent[-1] if recent else ""
        elif opcode.name in _MEMO_WRITES:
            memo[int(argument or 0)] = recent[-1] if recent else ""
        elif opcode.name in _MEMO_READS and argument in memo:
            recent.append(memo[argument])
    return names
