"""Files of a dataset: found whatever the case of their names, and label files of every kind in use."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from topiq_metrics._extras import import_extra
from topiq_metrics._tables import Table, TableError, encoding_of, read_table


class DatasetError(ValueError):
    """A dataset folder is not as its authors ship it; the message names the file and what was expected."""


class RowError(DatasetError):
    """A row of a label file that lacks a value."""


class _Listing(NamedTuple):
    names: dict[str, str]
    """The names in a folder, by themselves and by their small letters."""
    folders: frozenset[str]
    """Those that are of folders."""


class Folder:
    """A dataset's folder, in which names resolve whatever their case; the same case wins where several fit.

    Args:
        path: the folder.
        name: the dataset's, for messages.
        partial: part of the set is enough, so that a folder or a label file may be missing.

    Attributes:
        missing: the files that were looked for by `image` and are not there, with the label file that names each.
    """

    def __init__(self, path: Path, name: str, *, partial: bool = False) -> None:
        self.path = path
        self.name = name
        self.partial = partial
        self.missing: dict[str, str | Path] = {}
        self._listings: dict[Path, _Listing] = {}
        self._places: dict[str, tuple[Path, _Listing] | None] = {}

    def find(self, relative: str) -> Path | None:
        r"""The file or folder at a path below the folder, with ``/`` or ``\`` between its names."""
        found = self._find(relative)
        return None if found is None else found[0] / found[1] if found[1] else found[0]

    def _find(self, relative: str) -> tuple[Path, str, bool] | None:
        """A folder, a name in it, and whether that is a folder: fast, as sets have hundreds of thousands of files."""
        place, _, name = relative.replace("\\", "/").rpartition("/")
        if name in {"", "."}:
            return self._find(place) if place else (self.path, "", True)
        if place not in self._places:
            folder = self.find(place) if place else self.path
            self._places[place] = None if folder is None else (folder, self._listing(folder))
        known = self._places[place]
        if known is None:
            return None
        folder, listing = known
        actual = listing.names.get(name) or listing.names.get(name.lower())
        return None if actual is None else (folder, actual, actual in listing.folders)

    def labels(self, *names: str) -> Path:
        """The first of these label files that is there."""
        return self._first(names, "label file", Path.is_file)[1]

    def folder(self, *names: str) -> str:
        """The first of these folders that is there, as a path below this one."""
        return self._first(names, "folder", Path.is_dir)[0]

    def _first(self, names: Sequence[str], what: str, fits: Callable[[Path], bool]) -> tuple[str, Path]:
        for name in names:
            path = self.find(name)
            if path is not None and fits(path):
                return name, path
        others = "".join(f", nor {name}" for name in names[1:])
        raise DatasetError(f"{self.name}: there is no {what} {self.path / names[0]}{others}.")

    def image(self, labels: str | Path, *places: str) -> Path | None:
        """The first of these files that is there; None if there is none, which `missing` then has."""
        for place in places:
            found = self._find(place)
            if found is not None and not found[2]:
                return found[0] / found[1]
        self.missing[places[0]] = labels
        return None

    def check_missing(self) -> None:
        """Refuse a folder in which an image was not found.

        Raises:
            DatasetError: how many are not there, and the first.
        """
        if self.missing:
            first, labels = next(iter(self.missing.items()))
            others = len(self.missing) - 1
            also = f", nor are {others} other files that are named" if others else ""
            raise DatasetError(
                f"{self.name}: {Path(labels).name} names {first!r}, which is not in '{self.path}'{also}."
            )

    def subfolders(self, relative: str = "") -> list[str]:
        """The folders in a folder, as paths below this one, sorted."""
        path = self.find(relative)
        if path is None:
            return []
        prefix = f"{relative}/" if relative else ""
        return [prefix + name for name in sorted(self._listing(path).folders)]

    def below(self, relative: str) -> Folder:
        """One of its folders; what has been listed is not listed again."""
        folder = Folder(self.path / relative, relative, partial=self.partial)
        folder._listings = self._listings
        return folder

    def places(self) -> list[str]:
        """The folder and those up to two levels below it, as prefixes of paths: for images that may be in any."""
        below = self.subfolders()
        return ["", *(f"{place}/" for near in below for place in (near, *self.subfolders(near)))]

    def names(self, relative: str = "") -> list[str]:
        """What is in a folder, sorted; nothing if there is no such folder."""
        path = self.find(relative)
        return [] if path is None else sorted(set(self._listing(path).names.values()))

    def _listing(self, path: Path) -> _Listing:
        if path not in self._listings:
            try:
                # Says which are folders without asking for each.
                with os.scandir(path) as entries:
                    is_folder = {entry.name: entry.is_dir() for entry in entries}
            except (NotADirectoryError, FileNotFoundError):
                is_folder = {}
            names = sorted(is_folder)
            self._listings[path] = _Listing(
                {name.lower(): name for name in names} | {name: name for name in names},
                frozenset(name for name in names if is_folder[name]),
            )
        return self._listings[path]


class Row(dict[str, str]):
    """The values of a label file's row, by column.

    Attributes:
        line: the number of the line on which it ends, or another number that it has in its file.
        place: the file and the line, for messages.
    """

    def __init__(self, values: Iterable[tuple[str, str]], path: Path, line: int, unit: str = "line") -> None:
        super().__init__(values)
        self.line = line
        self.place = f"{path}, {unit} {line}"


def read_csv(path: Path, columns: tuple[str, ...], optional: tuple[str, ...] = ()) -> Iterator[Row]:
    """Yield the rows of a label file, names and values stripped; a byte-order mark and empty columns are ignored.

    Rows that have none of ``columns`` are ignored too. Names in ``columns`` and ``optional`` are found whatever their
    case.

    Raises:
        DatasetError: the file or one of ``columns`` is missing, a column is there twice, a row ends early, or the file
            is no text.
    """
    with opened_table(path, (*columns, *optional)) as table:
        yield from table_rows(table, path, columns, optional)


def table_rows(table: Table, path: Path, columns: tuple[str, ...], optional: tuple[str, ...] = ()) -> Iterator[Row]:
    """Like `read_csv`, from a table that is open."""
    header = _header(table.columns, columns, path, optional)
    for line, cells in table.rows:
        row = Row(((name, cell.strip()) for name, cell in zip(header, cells, strict=False) if name), path, line)
        if any(row.get(name) for name in columns or row):
            _check_values(row, columns)
            yield row


@contextmanager
def opened_table(path: Path, known: Sequence[str]) -> Iterator[Table]:
    """The table of a label file; `topiq_metrics._tables.read_table` says what ``known`` is.

    Raises:
        DatasetError: there is no such file, or it is no table; also while its rows are read.
    """
    with _opened(path) as stream:
        try:
            yield read_table(stream, known)
        except (UnicodeError, csv.Error) as error:
            raise DatasetError(
                f"{path} is not a CSV file in UTF-8, or in UTF-16 with a byte-order mark: {error}"
            ) from error
        except TableError as error:
            raise DatasetError(f"{path} {error}") from error


def has_columns(path: Path, *columns: str) -> bool:
    """Whether a file is CSV with all these columns."""
    try:
        next(read_csv(path, columns), None)
    except DatasetError as error:
        # What is wrong below the header is for the reader to tell.
        return isinstance(error, RowError)
    return True


def read_xlsx(path: Path, columns: tuple[str, ...], sheet: str | None = None) -> Iterator[Row]:
    """Like `read_csv`, from a sheet of a workbook; the header may stand below and right of other cells.

    Raises:
        DatasetError: as for `read_csv`, or the file is no workbook.
        ModuleNotFoundError: openpyxl is not installed.
    """
    openpyxl = import_extra("openpyxl", "datasets", "Label files of Excel need")
    if not path.is_file():
        raise DatasetError(f"There is no label file {path}.")
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, openpyxl.utils.exceptions.InvalidFileException) as error:
        raise DatasetError(f"{path} is not an Excel workbook: {error}") from error
    try:
        if sheet is not None and sheet not in book.sheetnames:
            raise DatasetError(f"{path} has no sheet {sheet!r}; its sheets are {book.sheetnames}.")
        cells = (book[sheet] if sheet is not None else book.worksheets[0]).iter_rows(values_only=True)
        header: list[str] | None = None
        for number, row in enumerate(cells, 1):
            texts = ["" if cell is None else str(cell).strip() for cell in row]
            if header is None:
                if columns[0].lower() in {text.lower() for text in texts}:
                    header = _header(texts, columns, path, is_sheet=True)
                continue
            values = Row(((name, text) for name, text in zip(header, texts, strict=False) if name), path, number, "row")
            if any(values.get(name) for name in columns or values):
                _check_values(values, columns)
                yield values
        if header is None:
            _header([], columns, path)
    finally:
        book.close()


def read_columns(path: Path, names: tuple[str, ...], separator: str | None = None) -> Iterator[Row]:
    """Yield the lines of a label file without a header, whose first columns are ``names``; more may follow.

    Raises:
        DatasetError: there is no such file, a line ends early, or it is no text.
    """
    with _opened(path) as stream:
        try:
            for number, line in enumerate(stream, 1):
                values = [value.strip() for value in line.split(separator)]
                if not any(values):
                    continue
                if len(values) < len(names):
                    raise DatasetError(f"{path}, line {number}: expected a value for each of {names}.")
                yield Row(zip(names, values, strict=False), path, number)
        except UnicodeDecodeError as error:
            raise DatasetError(f"{path} is not a text file in UTF-8: {error}") from error


def separator_of(path: Path) -> str | None:
    """What separates the values in a text without a header: a comma, if there is one in its first line, else blanks."""
    with _opened(path) as stream:
        try:
            return "," if "," in stream.readline() else None
        except UnicodeDecodeError as error:
            raise DatasetError(f"{path} is not a text file in UTF-8: {error}") from error


def read_mat(path: Path, variable: str) -> list[Any]:
    """A variable of a MATLAB file as a flat list of numbers or texts.

    Raises:
        DatasetError: there is no such file or variable, or it is no MATLAB file.
        ModuleNotFoundError: scipy is not installed.
    """
    scipy_io = import_extra("scipy.io", "datasets", "Label files of MATLAB need")
    if not path.is_file():
        raise DatasetError(f"There is no label file {path}.")
    try:
        variables = scipy_io.loadmat(path)
    except (OSError, ValueError, TypeError, NotImplementedError, zlib.error, scipy_io.matlab.MatReadError) as error:
        raise DatasetError(f"{path} is not a MATLAB file: {error}") from error
    if variable not in variables:
        known = sorted(name for name in variables if not name.startswith("__"))
        raise DatasetError(f"{path} has no variable {variable!r}; its variables are {known}.")
    return [_plain(value) for value in np.asarray(variables[variable]).ravel()]


def read_json(path: Path, lists: tuple[str, ...]) -> Iterator[Row]:
    """Yield rows from a JSON file that holds parallel lists of these names.

    Raises:
        DatasetError: there is no such file or list, they differ in length, or it is no JSON.
    """
    with _opened(path) as stream:
        try:
            values = json.load(stream)
        except ValueError as error:
            raise DatasetError(f"{path} is not a JSON file: {error}") from error
    for name in lists:
        if not isinstance(values, dict) or not isinstance(values.get(name), list):
            raise DatasetError(f"{path} has no list {name!r}; expected the lists {lists}.")
    lengths = {name: len(values[name]) for name in lists}
    if len(set(lengths.values())) > 1:
        raise DatasetError(f"{path}: expected lists of one length, but got {lengths}.")
    for number, row in enumerate(zip(*(values[name] for name in lists), strict=True), 1):
        yield Row(((name, str(value)) for name, value in zip(lists, row, strict=True)), path, number, "entry")


def read_npy(path: str) -> float:
    """The only number in an ``.npy`` file.

    Raises:
        DatasetError: it holds something else.
    """
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            content = os.read(file, _NPY_SIZE)
        finally:
            os.close(file)
        # Sets have a file for each score, with headers that are all the same and slow to read.
        end = 10 + int.from_bytes(content[8:10], "little")
        value = np.frombuffer(content, _npy_type(content[:end]), offset=end)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{path} is not a file of numpy: {error}") from error
    if value.size != 1:
        raise DatasetError(f"{path}: expected one number, but got {value.size}.")
    return read_score(value[0], path)


_NPY_SIZE = 4096
"""More than an ``.npy`` file of one number has."""


@lru_cache(maxsize=16)
def _npy_type(header: bytes) -> np.dtype[Any]:
    """The type of the values below the header of an ``.npy`` file."""
    stream = io.BytesIO(header)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError(f"its version is {version}, not (1, 0)")
    dtype: np.dtype[Any] = np.lib.format.read_array_header_1_0(stream)[2]
    if dtype.hasobject:
        raise ValueError("it holds objects")
    return dtype


def read_score(value: Any, path: Path | str) -> float:
    """A finite number from a text or a number.

    Args:
        value: the text or the number.
        path: where it stands, for messages.

    Raises:
        DatasetError: it is none.
    """
    try:
        # Underscores between digits are for programs.
        score = math.nan if isinstance(value, str) and "_" in value else float(value)
    except (TypeError, ValueError):
        score = math.nan
    if not math.isfinite(score):
        raise DatasetError(f"{path}: expected a number as score, but got {value!r}.")
    return score


def optional_number(row: dict[str, str], **columns: str) -> dict[str, float]:
    """Extras from columns that a label file may lack: ``std="SD"`` is the number in the column ``SD``, if any."""
    found = {}
    for extra, column in columns.items():
        try:
            found[extra] = float(row.get(column) or math.nan)
        except ValueError:
            continue
    return {extra: value for extra, value in found.items() if math.isfinite(value)}


def _opened(path: Path) -> Any:
    if not path.is_file():
        raise DatasetError(f"There is no label file {path}.")
    with path.open("rb") as stream:
        encoding = encoding_of(stream.read(2))
    return path.open(newline="", encoding=encoding)


def _header(
    texts: list[str], columns: tuple[str, ...], path: Path, optional: tuple[str, ...] = (), *, is_sheet: bool = False
) -> list[str]:
    """The names of the columns, with those in ``columns`` and ``optional`` spelled as there."""
    spelled = {name.lower(): name for name in (*columns, *optional)}
    header = [spelled.get(text.strip().lower(), text.strip()) for text in texts]
    # A sheet may hold other cells beside the table.
    unique = set(columns) if is_sheet else {*header} - {""}
    repeated = [name for name, count in Counter(header).items() if name in unique and count > 1]
    if repeated:
        raise DatasetError(f"{path} has the column {repeated[0]!r} more than once.")
    missing = [name for name in columns if name not in header]
    if missing:
        raise DatasetError(f"{path} has no column {missing[0]!r}; its columns are {[name for name in header if name]}.")
    return header


def _check_values(values: Row, columns: tuple[str, ...]) -> None:
    if any(not values.get(name) for name in columns):
        raise RowError(f"{values.place}: expected a value for each of {columns}.")


def _plain(value: Any) -> Any:
    """What a cell of MATLAB's holds, without the arrays around it."""
    while isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0]
    return value.item() if isinstance(value, np.generic) else value
