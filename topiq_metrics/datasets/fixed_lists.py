"""Fixed test lists: the images on which works with multimodal models report results, such as Q-Align and DeQA-Score."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from topiq_metrics.datasets.base import ALL, DatasetFacts, IQADataset
from topiq_metrics.datasets.files import DatasetError, Folder
from topiq_metrics.datasets.splits import OFFICIAL, split_hash

MULTIMODAL = "multimodal"
"""What the argument ``test_list`` is for the list of these works."""


@dataclass(frozen=True)
class FixedList:
    """Which images of a set are tested.

    Attributes:
        count: how many.
        hash: their `split_hash`; empty where that is not known here.
        files: names of the list's file, in the set's folder or in ``metas/`` there: a JSON list of objects, each with
            the path of an image as ``image`` or ``img_path``.
        rule: whether an image is on the list, by its name in small letters, and its official split; None where only the
            file says that.
    """

    count: int
    hash: str
    files: tuple[str, ...]
    rule: Callable[[str, str], bool] | None = None


class ListedDataset(IQADataset):
    """An `IQADataset` of which some works test a fixed list of images.

    Args:
        root: the dataset's folder.
        split: one of ``facts.splits``; of a test list, ``"test"``.
        transform: as for `IQADataset`.
        test_list: ``"multimodal"`` for the list of Q-Align (Wu et al., ICML 2024) and DeQA-Score (You et al., CVPR
            2025), or the JSON file that holds it; ``facts`` name it. Some lists follow from a rule; for others, put the
            authors' file into the folder.
        options: those of `IQADataset`.
    """

    fixed_list: ClassVar[FixedList]
    choices: ClassVar[Mapping[str, Mapping[str, Any]]] = {"test_list": {"no": None, MULTIMODAL: MULTIMODAL}}

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | None = None,
        transform: Callable[..., Any] | None = None,
        *,
        test_list: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        self.test_list = test_list
        self.facts = self.facts_in(Folder(Path(root), self.facts.name), split=split, test_list=test_list)
        super().__init__(root, split, transform, **options)

    @classmethod
    def facts_in(cls, folder: Folder, **options: Any) -> DatasetFacts:
        if options.get("test_list") is None:
            return super().facts_in(folder, **options)
        name = f"{cls.facts.name} {MULTIMODAL} test"
        return replace(cls.facts, name=name, size={"test": cls.fixed_list.count}, total=None, split=OFFICIAL)

    @property
    def only_split(self) -> str:
        """The split of a record where the label files say none."""
        return ALL if self.test_list is None else "test"

    def on_test_list(self, folder: Folder) -> Callable[[str, str], bool]:
        """Whether an image is asked for, by its name and its official split: on the list, or anyhow without one.

        Raises:
            DatasetError: there is no such list, or it is another one.
        """
        if self.test_list is None:
            return lambda _name, _split: True
        known = self.fixed_list
        if self.test_list == MULTIMODAL:
            found = next((path for path in map(folder.find, _places(known)) if path is not None), None)
            if found is None and known.rule is not None:
                rule = known.rule
                return lambda name, split: rule(name.lower(), split)
            if found is None:
                raise DatasetError(
                    f"{self.facts.name}: there is no list {folder.path / known.files[0]}, nor "
                    f"{', nor '.join(_places(known)[1:])}: get it from its authors, or name it: `test_list=`."
                )
        else:
            found = Path(self.test_list)
        names = _read(found)
        if len(names) != known.count or known.hash not in {"", split_hash(map(_Name, names))}:
            raise DatasetError(
                f"{found}: expected the {known.count} images that Q-Align and DeQA-Score test, but got {len(names)}"
                f"{'' if len(names) != known.count else ' others'}."
            )
        return lambda name, _split: name.lower() in names


@dataclass(frozen=True)
class _Name:
    id: str
    group: str = ""


def _places(known: FixedList) -> list[str]:
    return [*known.files, *(f"metas/{name}" for name in known.files)]


def _read(path: Path) -> frozenset[str]:
    """The names of the images, in small letters and without folders."""
    if not path.is_file():
        raise DatasetError(f"There is no list {path}.")
    try:
        entries = json.loads(path.read_bytes())
    except ValueError as error:
        raise DatasetError(f"{path} is not a JSON file: {error}") from error
    names = set()
    for entry in entries if isinstance(entries, list) else [entries]:
        place = (entry.get("image") or entry.get("img_path")) if isinstance(entry, dict) else None
        if not isinstance(place, str):
            raise DatasetError(f"{path}: expected a list of objects with the path of an image as `image`.")
        names.add(PurePosixPath(place.replace("\\", "/")).name.lower())
    return frozenset(names)
