#!/usr/bin/env bash
# piq 0.8.0: SR-SIM of an image depends on the other images of its batch, and HaarPSI of a black image and itself is
# infinite. There is no error and no warning; reduction="none" gives a score for each image all the same.
#
# Good guess: a metric of pairs of images scores each pair by itself, as piq's ten others do, and in [0, 1].
# Seen: 1. One and the same pair scores 0.859 alone and 0.961 beside a pair of fine stripes, since what is salient is
#          scaled by the least and the largest value in the whole batch.
#       2. haarpsi(black, black) is inf. (Flat grey and itself is 1.)
# Way round: one pair at a time; pairs of black images apart.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1 piq==0.8.0 numpy==2.2.6
"$work/venv/bin/python" -W ignore - <<'PY'
import piq
import torch

torch.manual_seed(0)
y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
reference = (0.5 + 0.3 * torch.sin(x / 9) * torch.cos(y / 7)).expand(1, 3, -1, -1)
image = (reference + 0.05 * torch.randn(reference.shape)).clamp(0, 1)
pale = 0.5 + 0.05 * torch.sin(x / 3).expand(1, 3, -1, -1)
images, references = torch.cat([image, pale]), torch.cat([reference, pale])
changes = {}
for name in ("srsim", "ssim", "vif_p", "fsim", "gmsd", "multi_scale_gmsd", "vsi", "haarpsi", "mdsi", "dss", "psnr"):
    score = getattr(piq, name)
    alone = score(image, reference, reduction="none").item()
    beside = score(images, references, reduction="none")[0].item()
    changes[name] = abs(alone - beside)
    if name == "srsim":
        print(f"SR-SIM alone {alone:.4f}, beside another pair {beside:.4f}")
print("the others change by", max(change for name, change in changes.items() if name != "srsim"))
assert max(change for name, change in changes.items() if name != "srsim") < 1e-5
assert changes["srsim"] > 1e-4, "SR-SIM no longer depends on the batch: the finding is out of date"
black, grey = torch.zeros(1, 3, 64, 64), torch.full((1, 3, 64, 64), 0.5)
print("HaarPSI of black and itself:", piq.haarpsi(black, black).item(), "grey:", piq.haarpsi(grey, grey).item())
assert torch.isinf(piq.haarpsi(black, black)), "HaarPSI of black images is finite now: the finding is out of date"
print("as found")
PY
