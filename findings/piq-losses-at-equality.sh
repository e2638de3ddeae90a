#!/usr/bin/env bash
# piq 0.8.0: the gradient of three losses is NaN in an image that equals its reference. The loss itself is 0, as it should.
#
# Good guess: a loss that is differentiable elsewhere has a gradient of 0, or at least a finite one, at its best value.
# Seen: GMSDLoss, MultiScaleGMSDLoss and MDSILoss take a root of what is 0 there: its derivative is infinite, times 0. One
#       such pair in a batch is enough: after the step, all weights are NaN. A network that starts as the identity meets
#       it with the first input that is not degraded. MDSILoss has none even for an image that is only near its reference,
#       such as the same with noise of 1e-4: one pixel that equals the mean is enough. SSIMLoss, FSIMLoss, VSILoss,
#       HaarPSILoss, DSSLoss and VIFLoss are finite.
# Way round: leave out pairs that are equal, or add noise of 1e-4 to the image for GMSD and MS-GMSD; none for MDSI.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1 piq==0.8.0 numpy==2.2.6
"$work/venv/bin/python" -W ignore - <<'PY'
import math

import piq
import torch

torch.manual_seed(0)
references = torch.rand(2, 3, 192, 192)
inputs = torch.cat([references[:1], (references[1:] + 0.1 * torch.randn(1, 3, 192, 192)).clamp(0, 1)])


def weight_gradient(loss, images):
    """That of a network of one weight, which starts as the identity."""
    weight = torch.ones((), requires_grad=True)
    loss((images * weight).clamp(0, 1), references).backward()
    return weight.grad.item()


lost, near = [], []
for name in ("SSIM", "FSIM", "VSI", "HaarPSI", "DSS", "VIF", "GMSD", "MultiScaleGMSD", "MDSI"):
    loss = getattr(piq, f"{name}Loss")()
    gradient = weight_gradient(loss, inputs)
    noisy = weight_gradient(loss, (inputs + 1e-4 * torch.randn(inputs.shape)).clamp(0, 1))
    print(f"{name}Loss: gradient {gradient:.3g}, with noise of 1e-4 {noisy:.3g}")
    if not math.isfinite(gradient):
        lost.append(name)
        assert loss(references[:1], references[:1]).item() == 0
    if not math.isfinite(noisy):
        near.append(name)
assert lost == ["GMSD", "MultiScaleGMSD", "MDSI"], lost
assert near == ["MDSI"], near
print("as found")
PY
