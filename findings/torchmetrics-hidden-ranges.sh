#!/usr/bin/env bash
# torchmetrics 1.9.0: three image metrics that take no data_range depend on the range of the values all the same, and one
# is 64 times what its definition says. There is no error and no warning.
#
# Good guess: a metric without the argument data_range takes images in [0, 1] like all of torchmetrics, or does not care;
# RASE in per cent is of the size of ERGAS and of the relative error.
# Seen: 1. VIF of a noisy picture is 0.998 on [0, 1] and 0.399 on 0…255: its noise variance of 2 is in the units of 8-bit
#          values. (Their own example has values about 1.)
#       2. UQI, whose formula has no constant, is 0.59 on [0, 1] and -4e8 on 0…255, of a picture that is smooth in one
#          half: below the fraction, float32's epsilon is added, which outweighs what is measured there in the first
#          case, and divides rounding errors in the second.
#       3. D lambda, which is made of UQI, is 0.29 on [0, 1] and 2e9 on 0…255, of a picture that is flat in one half.
#       4. RASE of images in which every value is 10 % too high is 640, not 10: the window's 64 pixels divide the mean
#          twice.
# Way round: VIF on 0…255, the others on [0, 1]; RASE / window_size ** 2.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torchmetrics==1.9.0 numpy==2.2.6
"$work/venv/bin/python" -W ignore - <<'PY'
import torch
from torchmetrics.functional import image as metrics

torch.manual_seed(0)
y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
smooth = 0.5 + 0.001 * torch.sin(x / 9) * torch.cos(y / 7)
reference = torch.where(y < 64, smooth, 0.5 + 0.3 * torch.sin(x / 5) * torch.cos(y / 7)).expand(1, 3, -1, -1).contiguous()
noisy = (reference + 0.05 * torch.randn(reference.shape)).clamp(0, 1)
paler = 0.5 + 0.9 * (reference - 0.5)


def both(function, image):
    unit, byte = (function(image * scale, reference * scale).item() for scale in (1, 255))
    print(f"{function.__name__}: [0, 1] {unit:.4g}, 0…255 {byte:.4g}")
    return unit, byte


unit, byte = both(metrics.visual_information_fidelity, noisy)
assert unit > byte + 0.3, "VIF no longer depends on the range"
unit, byte = both(metrics.universal_image_quality_index, paler)
assert 0 < unit < 1 and abs(byte) > 1, "UQI no longer depends on the range"
flat = torch.where(y < 64, torch.full_like(y, 0.7), reference[:, :1]).repeat(1, 3, 1, 1) * torch.tensor([1, 0.9, 0.8]).view(3, 1, 1)
unit, byte = (metrics.spectral_distortion_index(flat.pow(1.1) * s, flat * s).item() for s in (1, 255))
print(f"spectral_distortion_index: [0, 1] {unit:.4g}, 0…255 {byte:.4g}")
assert unit < 1 < byte, "D lambda no longer depends on the range"
half = torch.full((1, 3, 64, 64), 0.5)
rase = metrics.relative_average_spectral_error(half * 1.1, half).item()
print(f"RASE of what is 10 % too high: {rase:.4g}")
assert abs(rase - 640) < 1, "RASE is no longer 64 times the definition"
print("as found")
PY
