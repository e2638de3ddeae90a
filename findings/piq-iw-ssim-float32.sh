#!/usr/bin/env bash
# piq 0.8.0: IW-SSIM of float32 images is NaN for some smooth pictures, which in float64 have a score.
#
# Good guess: float32 costs some digits; a picture that has a score in float64 has nearly the same in float32.
# Seen: NaN for smooth waves beside the same with noise, 0.90 in float64: the weights are logarithms of eigenvalues of
#       covariances, of which those that are 0 come out below it in float32. Photographs have scores, but for a blurred
#       one they may differ in the third digit.
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
waves = torch.sin(x / 9) * torch.cos(y / 7), torch.cos(x / 15), torch.sin((x + y) / 11)
reference = 0.5 + 0.3 * torch.stack(waves)[None]
image = (reference + 0.05 * torch.randn(reference.shape)).clamp(0, 1)
single = piq.information_weighted_ssim(image, reference).item()
double = piq.information_weighted_ssim(image.double(), reference.double()).item()
print(f"float32 {single}, float64 {double:.4f}")
assert single != single, "float32 has a score now"
assert 0.8 < double < 1
PY
