"""Which datasets a folder holds, and whether they are whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topiq_metrics.datasets.base import DatasetReader, PairRecord, Record
from topiq_metrics.datasets.files import DatasetError, Folder


@dataclass(frozen=True)
class Finding:
    """What a folder was found to hold.

    Attributes:
        dataset: the dataset's key.
        folder: where it is.
        records: images or pairs, 0 where it is broken.
        problem: why it is not whole; empty where it is.
    """

    dataset: str
    folder: Path
    records: int
    problem: str = ""


def find_datasets(root: str | os.PathLike[str]) -> list[tuple[str, Path]]:
    """The keys and folders of the datasets that a folder is, or that its direct subfolders are, whole or not.

    Raises:
        DatasetError: there is no such folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"There is no folder {root}.")
    found = [(key, root) for key in _recognized(root)]
    itself = [key for key, _ in found]
    for path in sorted(entry for entry in root.iterdir() if entry.is_dir()):
        # A folder of a dataset may look like the whole of it.
        found += [(key, path) for key in _recognized(path) if key not in itself]
    return found


def check_folder(root: str | os.PathLike[str]) -> Iterator[Finding]:
    """Yield a finding for each dataset that a folder is, or that one of its direct subfolders is.

    Label files are read, and every file that they name is looked for; images are not decoded.

    Raises:
        DatasetError: there is no such folder.
    """
    from topiq_metrics.datasets import all_datasets

    for key, path in find_datasets(root):
        yield _check(key, all_datasets()[key], path)


def _recognized(path: Path) -> list[str]:
    from topiq_metrics.datasets import all_datasets

    folder = Folder(path, path.name)
    return [key for key, reader in all_datasets().items() if reader.recognizes(folder)]


def _check(key: str, reader: type[DatasetReader[Any]], path: Path) -> Finding:
    try:
        parts = [reader(path, **options).records for options in reader.variants]
        _check_files([record for records in parts for record in records])
    except (DatasetError, ModuleNotFoundError) as error:
        return Finding(key, path, 0, str(error))
    return Finding(key, path, len(parts[0]))


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
