#!/usr/bin/env bash
# piq 0.8.0, pyiqa 0.1.16 and torchmetrics 1.9.0 under torch.autocast: metrics without a network compute in bfloat16, too,
# and some are then far off. There is no error and no warning. Trainers that train in mixed precision put autocast around
# validation steps, too, with the metrics in them: Lightning's precision="bf16-mixed" does.
#
# Good guess: a metric that is given float32 images, and has no weights, gives the same score under autocast, or one that
# is off by the rounding of its last step.
# Seen: pyiqa's VIF is NaN, and its PIQE, from 0 to 100, is over 1000. piq's DSS is 0.3 lower, its VIF 0.1 higher;
#       torchmetrics' SSIM 0.01 higher. Filters and transforms are matrix products and convolutions, which autocast runs
#       in bfloat16: variances are differences of such sums. PSNR is the same.
# Way round: with torch.autocast(device_type, enabled=False): around the metric.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  torch==2.14.1 torchvision==0.29.1 piq==0.8.0 pyiqa==0.1.16 torchmetrics==1.9.0 numpy==2.2.6
"$work/venv/bin/python" -W ignore - <<'PY'
import math

import piq
import pyiqa
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

torch.manual_seed(0)
y, x = torch.meshgrid(torch.arange(256.0), torch.arange(320.0), indexing="ij")
waves = torch.sin(x / 9) * torch.cos(y / 7), torch.cos(x / 15), torch.sin((x + y) / 11)
reference = 0.5 + 0.3 * torch.stack(waves)[None]
image = (reference + 0.05 * torch.randn(reference.shape)).clamp(0, 1)
vif, piqe = (pyiqa.create_metric(name, device="cpu") for name in ("vif", "piqe"))
metrics = {
    "pyiqa VIF": lambda: vif(image, reference),
    "pyiqa PIQE": lambda: piqe(image),
    "piq DSS": lambda: piq.dss(image, reference),
    "piq VIF": lambda: piq.vif_p(image, reference),
    "torchmetrics SSIM": lambda: structural_similarity_index_measure(image, reference, data_range=1.0),
    "piq PSNR": lambda: piq.psnr(image, reference),
}
found = {}
for name, metric in metrics.items():
    plain = metric().item()
    with torch.autocast("cpu", torch.bfloat16):
        found[name] = plain, metric().item()
        with torch.autocast("cpu", enabled=False):
            assert metric().item() == plain, "the way round is none"
    print(f"{name}: {plain:.4g}, under autocast {found[name][1]:.4g}")
assert math.isnan(found["pyiqa VIF"][1]), "VIF is a number now"
assert found["pyiqa PIQE"][0] < 100 < 1000 < found["pyiqa PIQE"][1], "PIQE stays in its range"
for name, least in (("piq DSS", 0.2), ("piq VIF", 0.08), ("torchmetrics SSIM", 0.005)):
    plain, cast = found[name]
    assert abs(cast - plain) > least, f"{name} is the same now"
assert found["piq PSNR"][0] == found["piq PSNR"][1], "PSNR is another now"
print("as found")
PY
