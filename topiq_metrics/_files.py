"""Files that a killed process leaves whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write what becomes the file ``path``, in its folder; after an error ``path`` is as it was.

    The file is never seen half-written: it is on the disk before it has its name.
    """
    draft = path.with_name(f".{path.name}.tmp")
    try:
        draft.touch()
        usual = draft.stat().st_mode
        yield draft
        # Some libraries let nobody else read what they write.
        draft.chmod(usual)
        with draft.open("r+b") as stream:
            os.fsync(stream.fileno())
        draft.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            # As of a full disk: what is written to does not know its name.
            error.filename = str(path)
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Write a `whole_file`."""
    with whole_file(path) as draft:
        draft.write_bytes(content)
