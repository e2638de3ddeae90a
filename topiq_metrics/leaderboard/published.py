"""Results as published, to be put beside measured ones."""

from __future__ import annotations

from topiq_metrics.catalog import all_cards
from topiq_metrics.catalog.cards import PublishedResult
from topiq_metrics.leaderboard.board import TestSet

_FULL_REFERENCE = ("CSIQ", "LIVE realigned", "TID2008", "TID2013")
_NO_REFERENCE = ("LIVE Challenge", "KonIQ-10k test", "TID2013", "FLIVE with patches test", "SPAQ")

# pyiqa's label file of LIVE has the realigned scores, that of FLIVE the patches among the images.
# Of pyiqa's implementations, one full image, PLCC without logistic fit; PLCC and SRCC for each dataset in turn.
_PYIQA: dict[str, tuple[tuple[str, ...], tuple[tuple[float, float], ...]]] = {
    "lpips": (_FULL_REFERENCE, ((0.9005, 0.9233), (0.8436, 0.9235), (0.7110, 0.7151), (0.7530, 0.7445))),
    "lpips+": (_FULL_REFERENCE, ((0.9041, 0.9285), (0.8456, 0.9248), (0.7318, 0.7379), (0.7656, 0.7623))),
    "lpips-vgg+": (_FULL_REFERENCE, ((0.9169, 0.8940), (0.9499, 0.9503), (0.7406, 0.6869), (0.7606, 0.6913))),
    "dists": (_FULL_REFERENCE, ((0.9324, 0.9296), (0.9115, 0.9477), (0.7032, 0.6648), (0.7538, 0.7077))),
    "fsim": (_FULL_REFERENCE, ((0.8207, 0.9309), (0.8598, 0.9646), (0.8341, 0.8840), (0.8322, 0.8509))),
    "vif": (_FULL_REFERENCE, ((0.9219, 0.9194), (0.9411, 0.9636), (0.7769, 0.7491), (0.7336, 0.6770))),
    "ms_ssim": (_FULL_REFERENCE, ((0.7718, 0.9131), (0.7668, 0.9508), (0.7897, 0.8542), (0.7819, 0.7859))),
    "ssim": (_FULL_REFERENCE, ((0.7650, 0.8367), (0.8253, 0.9103), (0.6003, 0.6242), (0.6558, 0.6269))),
    "psnr": (_FULL_REFERENCE, ((0.7857, 0.8087), (0.8435, 0.8730), (0.4890, 0.5245), (0.6601, 0.6869))),
    "musiq": (
        _NO_REFERENCE,
        ((0.8295, 0.7889), (0.8958, 0.8654), (0.6814, 0.5750), (0.5128, 0.4978), (0.8626, 0.8676)),
    ),
    "maniqa": (
        _NO_REFERENCE,
        ((0.8262, 0.8399), (0.9133, 0.8934), (0.4570, 0.4515), (0.4416, 0.4489), (0.8140, 0.8166)),
    ),
    "clipiqa+": (_NO_REFERENCE, ((0.8312, 0.8045), (0.8454, 0.8026), (0.7010, 0.6318), (0.5973, 0.5746))),
    "hyperiqa": (_NO_REFERENCE, ((0.7779, 0.7546), (0.9233, 0.9040), (0.5627, 0.4537), (0.3656, 0.3719))),
    "dbcnn": (
        _NO_REFERENCE,
        ((0.7740, 0.7562), (0.9197, 0.9034), (0.5141, 0.3855), (0.6151, 0.5764), (0.8549, 0.8473)),
    ),
    "niqe": (
        _NO_REFERENCE,
        ((0.4800, 0.4505), (0.3155, 0.3769), (0.3669, 0.3121), (0.2100, 0.2626), (0.6692, 0.6929)),
    ),
    "brisque": (
        _NO_REFERENCE,
        ((0.3509, 0.3128), (0.2107, 0.2300), (0.4317, 0.3672), (0.2661, 0.2370), (0.5333, 0.5259)),
    ),
}


def published_result(metric: str, test_set: TestSet) -> PublishedResult | None:
    """What was published of a metric on just these images, or None.

    A part of a published set, or another part than was published, has no published result; nor has a table, whatever
    it is called.
    """
    if test_set.partial or not test_set.citation:
        return None
    name = test_set.name if test_set.split == "all" else f"{test_set.name} {test_set.split}"
    return next((result for result in _results(metric) if result.dataset == name), None)


def _results(metric: str) -> tuple[PublishedResult, ...]:
    toolbox, _, name = metric.rpartition(":")
    if toolbox == "pyiqa":
        datasets, figures = _PYIQA.get(name, ((), ()))
        # A set that was not published ends a row.
        return tuple(PublishedResult(dataset, *pair) for dataset, pair in zip(datasets, figures, strict=False))
    card = all_cards().get(metric)
    return () if card is None else card.published
