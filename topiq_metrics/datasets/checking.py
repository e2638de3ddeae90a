"""Which datasets a folder holds, and whether they are whole."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from topiq_metrics.datasets.base import DatasetReader, PairRecord, Record
from topiq_metrics.datasets.files import DatasetError, Folder

_WRAPPED = 100
"""A folder with more folders in it is none that was put around a few datasets."""


@dataclass(frozen=True)
class Finding:
    """What a folder was found to hold.

    Attributes:
        dataset: the dataset's key.
        folder: where it is.
        records: images or pairs, 0 where it is broken.
        problem: why it is not whole; empty where it is.
        splits: of a set that is not whole, the official splits that are, with their counts.
    """

    dataset: str
    folder: Path
    records: int
    problem: str = ""
    splits: Mapping[str, int] = field(default_factory=dict)


def find_datasets(root: str | os.PathLike[str]) -> list[tuple[str, Path]]:
    """The keys and folders of the datasets that a folder is, or that folders up to two levels below are, whole or not.

    The second level is not looked at below a dataset, nor in a folder with more than 100 others, nor where it cannot be
    read.

    Raises:
        DatasetError: there is no such folder.
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
            readable = [inner for inner in _below(folder) if os.access(inner.path, os.R_OK | os.X_OK)]
            found += [(key, inner.path) for inner in readable for key in _recognized(inner)]
    return found


def choose_datasets(place: str) -> list[tuple[str, Path, dict[str, Any]]]:
    """Like `find_datasets`, with options of the readers after a colon: ``/data/PIQ23:attribute=Details,by=scene``.

    Of a folder that holds several datasets, an option goes to those that have it.

    Returns:
        The key, the folder and the arguments of each dataset.

    Raises:
        DatasetError: there is no such folder, none of its datasets has such an option, or the option no such value.
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
    """Yield a finding for each dataset that a folder is or holds; see `find_datasets`.

    Label files are read, and every file that they name is looked for; images are not decoded.

    Raises:
        DatasetError: there is no such folder.
    """
    from topiq_metrics.datasets import all_datasets

    for key, path in find_datasets(root):
        yield _check(key, all_datasets()[key], path)


def _below(folder: Folder) -> Iterator[Folder]:
    """The folders in a folder, but for hidden ones and what macOS adds to archives."""
    for name in folder.subfolders():
        if not name.startswith(".") and name != "__MACOSX":
            yield folder.below(name)


def _recognized(folder: Folder) -> list[str]:
    from topiq_metrics.datasets import all_datasets

    return [key for key, reader in all_datasets().items() if reader.recognizes(folder)]


def _check(key: str, reader: type[DatasetReader[Any]], path: Path) -> Finding:
    try:
        parts = [reader(path, **options).records for options in reader.variants]
        _check_files([record for records in parts for record in records])
    except (DatasetError, ModuleNotFoundError) as error:
        return Finding(key, path, 0, str(error), _whole_splits(reader, path))
    return Finding(key, path, len(parts[0]))


def _whole_splits(reader: type[DatasetReader[Any]], path: Path) -> dict[str, int]:
    """The official splits that can be had without the others."""
    facts = reader.facts
    if facts.split.kind != "official" or len(facts.size) == 1 or None in facts.size.values():
        return {}
    whole = {}
    for split in facts.splits:
        try:
            records = reader(path, split).records
            _check_files(records)
        except (DatasetError, ModuleNotFoundError):
            continue
        whole[split] = len(records)
    return whole


def _check_files(records: list[Any]) -> None:
    seen: set[Path] = set()
    for record in records:
        for path in _files(record):
            if path not in seen:
                seen.add(path)
                if not (path.is_file() and path.stat().st_size):
                    raise DatasetError(f"{path} is no file, or an empty one; expected an image.")


def _files(record: Record | PairRecord) -> Iterator[Path]:
    if isinstance(record, PairRecord):
        yield from (record.reference, record.first, record.second)
        return
    yield record.image
    if record.reference is not None:
        yield record.reference
