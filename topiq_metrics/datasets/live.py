"""LIVE release 2 (Sheikh, Sabir, Bovik, IEEE TIP 2006) and LIVE Challenge (Ghadiyaram, Bovik, IEEE TIP 2016)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from topiq_metrics.datasets.base import ALL, DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.files import DatasetError, Folder, read_mat, read_score
from topiq_metrics.datasets.splits import BY_IMAGE, BY_REFERENCE


class LIVE(IQADataset):
    """29 references with five distortions and difference mean opinion scores, about 17…85, lower is better.

    Args:
        root: the dataset's folder, with ``jp2k/``, …, ``refimgs/`` and ``dmos.mat``.
        split: ``"train"`` or ``"test"`` of a random split, with ``seed``.
        transform: as for `IQADataset`.
        realigned: use the scores of ``dmos_realigned.mat``, −3…112; the default if there is no ``dmos.mat``. The name
            in ``facts`` is then "LIVE realigned".
        options: those of `IQADataset`.
    """

    facts = DatasetFacts(
        name="LIVE",
        size={ALL: 779},
        score_range=(17.0, 85.0),
        higher_is_better=False,
        citation="H. R. Sheikh, M. F. Sabir, A. C. Bovik. A statistical evaluation of recent full reference image "
        "quality assessment algorithms. IEEE Transactions on Image Processing 15(11), 2006",
        license="free of charge with its copyright notice; see the terms that come with it",
        source="https://live.ece.utexas.edu/research/quality/subjective.htm",
        references=29,
        split=BY_REFERENCE,
        note="realigned scores, of `dmos_realigned.mat`, are from -3 to 112",
    )
    marks: ClassVar = ("refnames_all.mat", "dmos.mat", "dmos_realigned.mat")
    choices: ClassVar = {"realigned": {"no": False, "yes": True}}
    images_of: ClassVar[Mapping[str, int]] = {"jp2k": 227, "jpeg": 233, "wn": 174, "gblur": 174, "fastfading": 174}
    """Images in each folder, in the order of the scores; copies of references are among them."""

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | None = None,
        transform: Callable[..., Any] | None = None,
        *,
        realigned: bool = False,
        **options: Any,
    ) -> None:
        self.realigned = realigned
        super().__init__(root, split, transform, **options)

    def read(self, folder: Folder) -> Iterator[Record]:
        names = folder.labels("refnames_all.mat")
        labels = folder.labels(*(() if self.realigned else ("dmos.mat",)), "dmos_realigned.mat")
        self.realigned = labels.name.lower() != "dmos.mat"
        if self.realigned:
            self.facts = replace(self.facts, name=f"{self.facts.name} realigned", score_range=(-3.0, 112.0))
        references = read_mat(names, "refnames_all")
        scores = read_mat(labels, "dmos_new" if self.realigned else "dmos")
        copies = read_mat(labels, "orgs")
        places = [(kind, index + 1) for kind, count in self.images_of.items() for index in range(count)]
        for path, values in ((names, references), (labels, scores), (labels, copies)):
            if len(values) != len(places):
                raise DatasetError(f"{path}: expected {len(places)} entries, but got {len(values)}.")
        rows = zip(places, references, scores, copies, strict=True)
        for (kind, index), reference, score, is_copy in rows:
            if is_copy:
                continue
            name = f"{kind}/img{index}.bmp"
            image = folder.image(labels, name)
            original = folder.image(names, f"refimgs/{reference}")
            if image is not None and original is not None:
                extras = {"distortion": kind}
                group = str(reference).lower()
                yield Record(image, read_score(score, labels), ALL, original, id=name, group=group, extras=extras)


class LIVEChallenge(IQADataset):
    """Phone photographs with authentic distortions, and mean opinion scores 0…100, higher is better.

    The first seven rows are the images that observers were trained with; they are left out.
    """

    facts = DatasetFacts(
        name="LIVE Challenge",
        size={ALL: 1162},
        score_range=(0.0, 100.0),
        higher_is_better=True,
        citation="D. Ghadiyaram, A. C. Bovik. Massive online crowdsourced study of subjective and objective picture "
        "quality. IEEE Transactions on Image Processing 25(1), 2016",
        license="free of charge with its copyright notice; see the terms that come with it",
        source="https://live.ece.utexas.edu/research/ChallengeDB/",
        split=BY_IMAGE,
    )
    marks: ClassVar = ("Data/AllMOS_release.mat", "Data/AllImages_release.mat")
    training_images: ClassVar = 7

    def read(self, folder: Folder) -> Iterator[Record]:
        labels = folder.labels("Data/AllMOS_release.mat")
        files = folder.labels("Data/AllImages_release.mat")
        scores = read_mat(labels, "AllMOS_release")
        names = read_mat(files, "AllImages_release")
        deviations_file = folder.labels("Data/AllStdDev_release.mat")
        deviations = read_mat(deviations_file, "AllStdDev_release")
        for file, values in ((files, names), (deviations_file, deviations)):
            if len(values) != len(scores):
                raise DatasetError(f"{file}: expected {len(scores)} entries, as in {labels.name}, got {len(values)}.")
        images = folder.folder("Images")
        rows = list(zip(names, scores, deviations, strict=True))[self.training_images :]
        for name, score, deviation in rows:
            path = folder.image(files, f"{images}/{name}")
            if path is not None:
                extras = {"std": read_score(deviation, deviations_file)}
                yield Record(path, read_score(score, labels), ALL, extras=extras)
