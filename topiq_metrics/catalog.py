"""The catalogue: one record for each metric, and the only list of them.

The registry, the weights, the command line, the docs' tables and the tests all read it. Facts about the released
models: Chen et al., "TOPIQ", IEEE TIP 33:2404–2418, 2024 (arXiv 2308.03060).
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Literal

Mode = Literal["NR", "FR"]

_HUB_REPO = "chaofengc/IQA-PyTorch-Weights"
_NONCOMMERCIAL = "noncommercial use only (NTU S-Lab License 1.0 / PolyForm Noncommercial 1.0.0)"
_TOPIQ = "Chen et al., TOPIQ, IEEE TIP 33:2404-2418, 2024, arXiv 2308.03060"


@dataclass(frozen=True)
class WeightsFile:
    """Where a metric's weights come from.

    Attributes:
        filename: name of the file in every place it is looked for.
        sha256: hexadecimal digits that the file's SHA-256 starts with; all 64 where they are known.
        license: terms of use, in words.
        hub_repo: Hugging Face model repository that has the file, or None where it is bundled.
    """

    filename: str
    sha256: str
    license: str
    hub_repo: str | None = _HUB_REPO

    @property
    def bundled(self) -> bool:
        return self.hub_repo is None


@dataclass(frozen=True)
class PublishedResult:
    """A correlation with human opinion as its authors gave it: PLCC without logistic fit, and SRCC."""

    dataset: str
    plcc: float
    srcc: float


@dataclass(frozen=True)
class ModelCard:
    """What is known of one metric.

    Attributes:
        name: the metric's name, in every toolbox.
        mode: ``"NR"`` scores an image by itself, ``"FR"`` against a reference.
        summary: one line for tables.
        weights: the weights file.
        network: keyword arguments of `topiq_metrics.models.cfanet.CFANetConfig`.
        size: size policy (see `topiq_metrics.images.SizePolicy`) applied before the network.
        score_range: lowest and highest score to expect. A head that predicts a score is unconstrained and may step
            a little beyond.
        higher_is_better: direction of the score.
        trained_on: dataset.
        paper: citation.
        metric: ``module:Class`` of the torchmetrics metric.
        published: results as published.
        unavailable: why the metric cannot be built yet, or an empty string.
    """

    name: str
    mode: Mode
    summary: str
    weights: WeightsFile
    network: dict[str, str | int | float] = field(hash=False)
    size: str
    score_range: tuple[float, float]
    trained_on: str
    paper: str
    metric: str
    higher_is_better: bool = True
    published: tuple[PublishedResult, ...] = ()
    unavailable: str = ""


_RESNET = {"backbone": "resnet50", "dim": 256, "heads": 4}
_RATING_RESNET = {"backbone": "resnet50", "dim": 512, "heads": 8, "bins": 10}
_RATING_SWIN = {**_RATING_RESNET, "backbone": "swin_base"}
_NR_METRIC = "topiq_metrics.metrics.topiq:TOPIQNoReference"
_FR_METRIC = "topiq_metrics.metrics.topiq:TOPIQFullReference"
_IAA_METRIC = "topiq_metrics.metrics.topiq:TOPIQAesthetic"
_NEEDS_SWIN = "its Swin-B backbone is not part of this version"
_NEEDS_FACE = "the face alignment it needs is not part of this version"


def _released(
    name: str, mode: Mode, summary: str, filename: str, trained_on: str, *results: PublishedResult, **changes: object
) -> ModelCard:
    values: dict[str, object] = {
        "network": {**_RESNET, "mode": mode},
        "size": "native",
        "score_range": (0.0, 1.0),
        "metric": _NR_METRIC if mode == "NR" else _FR_METRIC,
        **changes,
    }
    digits = filename.rpartition("-")[2].removesuffix(".pth")
    weights = WeightsFile(filename, digits, _NONCOMMERCIAL)
    return ModelCard(
        name=name,
        mode=mode,
        summary=summary,
        weights=weights,
        trained_on=trained_on,
        paper=_TOPIQ,
        published=results,
        **values,  # type: ignore[arg-type]
    )


_CARDS = (
    _released(
        "topiq_nr",
        "NR",
        "photographs",
        "cfanet_nr_koniq_res50-9a73138b.pth",
        "KonIQ-10k",
        PublishedResult("LIVE Challenge", 0.8261, 0.8106),
        PublishedResult("KonIQ-10k test", 0.9436, 0.9299),
        PublishedResult("TID2013", 0.5625, 0.4452),
        PublishedResult("FLIVE test", 0.6289, 0.5819),
        PublishedResult("SPAQ", 0.8744, 0.8704),
    ),
    _released(
        "topiq_nr-flive",
        "NR",
        "photographs and patches",
        "cfanet_nr_flive_res50-ded1c74e.pth",
        "FLIVE",
        size="short_side=384",
    ),
    _released("topiq_nr-spaq", "NR", "smartphone photographs", "cfanet_nr_spaq_res50-a7f799ac.pth", "SPAQ"),
    _released(
        "topiq_nr-face",
        "NR",
        "aligned faces, 512 px",
        "topiq_nr_cgfiqa_res50-0a8b8e4f.pth",
        "CGFIQA-40k",
        PublishedResult("CGFIQA-40k test", 0.9862, 0.9858),
        unavailable=_NEEDS_FACE,
    ),
    _released(
        "topiq_nr-face-v1",
        "NR",
        "aligned faces, 512 px",
        "topiq_nr_gfiqa_res50-d76bf1ae.pth",
        "GFIQA-20k",
        PublishedResult("CGFIQA-40k test", 0.9595, 0.9758),
        unavailable=_NEEDS_FACE,
    ),
    _released(
        "topiq_nr_swin-face",
        "NR",
        "aligned faces, 512 px",
        "topiq_nr_gfiqa_swin-7bb80a60.pth",
        "CGFIQA-40k",
        PublishedResult("CGFIQA-40k test", 0.9881, 0.9877),
        network={**_RESNET, "backbone": "swin_base"},
        size="square=384",
        unavailable=_NEEDS_SWIN,
    ),
    _released(
        "topiq_fr",
        "FR",
        "distorted against reference",
        "cfanet_fr_kadid_res50-2c4cc61d.pth",
        "KADID-10k",
        PublishedResult("CSIQ", 0.9589, 0.9674),
        PublishedResult("LIVE", 0.9542, 0.9759),
        PublishedResult("TID2008", 0.9045, 0.9226),
        PublishedResult("TID2013", 0.9158, 0.9165),
    ),
    _released("topiq_fr-pipal", "FR", "restored against reference", "cfanet_fr_pipal_res50-69bbe5ba.pth", "PIPAL"),
    _released(
        "topiq_iaa",
        "NR",
        "aesthetics",
        "cfanet_iaa_ava_swin-393b41b4.pth",
        "AVA",
        PublishedResult("AVA test", 0.7902, 0.7910),
        network=_RATING_SWIN,
        size="square=384",
        score_range=(1.0, 10.0),
        metric=_IAA_METRIC,
        unavailable=_NEEDS_SWIN,
    ),
    _released(
        "topiq_iaa_res50",
        "NR",
        "aesthetics",
        "cfanet_iaa_ava_res50-3cd62bb3.pth",
        "AVA",
        PublishedResult("AVA test", 0.7370, 0.7359),
        network=_RATING_RESNET,
        size="short_side=384",
        score_range=(1.0, 10.0),
        metric=_IAA_METRIC,
    ),
    ModelCard(
        name="topiq_nr-lite",
        mode="NR",
        summary="photographs; bundled, runs offline",
        weights=WeightsFile(
            "topiq_nr-lite.safetensors",
            "6aabbbd206c4bbe8263a008df5b21f86951e24ba00f05965c7c5a090e14b46c5",
            "Apache-2.0 (see its card for the data)",
            hub_repo=None,
        ),
        network={"backbone": "efficientnet_lite0", "dim": 128, "heads": 4, "gate_width": 16},
        size="max_side=512",
        score_range=(0.0, 1.0),
        trained_on="BIQ2021",
        paper=_TOPIQ,
        metric=_NR_METRIC,
    ),
)

CARDS: dict[str, ModelCard] = {card.name: card for card in _CARDS}
DEFAULT_NR = "topiq_nr-lite"


def get_card(name: str) -> ModelCard:
    """The card of the metric ``name``.

    Raises:
        ValueError: if there is no such metric; names near ``name`` are given.
    """
    try:
        return CARDS[name]
    except KeyError:
        raise ValueError(f"There is no metric named {name!r}. {suggest(name, CARDS)}") from None


def check_available(card: ModelCard) -> None:
    """Raise NotImplementedError, with the reason, if this version cannot build the metric."""
    if card.unavailable:
        raise NotImplementedError(f"{card.name} cannot be built yet: {card.unavailable}.")


def suggest(name: str, names: dict[str, ModelCard]) -> str:
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(repr(n) for n in near)}?"
    return f"Known are: {', '.join(sorted(names))}."
