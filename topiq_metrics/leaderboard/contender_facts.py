"""What is known of the metrics that boards compare: their papers, and whose opinion scores they have learned from.

Of pyiqa's weights, the dataset is the one in the name of the weights file that pyiqa 0.1.16 takes; of others, the one
that the paper names, or what its authors have published beside it. The metrics of our catalogue have cards, which say
what they were trained on; those that pyiqa has by the same names have the same weights.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ContenderFacts:
    """What is known of a metric.

    Attributes:
        paper: key of `topiq_metrics.leaderboard.bibliography.PAPERS`, or nothing.
        learned: names of the datasets whose opinion scores it has learned from; empty where it has learned none; None
            where nobody says.
        source: where that is said.
        note: what else a reader must know.
        keeps_splits: whether it has learned from the official training part of these datasets alone.
    """

    paper: str = ""
    learned: tuple[str, ...] | None = None
    source: str = ""
    note: str = ""
    keeps_splits: bool = False


def contender_facts(metric: str) -> ContenderFacts | None:
    """What is known of a metric of another toolbox, by its name on a board."""
    return _FACTS.get(metric)


_PAPER = "its paper"
_NAME = "the name of its weights in pyiqa"
_SIX = ("LIVE", "CSIQ", "KADID-10k", "BID", "LIVE Challenge", "KonIQ-10k")


def _same(
    names: str,
    paper: str,
    learned: tuple[str, ...] | None = None,
    source: str = "",
    note: str = "",
    *,
    keeps_splits: bool = False,
) -> dict[str, ContenderFacts]:
    return dict.fromkeys(names.split(), ContenderFacts(paper, learned, source, note, keeps_splits))


_FACTS: dict[str, ContenderFacts] = {
    # Formulas, and features that were made for other ends.
    **_same("pyiqa:psnr pyiqa:psnry piq:psnr torchmetrics:psnr torchmetrics:rmse_sw pyiqa:entropy", "", (), ""),
    **_same("pyiqa:ssim pyiqa:ssimc piq:ssim torchmetrics:ssim", "ssim", (), _PAPER),
    **_same("pyiqa:ms_ssim piq:multi_scale_ssim torchmetrics:ms_ssim", "ms-ssim", (), _PAPER),
    **_same("piq:information_weighted_ssim", "iw-ssim", (), _PAPER),
    **_same("pyiqa:cw_ssim", "cw-ssim", (), _PAPER),
    **_same("pyiqa:vif piq:vif_p torchmetrics:vif", "vif", (), _PAPER),
    **_same("pyiqa:fsim piq:fsim", "fsim", (), _PAPER, "Its constants were chosen on a part of TID2008."),
    **_same("pyiqa:vsi piq:vsi", "vsi", (), _PAPER, "Its constants were chosen on a part of TID2008."),
    **_same("pyiqa:gmsd piq:gmsd", "gmsd", (), _PAPER),
    **_same("piq:multi_scale_gmsd", "ms-gmsd", (), _PAPER),
    **_same("piq:srsim", "sr-sim", (), _PAPER),
    **_same("piq:haarpsi", "haarpsi", (), _PAPER),
    **_same("piq:mdsi", "mdsi", (), _PAPER),
    **_same("piq:dss", "dss", (), _PAPER),
    **_same("pyiqa:nlpd", "nlpd", (), _PAPER),
    **_same("pyiqa:mad", "mad", (), _PAPER),
    **_same("torchmetrics:uqi", "uqi", (), _PAPER),
    **_same("torchmetrics:psnrb", "psnr-b", (), _PAPER),
    **_same("torchmetrics:scc", "scc", (), _PAPER),
    **_same("torchmetrics:d_lambda", "qnr", (), _PAPER),
    **_same("torchmetrics:ergas torchmetrics:sam torchmetrics:rase", "", (), ""),
    **_same("piq:total_variation torchmetrics:total_variation", "tv", (), _PAPER),
    **_same("piq:content_loss piq:style_loss", "style", (), _PAPER),
    **_same("pyiqa:deepdc", "deepdc", (), _PAPER),
    **_same("pyiqa:dmm", "dmm", (), _PAPER),
    **_same("pyiqa:piqe", "piqe", (), _PAPER),
    **_same("pyiqa:niqe pyiqa:niqe_matlab", "niqe", (), _PAPER),
    **_same("pyiqa:ilniqe", "ilniqe", (), _PAPER),
    **_same("pyiqa:clipiqa piq:clip_iqa torchmetrics:clip_iqa", "clip-iqa", (), _PAPER),
    **_same("pyiqa:maclip", "maclip", (), _PAPER),
    **_same("pyiqa:qualiclip", "qualiclip", (), _PAPER),
    # With a reference.
    **_same(
        "pyiqa:lpips pyiqa:lpips-vgg piq:lpips torchmetrics:lpips torchmetrics:lpips-vgg torchmetrics:lpips-squeeze",
        "lpips",
        ("BAPPS",),
        _PAPER,
        keeps_splits=True,
    ),
    **_same("pyiqa:stlpips pyiqa:stlpips-vgg", "st-lpips", ("BAPPS",), _PAPER, keeps_splits=True),
    **_same("pyiqa:dists piq:dists torchmetrics:dists", "dists", ("KADID-10k",), _PAPER),
    **_same("pyiqa:pieapp piq:pieapp", "pieapp", ("PieAPP",), _PAPER, keeps_splits=True),
    **_same("pyiqa:ahiq", "ahiq", ("PIPAL",), _NAME),
    **_same("pyiqa:ckdn", "ckdn", ("PIPAL",), "its authors' repository"),
    **_same("pyiqa:wadiqam_fr", "wadiqam", ("KADID-10k",), _NAME),
    **_same("pyiqa:msswd", "ms-swd", ("SPCD",), _PAPER),
    **_same(
        "pyiqa:afine_nr pyiqa:afine_fr pyiqa:afine_all_scale pyiqa:afine_all",
        "a-fine",
        ("DiffIQA", "KADID-10k", "PIPAL", "TID2013"),
        "its authors' repository",
    ),
    # Without one.
    **_same("pyiqa:brisque pyiqa:brisque_matlab piq:brisque brisque:brisque", "brisque", ("LIVE",), _PAPER),
    **_same("pyiqa:nrqm", "nrqm", ("Ma et al.'s super-resolved images",), _PAPER),
    **_same("pyiqa:pi", "pi", ("Ma et al.'s super-resolved images",), _PAPER, "The mean of NRQM, which has, and NIQE."),
    **_same("pyiqa:cnniqa", "cnniqa", ("KonIQ-10k",), _NAME),
    **_same("pyiqa:musiq", "musiq", ("KonIQ-10k",), _NAME),
    **_same("pyiqa:musiq-ava", "musiq", ("AVA",), _NAME),
    **_same("pyiqa:musiq-paq2piq", "musiq", ("FLIVE",), _NAME),
    **_same("pyiqa:musiq-spaq", "musiq", ("SPAQ",), _NAME),
    **_same("pyiqa:nima pyiqa:nima-vgg16-ava", "nima", ("AVA",), _NAME),
    **_same("pyiqa:nima-koniq", "nima", ("KonIQ-10k",), _NAME),
    **_same("pyiqa:nima-spaq", "nima", ("SPAQ",), _NAME),
    **_same("pyiqa:paq2piq", "paq2piq", ("FLIVE",), _PAPER),
    **_same("pyiqa:dbcnn", "dbcnn", ("KonIQ-10k",), _NAME),
    **_same("pyiqa:maniqa", "maniqa", ("KonIQ-10k",), _NAME),
    **_same("pyiqa:maniqa-pipal", "maniqa", ("PIPAL",), _NAME),
    **_same("pyiqa:maniqa-kadid", "maniqa", ("KADID-10k",), _NAME),
    **_same("pyiqa:clipiqa+ pyiqa:clipiqa+_vitL14_512 pyiqa:clipiqa+_rn50_512", "clip-iqa", ("KonIQ-10k",), _PAPER),
    **_same("pyiqa:fgresq", "fgresq", ("FGRestore",), _PAPER),
    **_same("pyiqa:tres", "tres", ("KonIQ-10k",), _NAME),
    **_same("pyiqa:tres-flive", "tres", ("FLIVE",), _NAME),
    **_same("pyiqa:hyperiqa", "hyperiqa", ("KonIQ-10k",), _NAME),
    **_same("pyiqa:metaiqa", "metaiqa", ("LIVE Challenge", "TID2013", "KADID-10k"), f"its paper, and {_NAME}"),
    **_same("pyiqa:uranker", "uranker", ("URankerSet",), _PAPER),
    **_same("pyiqa:laion_aes", "", ("SAC", "LOGOS", "AVA"), _NAME),
    **_same("pyiqa:liqe", "liqe", ("KonIQ-10k",), _NAME),
    **_same("pyiqa:liqe_mix", "liqe", _SIX, _PAPER),
    **_same("pyiqa:unique", "unique", _SIX, _PAPER),
    **_same("pyiqa:compare2score", "compare2score", _SIX, "its authors' repository"),
    **_same("pyiqa:wadiqam_nr", "wadiqam", ("KonIQ-10k",), _NAME),
    **_same(
        "pyiqa:qalign pyiqa:qalign_8bit pyiqa:qalign_4bit",
        "q-align",
        ("KonIQ-10k", "SPAQ", "KADID-10k", "AVA", "LSVQ"),
        _PAPER,
    ),
    **_same("pyiqa:qrealign pyiqa:qrealign-mini pyiqa:qrealign-lite pyiqa:qrealign-pro", "q-align"),
    **_same("pyiqa:arniqa torchmetrics:arniqa", "arniqa", ("KonIQ-10k",), "the name of its regressor's weights"),
    **_same("torchmetrics:arniqa-kadid10k pyiqa:arniqa-kadid", "arniqa", ("KADID-10k",), "its name"),
    **_same("pyiqa:arniqa-live", "arniqa", ("LIVE",), "its name"),
    **_same("pyiqa:arniqa-csiq", "arniqa", ("CSIQ",), "its name"),
    **_same("pyiqa:arniqa-tid", "arniqa", ("TID2013",), _NAME),
    **_same("pyiqa:arniqa-clive", "arniqa", ("LIVE Challenge",), "its name"),
    **_same("pyiqa:arniqa-flive", "arniqa", ("FLIVE",), "its name"),
    **_same("pyiqa:arniqa-spaq", "arniqa", ("SPAQ",), "its name"),
    **_same("pyiqa:qualiclip+", "qualiclip", ("KonIQ-10k",), _NAME),
    **_same("pyiqa:qualiclip+-clive", "qualiclip", ("LIVE Challenge",), "its name"),
    **_same("pyiqa:qualiclip+-flive", "qualiclip", ("FLIVE",), "its name"),
    **_same("pyiqa:qualiclip+-spaq", "qualiclip", ("SPAQ",), "its name"),
}
