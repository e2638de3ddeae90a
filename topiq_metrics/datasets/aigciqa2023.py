"""AIGCIQA2023: generated images, with three scores each (Wang et al., CICAI 2023)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from topiq_metrics.datasets.base import ALL, DatasetFacts, Extras, IQADataset, Record
from topiq_metrics.datasets.files import DatasetError, Folder, read_mat, read_score
from topiq_metrics.datasets.splits import BY_PROMPT


class AIGCIQA2023(IQADataset):
    """``Image/allimg/{0…2399}.png`` with scores 0…100, higher is better, in ``DATA/MOS/mosz{1,2,3}.mat``.

    Args:
        root: the dataset's folder.
        split: ``"train"`` or ``"test"`` of a random split, by prompt, with ``seed``.
        transform: as for `IQADataset`.
        score: ``"quality"``, ``"authenticity"`` or ``"correspondence"`` (with the prompt); the name in ``facts`` has it
            unless it is the first. The others are extras.
        options: those of `IQADataset`.
    """

    facts = DatasetFacts(
        name="AIGCIQA2023",
        size={ALL: 2400},
        score_range=(0.0, 100.0),
        higher_is_better=True,
        citation="J. Wang, H. Duan, J. Liu, S. Chen, X. Min, G. Zhai. AIGCIQA2023: a large-scale image quality "
        "assessment database for AI generated images: from the perspectives of quality, authenticity and "
        "correspondence. CICAI 2023, arXiv 2307.00211",
        license="none stated in its repository",
        source="https://github.com/wangjiarui153/AIGCIQA2023",
        split=BY_PROMPT,
        note="three scores: quality, authenticity and correspondence with the prompt; six models with four images for "
        "each of 100 prompts, in this order; the range could not be checked here",
    )
    scores: ClassVar[Mapping[str, str]] = {
        "quality": "mosz1.mat",
        "authenticity": "mosz2.mat",
        "correspondence": "mosz3.mat",
    }
    choices: ClassVar = {"score": {name: name for name in scores}}
    variants: ClassVar = tuple({"score": name} for name in scores)
    marks: ClassVar = ("DATA/MOS/mosz1.mat",)
    prompts: ClassVar = 100
    images_of_prompt: ClassVar = 4
    """Of each model, one after the other."""

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | None = None,
        transform: Callable[..., Any] | None = None,
        *,
        score: str = "quality",
        **options: Any,
    ) -> None:
        if score not in self.scores:
            raise DatasetError(f"Argument `score` must be one of {tuple(self.scores)}, but got {score!r}.")
        if score != "quality":
            self.facts = replace(self.facts, name=f"{self.facts.name} {score}")
        self.score = score
        super().__init__(root, split, transform, **options)

    def read(self, folder: Folder) -> Iterator[Record]:
        labels = folder.labels(f"DATA/MOS/{self.scores[self.score]}")
        scores = read_mat(labels, "MOSz")
        others = {}
        for name, file in self.scores.items():
            if name != self.score and folder.find(f"DATA/MOS/{file}") is not None:
                path = folder.labels(f"DATA/MOS/{file}")
                values = [read_score(value, path) for value in read_mat(path, "MOSz")]
                if len(values) != len(scores):
                    raise DatasetError(f"{path}: expected {len(scores)} entries, but got {len(values)}.")
                others[name] = values
        images = folder.folder("Image/allimg", "Image/allimg/allimg", "Image", "allimg")
        for index, score in enumerate(scores):
            image = folder.image(labels, f"{images}/{index}.png", f"{images}/allimg/{index}.png")
            if image is not None:
                prompt = str(index // self.images_of_prompt % self.prompts)
                extras: Extras = {"prompt": prompt, **{name: other[index] for name, other in others.items()}}
                yield Record(image, read_score(score, labels), ALL, group=prompt, extras=extras)
