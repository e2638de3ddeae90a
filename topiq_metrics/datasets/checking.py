"""Which datasets a folder holds, and whether they are complete."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from topiq_metrics.datasets.base import ALL, DatasetReader, PairRecord, Record
from topiq_metrics.datasets.files import DatasetError, Folder

_WRAPPED = 100
"""A folder with more folders in it is none that was put around a few datasets."""


@dataclass(frozen=True)
class Finding:
    """The result of checking one dataset in a folder.

    Attributes:
        dataset: the dataset's key.
        folder: its folder.
        records: number of images or pairs; 0 if it is incomplete.
        problem: why it is incomplete; an empty string if it is complete.
        splits: of an incomplete dataset, the official splits that are complete, with their counts.
        usable: number of images or pairs that can be used with ``partial=True``.
        missing: number of images that label files name but that do not exist, or are empty files.
    """

    dataset: str
    folder: Path
    records: int
    problem: str = ""
    splits: Mapping[str, int] = field(default_factory=dict)
    usable: int = 0
    missing: int = 0


def find_datasets(root: str | os.PathLike[str]) -> list[tuple[str, Path]]:
    """Find datasets, complete or not, in a folder and up to two levels below it.

    The second level is skipped below a dataset and in a folder with more than 100 subfolders; so is whatever cannot be
    read.

    Returns:
        The key and the folder of each dataset.

    Raises:
        DatasetError: the folder does not exist.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"There is no folder {root}.")
    top = Folder(root, root.name)
    itself = _recognized(top)
    found = [(key, root) for key in itself]
    for folder in _below(top):
        keys = _recognized(folder)
        # A folder of a dataset may look like the whole of it.
        found += [(key, folder.path) for key in keys if key not in itself]
        if not keys and not itself and len(folder.subfolders()) <= _WRAPPED:
            found += [(key, inner.path) for inner in _below(folder) for key in _recognized(inner)]
    return found


def choose_datasets(place: str) -> list[tuple[str, Path, dict[str, Any]]]:
    """Like `find_datasets`, with options of the readers after a colon: ``/data/PIQ23:attribute=Details,by=scene``.

    If a folder holds several datasets, an option applies to those that have it.

    Returns:
        The key, the folder and the arguments of each dataset.

    Raises:
        DatasetError: the folder does not exist, none of its datasets has the option, or the value is invalid.
    """
    from topiq_metrics.datasets import all_datasets

    match = None if Path(place).exists() else re.fullmatch(r"(.+):(\w+=\w+(?:,\w+=\w+)*)", place)
    root, text = match.groups() if match else (place, "")
    asked = dict(option.split("=") for option in text.split(",")) if text else {}
    found = [(key, path, all_datasets()[key].choices) for key, path in find_datasets(root)]
    for option, value in asked.items():
        values = next((choices[option] for _, _, choices in found if option in choices), None)
        if values is None:
            known = sorted({name for _, _, choices in found for name in choices})
            raise DatasetError(f"No dataset in '{root}' has an option {option!r}; they have {known}.")
        if value not in values:
            raise DatasetError(f"Option {option!r} must be one of {tuple(values)}, but got {value!r}.")
    return [
        (key, path, {option: choices[option][value] for option, value in asked.items() if option in choices})
        for key, path, choices in found
    ]


def check_folder(root: str | os.PathLike[str]) -> Iterator[Finding]:
    """Check each dataset in a folder; see `find_datasets`. Yields a finding for each.

    Label files are read, and every file that they name is looked for; images are not decoded. A dataset with official
    splits is incomplete if its label files do not contain them.

    Raises:
        DatasetError: the folder does not exist.
    """
    from topiq_metrics.datasets import all_datasets

    for key, path in find_datasets(root):
        yield _check(key, all_datasets()[key], path)


def _below(folder: Folder) -> Iterator[Folder]:
    """The folders in a folder that can be read, but for hidden ones and what macOS adds to archives."""
    for name in folder.subfolders():
        if not name.startswith(".") and name != "__MACOSX" and os.access(folder.path / name, os.R_OK | os.X_OK):
            yield folder.below(name)


def _recognized(folder: Folder) -> list[str]:
    from topiq_metrics.datasets import all_datasets

    return [key for key, reader in all_datasets().items() if reader.recognizes(folder)]


def _check(key: str, reader: type[DatasetReader[Any]], path: Path) -> Finding:
    try:
        parts = [reader(path, **options) for options in reader.variants]
        _check_files([record for part in parts for record in part.records])
    except (DatasetError, ModuleNotFoundError) as error:
        usable, missing = _usable(reader, path)
        return Finding(key, path, 0, str(error), _whole_splits(reader, path), usable, missing)
    count = len(parts[0])
    if problem := _split_problem(reader, parts[0]):
        return Finding(key, path, 0, problem, usable=count)
    return Finding(key, path, count, usable=count)


def _usable(reader: type[DatasetReader[Any]], path: Path) -> tuple[int, int]:
    """Records of a part of a set whose images are there, and how many images are not."""
    try:
        part = reader(path, partial=True, **reader.variants[0])
    except (DatasetError, ModuleNotFoundError):
        return 0, 0
    absent: dict[Path, bool] = {}
    for record in part.records:
        for file in _files(record):
            if file not in absent:
                absent[file] = not _is_image(file)
    usable = sum(not any(absent[file] for file in _files(record)) for record in part.records)
    return usable, len(part.missing) + sum(absent.values())


def _split_problem(reader: type[DatasetReader[Any]], whole: DatasetReader[Any]) -> str:
    """Why the splits of a set are not known, though its authors say them; empty where they are."""
    facts = whole.facts
    if facts.split.kind != "official" or len(facts.size) == 1 or {record.split for record in whole.records} != {ALL}:
        return ""
    try:
        reader(whole.root, facts.splits[0], partial=True, **reader.variants[0])
    except (DatasetError, ModuleNotFoundError) as error:
        return f"images and scores are whole, but the splits are not known: {error}"
    return ""


def _whole_splits(reader: type[DatasetReader[Any]], path: Path) -> dict[str, int]:
    """The official splits that can be had without the others."""
    facts = reader.facts
    if facts.split.kind != "official" or len(facts.size) == 1:
        return {}
    whole = {}
    for split in (split for split, size in facts.size.items() if size is not None):
        try:
            records = reader(path, split).records
            _check_files(records)
        except (DatasetError, ModuleNotFoundError):
            continue
        whole[split] = len(records)
    return whole


def _check_files(records: list[Any]) -> None:
    files = dict.fromkeys(path for record in records for path in _files(record))
    absent = [path for path in files if not _is_image(path)]
    if absent:
        also = f", and so are {len(absent) - 1} others" if len(absent) > 1 else ""
        raise DatasetError(f"{absent[0]} is no file, or an empty one{also}; expected an image.")


def _is_image(path: Path) -> bool:
    """Whether there may be an image: there is a file, and it is not empty."""
    return path.is_file() and path.stat().st_size > 0


def _files(record: Record | PairRecord) -> Iterator[Path]:
    if isinstance(record, PairRecord):
        yield from (record.reference, record.first, record.second)
        return
    yield record.image
    if record.reference is not None:
        yield record.reference
