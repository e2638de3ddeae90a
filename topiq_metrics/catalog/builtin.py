"""The metrics of this package: one record for each, and the only list of them.

Facts about the released models: Chen et al., "TOPIQ", IEEE TIP 33:2404–2418, 2024 (arXiv 2308.03060).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from topiq_metrics.catalog.cards import FACE_DETECTOR, Mode, ModelCard, PublishedResult, WeightsFile
from topiq_metrics.catalog.networks import CFANetConfig, LPIPSPlusConfig

_HUB_REPO = "chaofengc/IQA-PyTorch-Weights"
_NONCOMMERCIAL = "noncommercial use only (NTU S-Lab License 1.0 / PolyForm Noncommercial 1.0.0)"
_TORCHVISION = "BSD-3-Clause (torchvision; ImageNet), linear weights BSD-2-Clause (LPIPS, from torchmetrics)"
_TOPIQ = "Chen et al., TOPIQ, IEEE TIP 33:2404-2418, 2024, arXiv 2308.03060"
_QFM_IQM = (
    "Adaptive Feature Selection for No-Reference Image Quality Assessment by Mitigating Semantic Noise "
    "Sensitivity, ICML 2024, arXiv 2312.06158"
)

_RESNET = CFANetConfig("resnet50", dim=256, heads=4)
_RESNET_FR = replace(_RESNET, mode="FR")
_SWIN = replace(_RESNET, backbone="swin_base")
_RATING_RESNET = replace(_RESNET, dim=512, heads=8, bins=10)
_RATING_SWIN = replace(_RATING_RESNET, backbone="swin_base")
_LITE = CFANetConfig("efficientnet_lite0", dim=128, heads=4, gate_width=16)
_NR_METRIC = "topiq_metrics.metrics.topiq:TOPIQNoReference"
_FR_METRIC = "topiq_metrics.metrics.topiq:TOPIQFullReference"
_IAA_METRIC = "topiq_metrics.metrics.topiq:TOPIQAesthetic"
_FACE_METRIC = "topiq_metrics.metrics.face:TOPIQFace"
_LPIPS_METRIC = "topiq_metrics.metrics.lpips:LPIPSPlus"


def _digits(filename: str) -> str:
    """The start of a file's SHA-256, as its name has it."""
    return filename.rpartition("-")[2].removesuffix(".pth")


def _released(
    name: str,
    mode: Mode,
    summary: str,
    filename: str,
    trained_on: str,
    *results: PublishedResult,
    network: CFANetConfig | None = None,
    size: str = "native",
    score_range: tuple[float, float] = (0.0, 1.0),
    metric: str = "",
    also_needs: tuple[WeightsFile, ...] = (),
) -> ModelCard:
    return ModelCard(
        name=name,
        mode=mode,
        summary=summary,
        score_range=score_range,
        metric=metric or (_NR_METRIC if mode == "NR" else _FR_METRIC),
        trained_on=trained_on,
        paper=_TOPIQ,
        weights=WeightsFile(filename, _digits(filename), _NONCOMMERCIAL, _HUB_REPO),
        also_needs=also_needs,
        network=network or (_RESNET if mode == "NR" else _RESNET_FR),
        size=size,
        published=results,
    )


def _lpips_plus(
    name: str, backbone: Literal["alexnet", "vgg16"], filename: str, *results: PublishedResult
) -> ModelCard:
    url = f"https://download.pytorch.org/models/{filename}"
    weights = WeightsFile(filename, _digits(filename), _TORCHVISION, url=url, cached_by="torchvision")
    return ModelCard(
        name=name,
        mode="FR",
        summary="perceptual distance, weighted by semantics",
        score_range=(0.0, 1.0),
        metric=_LPIPS_METRIC,
        trained_on="BAPPS (ImageNet features)",
        paper=_TOPIQ,
        weights=weights,
        network=LPIPSPlusConfig(backbone, semantic_layer=2),
        higher_is_better=False,
        published=results,
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
        PublishedResult("FLIVE with patches test", 0.6289, 0.5819),
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
        metric=_FACE_METRIC,
        also_needs=(FACE_DETECTOR,),
    ),
    _released(
        "topiq_nr-face-v1",
        "NR",
        "aligned faces, 512 px",
        "topiq_nr_gfiqa_res50-d76bf1ae.pth",
        "GFIQA-20k",
        PublishedResult("CGFIQA-40k test", 0.9595, 0.9758),
        metric=_FACE_METRIC,
        also_needs=(FACE_DETECTOR,),
    ),
    _released(
        "topiq_nr_swin-face",
        "NR",
        "aligned faces, 512 px",
        "topiq_nr_gfiqa_swin-7bb80a60.pth",
        "CGFIQA-40k",
        PublishedResult("CGFIQA-40k test", 0.9881, 0.9877),
        network=_SWIN,
        size="square=384",
        metric=_FACE_METRIC,
        also_needs=(FACE_DETECTOR,),
    ),
    _released(
        "topiq_fr",
        "FR",
        "distorted against reference",
        "cfanet_fr_kadid_res50-2c4cc61d.pth",
        "KADID-10k",
        PublishedResult("CSIQ", 0.9589, 0.9674),
        PublishedResult("LIVE realigned", 0.9542, 0.9759),
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
            "1237eade5a612885ba8169150045346620e7a825296ab56189751a26b5fec7f9",
            "Apache-2.0 (see its card for the data)",
        ),
        readout=WeightsFile(
            "topiq_nr-lite.readout.safetensors",
            "03a53c5e1e1e514c618df77c6da82e6175c46759ec09e78e95966afd49a6a342",
            "Apache-2.0 (see its card for the data)",
        ),
        network=_LITE,
        size="max_side=512",
        score_range=(0.0, 1.0),
        trained_on="BIQ2021",
        paper=_TOPIQ,
        metric=_NR_METRIC,
    ),
    ModelCard(
        name="qfm_iqm-lite",
        mode="NR",
        summary="photographs, with quality-aware feature matching; for you to train",
        weights=WeightsFile("qfm_iqm-lite.safetensors", "", "that of the data it is trained on", recipe="qfm_iqm-lite"),
        network=replace(_LITE, feature_selection=True),
        size="max_side=512",
        score_range=(0.0, 1.0),
        trained_on="what you train it on",
        paper=_QFM_IQM,
        metric=_NR_METRIC,
    ),
    ModelCard(
        name="topiq_fr-lite",
        mode="FR",
        summary="against a reference; bundled, runs offline",
        weights=WeightsFile(
            "topiq_fr-lite.safetensors",
            "0a77bd60c44bb2362fcd5b622ac7c096da3e2ccc4cbb6e7294c6488e3059194f",
            "Apache-2.0 (see its card for the data)",
        ),
        network=replace(_LITE, mode="FR", anchored=True),
        size="max_short_side=384",
        score_range=(0.0, 1.0),
        trained_on="KADID-10k's mean scores, on other pictures",
        paper=_TOPIQ,
        metric=_FR_METRIC,
    ),
    _lpips_plus(
        "lpips+",
        "alexnet",
        "alexnet-owt-7be5be79.pth",
        PublishedResult("CSIQ", 0.9041, 0.9285),
        PublishedResult("LIVE realigned", 0.8456, 0.9248),
        PublishedResult("TID2008", 0.7318, 0.7379),
        PublishedResult("TID2013", 0.7656, 0.7623),
    ),
    _lpips_plus(
        "lpips-vgg+",
        "vgg16",
        "vgg16-397923af.pth",
        PublishedResult("CSIQ", 0.9169, 0.8940),
        PublishedResult("LIVE realigned", 0.9499, 0.9503),
        PublishedResult("TID2008", 0.7406, 0.6869),
        PublishedResult("TID2013", 0.7606, 0.6913),
    ),
)

CARDS: dict[str, ModelCard] = {card.name: card for card in _CARDS}
DEFAULT_NR = "topiq_nr-lite"
DEFAULT_FR = "topiq_fr-lite"
