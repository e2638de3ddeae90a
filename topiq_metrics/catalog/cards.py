"""What the catalogue records about a metric and a weights file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from topiq_metrics.catalog.networks import CFANetConfig, LPIPSPlusConfig

Mode = Literal["NR", "FR"]


@dataclass(frozen=True)
class WeightsFile:
    """A weights file: where it comes from and how it is checked.

    Attributes:
        filename: name of the file, the same in every place where it is looked for.
        sha256: the first hexadecimal digits of the file's SHA-256; all 64 if they are known.
        license: terms of use, in words.
        hub_repo: Hugging Face model repository that has the file, or None.
        url: where the file is downloaded from if no such repository has it, or None.
        recipe: the training recipe that produces the file, if it is not published.
        cached_by: another package whose cache may contain the file.
    """

    filename: str
    sha256: str
    license: str
    hub_repo: str | None = None
    url: str | None = None
    recipe: str | None = None
    cached_by: Literal["pyiqa", "torchvision", "facexlib"] = "pyiqa"

    @property
    def bundled(self) -> bool:
        return not self.published and self.recipe is None

    @property
    def published(self) -> bool:
        """Whether the file can be downloaded."""
        return self.hub_repo is not None or self.url is not None


FACE_SIDE = 512
"""Side of an aligned face, in pixels."""

FACE_DETECTOR = WeightsFile(
    "detection_Resnet50_Final.pth",
    "6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
    "MIT (facexlib; trained on WIDER FACE)",
    url="https://github.com/xinntao/facexlib/releases/download/v0.1.0/detection_Resnet50_Final.pth",
    cached_by="facexlib",
)


@dataclass(frozen=True)
class PublishedResult:
    """Correlation with human scores as its authors report it: PLCC without logistic fit, and SRCC."""

    dataset: str
    plcc: float
    srcc: float


@dataclass(frozen=True)
class ModelCard:
    """The record of one metric.

    Attributes:
        name: the metric's name.
        mode: ``"NR"`` for a no-reference metric, ``"FR"`` for a full-reference one.
        summary: one line for tables.
        score_range: lowest and highest score to expect. A head that predicts a score is unconstrained and may exceed
            the range slightly.
        metric: ``module:Class`` of the torchmetrics metric; called with ``model=name`` and the user's arguments.
        trained_on: the dataset it was trained on.
        paper: citation.
        weights: the weights file, or None for a metric that needs none.
        also_needs: further weights files, such as that of a face detector.
        readout: bundled file that predicts local quality from the levels of its network, if one was trained for these
            weights.
        network: configuration of its network; None for a metric of another distribution, which has its own.
        size: size policy (see `topiq_metrics.images.SizePolicy`) applied before the network.
        higher_is_better: direction of the score.
        published: published results.
    """

    name: str
    mode: Mode
    summary: str
    score_range: tuple[float, float]
    metric: str
    trained_on: str = ""
    paper: str = ""
    weights: WeightsFile | None = None
    also_needs: tuple[WeightsFile, ...] = ()
    readout: WeightsFile | None = None
    network: CFANetConfig | LPIPSPlusConfig | None = None
    size: str = "native"
    higher_is_better: bool = True
    published: tuple[PublishedResult, ...] = ()

    @property
    def files(self) -> tuple[WeightsFile, ...]:
        """Every weights file that the metric needs."""
        return (() if self.weights is None else (self.weights,)) + self.also_needs

    @property
    def files_to_verify(self) -> tuple[WeightsFile, ...]:
        """Every weights file that the metric, or what explains its scores, uses."""
        return self.files + (() if self.readout is None else (self.readout,))

    @property
    def is_foreign(self) -> bool:
        """Whether it is a metric of another distribution, which has its own network."""
        return self.network is None

    @property
    def is_topiq(self) -> bool:
        """Whether its network is TOPIQ's, CFANet."""
        return isinstance(self.network, CFANetConfig)

    @property
    def scores_faces(self) -> bool:
        """Whether it scores faces that a detector finds in a photograph."""
        return FACE_DETECTOR in self.also_needs

    @property
    def bins(self) -> int:
        """1 if the network predicts a score, K > 1 if it predicts a distribution over the ratings 1…K."""
        return 1 if self.network is None else self.network.bins

    def check_reference(self, reference: object) -> None:
        """Raise ValueError if a full-reference metric gets no reference, or a no-reference metric gets one."""
        if self.mode == "FR" and reference is None:
            raise ValueError(f"{self.name!r} is a full-reference metric: name the reference.")
        if self.mode == "NR" and reference is not None:
            raise ValueError(f"{self.name!r} scores an image by itself: leave out the reference.")
