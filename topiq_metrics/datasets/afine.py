"""DiffIQA and SRIQA-Bench: results that may look better than their reference (Chen et al., CVPR 2025)."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from topiq_metrics.datasets.base import DatasetFacts, PairDataset, PairRecord
from topiq_metrics.datasets.files import DatasetError, Folder, read_columns, read_score, separator_of

_COMMON: dict[str, Any] = {
    "citation": "D. Chen, T. Wu, K. Ma, L. Zhang. Toward generalized image quality assessment: relaxing the perfect "
    "reference quality assumption. CVPR 2025, arXiv 2503.11221",
    "license": "noncommercial academic research only",
    "source": "https://github.com/ChrisDud0257/AFINE",
    "score_range": (0.0, 1.0),
    "higher_is_better": True,
}
_ORIGINAL = "Original"


class SRIQABench(PairDataset):
    """``images/{method}/{content}_{method}x4.png``: ten results of super-resolution and the original.

    ``MOS/{content}.txt`` has a score for each. Every two images of a content are a pair; as its authors count, people
    prefer the image with the higher score.
    """

    facts = DatasetFacts(
        name="SRIQA-Bench",
        # 55 for each of 100 contents.
        size={"test": 5500},
        references=100,
        note="pairs, from the mean opinion scores of eleven images of a content, the original among them",
        **_COMMON,
    )
    marks: ClassVar = ("MOS_Gen", "MOS_Reg")
    rule = "majority"

    def read(self, folder: Folder) -> Iterator[PairRecord]:
        texts = [name for name in folder.names(folder.folder("MOS")) if name.lower().endswith(".txt")]
        folder.folder(f"images/{_ORIGINAL}")
        places = folder.subfolders("images")
        for text in texts:
            labels = folder.labels(f"MOS/{text}")
            scored: list[tuple[str, float, Path]] = []
            for row in read_columns(labels, ("name", "mos"), separator_of(labels)):
                path = folder.image(labels, *(f"{place}/{row['name']}" for place in places))
                if path is not None:
                    scored.append((row["name"].lower(), read_score(row["mos"], row.place), path))
            content = text.rpartition(".")[0]
            reference = folder.image(labels, f"images/{_ORIGINAL}/{content}_{_ORIGINAL}.png")
            if reference is None:
                continue
            for (name, score, first), (other, another, second) in itertools.combinations(scored, 2):
                preference = 0.5 if score == another else float(another > score)
                yield PairRecord(reference, first, second, preference, "test", f"{name}/{other}", content.lower())


class DiffIQA(PairDataset):
    """``{Train,Validation,Test}/images/{01…06}/x_01.png``: an enhanced image or its original, by three observers.

    The labels are ``labels/{A,B,C}/{01…06}/x_01.json``, in the folder of a part or in ``trainlabel/`` or similar. The
    preference, 0 to 1, is for the original, which is also the reference; "similar" counts half.

    Args:
        root: the dataset's folder.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        transform: as for `PairDataset`.
        triplets: read the pairs that the authors test on, in ``TripletEachType/*.txt``, which may be two enhanced
            images; the name in ``facts`` says so.
        options: those of `PairDataset`.
    """

    facts = DatasetFacts(
        name="DiffIQA",
        # Six images for each of 29868 references, 70, 10 and 20 % of them.
        size={"train": 125_448, "validation": 17_916, "test": 35_844},
        references=29_868,
        note="pairs of an enhanced image and its original, which is the reference too: what compares with references "
        "prefers it always; the option `triplets` is for the pairs that its authors test; their number could not be "
        "checked here, nor where the labels are",
        **_COMMON,
    )
    marks: ClassVar = tuple(f"{part}/images/{_ORIGINAL}" for part in ("Train", "Validation", "Test"))
    choices: ClassVar[Mapping[str, Mapping[str, Any]]] = {"triplets": {"no": False, "yes": True}}
    rule = "majority"
    observers: ClassVar = ("A", "B", "C")
    types: ClassVar = ("PSY", "PNY", "PYY", "SNY", "NYY")
    """Those that are tested: of positive, similar and negative images and the original."""
    votes: ClassVar[Mapping[str, float]] = {"Positive": 0.0, "Similar": 0.5, "Negative": 1.0}

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | None = None,
        transform: Callable[..., Any] | None = None,
        *,
        triplets: bool = False,
        **options: Any,
    ) -> None:
        self.triplets = triplets
        if triplets:
            size: dict[str, int | None] = dict.fromkeys(self.facts.size)
            self.facts = replace(self.facts, name=f"{self.facts.name} triplets", size=size, total=None)
        super().__init__(root, split, transform, **options)

    def read(self, folder: Folder) -> Iterator[PairRecord]:
        for split in self.wanted if self.split is None else (self.split,):
            part = split.capitalize()
            if self.partial and self.split is None and folder.find(part) is None:
                continue
            images = folder.folder(f"{part}/images")
            read = self._read_triplets if self.triplets else self._read_votes
            yield from read(folder, split, part, images)

    def _read_votes(self, folder: Folder, split: str, part: str, images: str) -> Iterator[PairRecord]:
        labels = folder.folder(*_places(part, "labels"))
        first = f"{labels}/{self.observers[0]}"
        folder.folder(first)
        for place in folder.subfolders(first):
            number = place.rpartition("/")[2]
            for name in folder.names(place):
                stem = name.rpartition(".")[0]
                content = stem.removesuffix(f"_{number}")
                paths = [folder.labels(f"{labels}/{who}/{number}/{name}") for who in self.observers]
                shares = [self._vote(path) for path in paths]
                image = folder.image(paths[0], f"{images}/{number}/{stem}.png")
                original = folder.image(paths[0], f"{images}/{_ORIGINAL}/{content}.png")
                if image is not None and original is not None:
                    share = sum(shares) / len(shares)
                    yield PairRecord(original, image, original, share, split, stem.lower(), content.lower())

    def _vote(self, path: Path) -> float:
        try:
            vote = json.loads(path.read_bytes())["Picture_AI"]["Label"]
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{path}: expected a label in 'Picture_AI': {error}") from error
        if vote not in self.votes:
            raise DatasetError(f"{path}: expected a label of {tuple(self.votes)}, but got {vote!r}.")
        return self.votes[vote]

    def _read_triplets(self, folder: Folder, split: str, part: str, images: str) -> Iterator[PairRecord]:
        lists = folder.folder(*_places(part, "TripletEachType"))
        for kind in self.types:
            labels = folder.labels(f"{lists}/{kind}.txt")
            for row in read_columns(labels, ("first", "second", "reference", "score"), ","):
                first, second = (
                    folder.image(labels, f"{images}/{_folder_of(row[role], row['reference'])}/{row[role]}")
                    for role in ("first", "second")
                )
                reference = folder.image(labels, f"{images}/{_ORIGINAL}/{row['reference']}")
                score = read_score(row["score"], row.place)
                if score not in {0.0, 0.5, 1.0}:
                    raise DatasetError(f"{row.place}: expected 0, 0.5 or 1 as score, but got {row['score']!r}.")
                if first is not None and second is not None and reference is not None:
                    id_ = f"{row['first']}/{row['second']}".lower()
                    group = row["reference"].rpartition(".")[0].lower()
                    # The file says whether the first is better.
                    extras = {"distortion": kind}
                    yield PairRecord(reference, first, second, 1 - score, split, id_, group, extras)


def _places(part: str, name: str) -> tuple[str, ...]:
    """Where the labels of a part may be: how its authors name the folder differs between their texts."""
    small = part.lower()
    return tuple(f"{part}/{inner}{name}" for inner in ("", f"{small}label/", f"{small.removesuffix('idation')}label/"))


def _folder_of(name: str, reference: str) -> str:
    return _ORIGINAL if name == reference else name.rpartition(".")[0].rpartition("_")[2]
