"""LIVE MD: two distortions after one another (Jayaraman, Mittal, Moorthy, Bovik, Asilomar 2012)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import ClassVar

from topiq_metrics.datasets.base import ALL, DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.files import DatasetError, Folder, read_mat, read_score
from topiq_metrics.datasets.splits import BY_REFERENCE


class LIVEMD(IQADataset):
    """``Part 1/blurjpeg/*.bmp`` and ``Part 2/blurnoise/*.bmp`` with DMOS of about 0…100, lower is better.

    Next to the images of a part are ``Imagelists.mat`` and ``Scores.mat``.
    """

    facts = DatasetFacts(
        name="LIVE MD",
        size={ALL: 450},
        score_range=(0.0, 100.0),
        higher_is_better=False,
        citation="D. Jayaraman, A. Mittal, A. K. Moorthy, A. C. Bovik. Objective quality assessment of multiply "
        "distorted images. Asilomar Conference on Signals, Systems and Computers, 2012",
        license="free of charge with its copyright notice; see the terms that come with it",
        source="https://live.ece.utexas.edu/research/quality/live_multidistortedimage.html",
        references=15,
        split=BY_REFERENCE,
        note="images that are only blurred are in both parts, each with a score of its own; the range could not be "
        "checked here",
    )
    marks: ClassVar = ("Part 1/Imagelists.mat", "To_Release/Part 1/Imagelists.mat")
    parts: ClassVar[Mapping[str, str]] = {"Part 1": "blurjpeg", "Part 2": "blurnoise"}

    def read(self, folder: Folder) -> Iterator[Record]:
        prefix = "" if folder.find("To_Release") is None else "To_Release/"
        for part, kind in self.parts.items():
            place = folder.folder(f"{prefix}{part}")
            lists, labels = folder.labels(f"{place}/Imagelists.mat"), folder.labels(f"{place}/Scores.mat")
            names, originals = read_mat(lists, "distimgs"), read_mat(lists, "refimgs")
            numbers, scores = read_mat(lists, "ref4dist"), read_mat(labels, "DMOSscores")
            for path, values in ((lists, numbers), (labels, scores)):
                if len(values) != len(names):
                    raise DatasetError(f"{path}: expected {len(names)} entries, but got {len(values)}.")
            for name, number, score in zip(names, numbers, scores, strict=True):
                if not 1 <= number <= len(originals):
                    raise DatasetError(f"{lists}: expected numbers of references, 1 to {len(originals)}, got {number}.")
                reference = str(originals[int(number) - 1])
                image = folder.image(lists, f"{place}/{kind}/{name}")
                original = folder.image(lists, f"{place}/{kind}/{reference}")
                if image is not None and original is not None:
                    group = PurePosixPath(reference).stem.lower()
                    id_ = f"{kind}/{name}".lower()
                    extras = {"distortion": kind}
                    yield Record(image, read_score(score, labels), ALL, original, id=id_, group=group, extras=extras)
