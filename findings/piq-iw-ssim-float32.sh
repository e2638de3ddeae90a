#!/usr/bin/env bash
# piq 0.8.0: IW-SSIM of float32 images is NaN for some smooth pictures, which in float64 have a score.
#
# Good guess: float32 costs some digits; a picture that has a score in float64 has nearly the same in float32.
# Seen: of 20 pictures of smooth waves beside the same with noise, 19 or so have NaN, and 0.88 to 0.92 in float64. The
#       covariances of neighbours that are nearly alike have eigenvalues near 0, which float32 cannot tell from less.
#       Photographs have scores, but for a blurred one the third digit may differ.
# Way round: images.double().
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1 piq==0.8.0
"$work/venv/bin/python" -W ignore - <<'PY'
import piq
import torch

torch.manual_seed(0)
y, x = torch.meshgrid(torch.arange(256.0), torch.arange(320.0), indexing="ij")
lost = 0
for k in range(20):
    waves = 0.3 * torch.sin(x / (5 + k / 3)) * torch.cos(y / (7 + k / 2)), 0.2 * torch.cos(x / (9 + k)) - 0.1
    reference = 0.5 + torch.stack([*waves, 0.3 * torch.sin((x + y) / 11)])[None]
    image = (reference + 0.05 * torch.randn(reference.shape)).clamp(0, 1)
    single = piq.information_weighted_ssim(image, reference).item()
    double = piq.information_weighted_ssim(image.double(), reference.double()).item()
    assert 0.8 < double < 1
    lost += single != single
print(f"{lost} of 20 are NaN in float32")
assert lost >= 10, "float32 has scores now"
PY
