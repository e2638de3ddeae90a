"""Files into a folder, by links, copies or moves: nothing is ever overwritten, and what was killed can be repeated."""

from __future__ import annotations

import contextlib
import errno
import filecmp
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, get_args

from topiq_metrics._outputs import check_place_of_folder, check_writable
from topiq_metrics.scoring.errors import output_errors
from topiq_metrics.scoring.selecting.log import MOVING, SelectLog, check_log
from topiq_metrics.scoring.sinks.files import OutputLock, check_unlocked
from topiq_metrics.scoring.sources.locations import is_url

Action = Literal["link", "copy", "move"]
ACTIONS: tuple[Action, ...] = get_args(Action)
_DONE: dict[Action, str] = {"link": "linked", "copy": "copied", "move": "moved"}

# The next files will fare no better.
_HOPELESS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}
_LOCK = ".topiq-select.lock"
_ESCAPED = re.compile(r"\\udc([89a-f][0-9a-f])")


@dataclass(frozen=True)
class Placed:
    """What became of a row's file.

    Attributes:
        path: of the row.
        target: where the file is to be, below the folder.
        what: ``"linked"``, ``"copied"`` or ``"moved"``; ``"there"`` where that was so before; ``"failed"``.
        reason: why it failed, beginning with a word to sort by.
    """

    path: str
    target: str
    what: str
    reason: str = ""


class Places:
    """Where the files of rows are, and where below a folder they belong.

    A file keeps its place below the folder that all rows have in common, so that no two of them meet.

    Args:
        paths: of all rows, not only of those that are chosen: then each has the same place every time.
        root: where relative paths start.
    """

    def __init__(self, paths: Iterable[str], root: Path) -> None:
        self._root = os.path.abspath(root)  # noqa: PTH100 - resolve() would follow links
        self._common: str | None = None
        for path in paths:
            if path and not is_url(path):
                folder = os.path.dirname(self._absolute(path))  # noqa: PTH120 - of millions, strings are faster
                self._common = folder if self._common is None else _common(self._common, folder)

    def source(self, path: str) -> Path:
        """The file of a row."""
        found = self._absolute(path)
        if not os.path.lexists(found) and _ESCAPED.search(path):
            # As Parquet has a name that is no Unicode.
            named = self._absolute(_ESCAPED.sub(lambda byte: chr(0xDC00 + int(byte[1], 16)), path))
            found = named if os.path.lexists(named) else found
        return Path(found)

    def target(self, source: Path) -> str:
        """The place of a file below the folder."""
        try:
            return os.path.relpath(source, self._common or self._root)
        except ValueError:
            # Rows are on several drives.
            return str(source.relative_to(source.anchor))

    def _absolute(self, path: str) -> str:
        found = os.path.join(self._root, path)  # noqa: PTH118
        if os.pardir in Path(path).parts:
            # Of a folder that is a link, the one above is another than the text says.
            folder, name = os.path.split(found)
            found = os.path.join(os.path.realpath(folder), name)  # noqa: PTH118
        return os.path.normpath(found)


class Placer:
    """Puts files into a folder, which is made where it is missing; a context.

    What is there stays as it is: a target that is something else than what is to come is a failure of that file. All
    that is done is in ``topiq-select.jsonl`` in the folder.

    Args:
        action: what to do: a symbolic link, a copy with the time of the file, or a move.
        folder: to put files into.
        places: of the files of rows.
        dry_run: change nothing, and tell what would be done.

    Raises:
        OutputError: if ``folder`` is a file, is in no folder, cannot be written to, or another command is filling it.
    """

    def __init__(self, action: Action, folder: Path, places: Places, *, dry_run: bool = False) -> None:
        self._action = action
        self._folder = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow links
        self._places = places
        self._dry_run = dry_run
        self._seen: set[str] = set()
        self._lock: OutputLock | None = None
        with output_errors():
            check_place_of_folder(self._folder)
            check_writable(self._folder if self._folder.exists() else self._folder.parent)
            check_log(self._folder)
        check_unlocked(self._folder / _LOCK, str(folder))
        if not dry_run:
            self._folder.mkdir(exist_ok=True)
            self._lock = OutputLock(self._folder / _LOCK, str(folder))
        try:
            self._log = SelectLog(self._folder)
        except BaseException:
            self._release()
            raise

    def __enter__(self) -> Placer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()
        self._release()

    def place(self, paths: Iterable[str]) -> Iterator[Placed]:
        """Put the files of rows into the folder; a file that is named twice comes once.

        Raises:
            OSError: if the disk is full, or the log cannot be written; what was done is kept.
        """
        for path in paths:
            if is_url(path):
                yield Placed(path, "", "failed", "no-file: it is at a URL")
                continue
            source = self._places.source(path)
            if str(source) not in self._seen:
                self._seen.add(str(source))
                yield self._place(path, source)

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _place(self, path: str, source: Path) -> Placed:
        name = self._places.target(source)
        target = self._folder / name
        try:
            problem = self._problem(source, target, name)
            if not self._dry_run and self._action != "link":
                # What a kill has left.
                _draft_of(target).unlink(missing_ok=True)
            if problem == "":
                return Placed(path, name, "there")
            if problem is None and not self._dry_run:
                target.parent.mkdir(parents=True, exist_ok=True)
                self._act(source, target, name)
        except OSError as error:
            if error.errno in _HOPELESS:
                raise
            problem = _in_words(error)
        if problem is None:
            return Placed(path, name, _DONE[self._action])
        if not self._dry_run:
            self._log.write("failed", source, name, problem)
        return Placed(path, name, "failed", problem)

    def _problem(self, source: Path, target: Path, name: str) -> str | None:
        """Why a file cannot be put in its place; empty if it is there, None if nothing is in the way."""
        moving = self._action == "move" and self._log.was_moving(source, name)
        if source == target or _is_one_entry(source, target):
            return ""
        if not os.path.lexists(source):
            return "" if moving and os.path.lexists(target) else f"missing: there is no file {source}"
        if not source.is_file():
            return f"no-file: {source} is none"
        if not os.path.lexists(target):
            return None
        if self._action == "link":
            is_same = target.is_symlink() and os.path.samefile(source, target)  # noqa: PTH121
        elif self._action == "copy":
            is_same = target.is_file() and not target.is_symlink() and _is_equal(source, target)
        else:
            # The kill came between the second name and the end of the first one.
            return None if moving and _is_whole(source, target) else self._taken(target)
        return "" if is_same else self._taken(target)

    @staticmethod
    def _taken(target: Path) -> str:
        return f"taken: {target} exists already, with other content"

    def _act(self, source: Path, target: Path, name: str) -> None:
        if self._action == "link":
            target.symlink_to(source)
        elif self._action == "copy":
            _copy(source, target)
        else:
            self._log.write(MOVING, source, name)
            _move(source, target)
        self._log.write(_DONE[self._action], source, name)


def _copy(source: Path, target: Path) -> None:
    """Copy a file, with its time; the target appears whole, and not if there is one."""
    draft = _draft_of(target)
    try:
        shutil.copy2(source, draft)
        with draft.open("rb") as stream:
            os.fsync(stream.fileno())
        _rename_new(draft, target)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def _draft_of(target: Path) -> Path:
    # A name that is long already leaves no room for more.
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    return target.with_name(f".{digest}.topiq-select.tmp")


def _rename_new(draft: Path, target: Path) -> None:
    """Give a file its name, unless that is taken: renaming would replace what has it."""
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links, such as FAT.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "File exists", str(target)) from None
        draft.rename(target)


def _move(source: Path, target: Path) -> None:
    """Move a file; at any moment it is whole in at least one of both places."""
    if os.path.lexists(target):
        # What a kill has left of this very move.
        if _is_one_entry(source, target) or not _is_whole(source, target):
            raise FileExistsError(errno.EEXIST, "File exists", str(target))
        source.unlink()
        return
    if source.is_symlink():
        target.symlink_to(source.resolve())
    else:
        try:
            os.link(source, target)
        except FileExistsError:
            raise
        except OSError:
            # On another disk, or one without hard links.
            _copy(source, target)
    try:
        source.unlink()
    except OSError:
        target.unlink()
        raise


def _is_one_entry(source: Path, target: Path) -> bool:
    """Whether two paths are one name in one folder, which links lead to: there is nothing to be moved."""
    return source.name == target.name and os.path.realpath(source.parent) == os.path.realpath(target.parent)


def _is_whole(source: Path, target: Path) -> bool:
    """Whether what is to be moved is at its target, and stays there without the source."""
    if target.is_symlink():
        # As links are moved; one that leads to the source is none of them.
        return source.is_symlink() and os.path.realpath(source) == os.path.realpath(target)
    if not source.is_symlink() and os.path.samefile(source, target):  # noqa: PTH121
        # By another name of the same file, and not by a way round to this one.
        return source.stat().st_nlink > 1
    return target.is_file() and _is_equal(source, target)


def _is_equal(source: Path, target: Path) -> bool:
    return filecmp.cmp(source, target, shallow=False)


def _common(one: str, other: str) -> str:
    try:
        return os.path.commonpath((one, other))
    except ValueError:
        # On different drives.
        return os.path.abspath(os.sep)  # noqa: PTH100


def _in_words(error: OSError) -> str:
    word = {PermissionError: "unreadable", FileExistsError: "taken", FileNotFoundError: "missing"}.get(
        type(error), "unwritable"
    )
    return f"{word}: {error.strerror or error}" + (f": {error.filename}" if error.filename else "")
