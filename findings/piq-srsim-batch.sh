#!/usr/bin/env bash
# piq 0.8.0: the SR-SIM of a pair of images depends on the other pairs of its batch.
#
# Good guess: with reduction="none" a metric gives each pair what it would have alone, as piq's FSIM, VSI, HaarPSI,
# MDSI and SSIM do.
# Seen: beside a brighter pair, the SR-SIM of a pair moves by more than 0.001; its saliency maps are scaled by the
# batch's extremes, not by the image's own.
# Way round: one pair at a time.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1 piq==0.8.0
"$work/venv/bin/python" -W ignore - <<'PY'
import piq
import torch

generator = torch.Generator().manual_seed(0)
references = torch.rand(2, 3, 128, 128, generator=generator)
references[1] *= 0.2
spread = torch.tensor([0.1, 0.01]).view(2, 1, 1, 1)
images = (references + spread * torch.randn(references.shape, generator=generator)).clamp(0, 1)

moved = {}
for metric in (piq.srsim, piq.fsim, piq.vsi, piq.haarpsi, piq.mdsi, piq.ssim):
    together = metric(images, references, reduction="none")
    alone = torch.cat([metric(images[i : i + 1], references[i : i + 1], reduction="none") for i in range(2)])
    moved[metric.__name__] = (together - alone).abs().max().item()
    print(f"{metric.__name__:8} moves by {moved[metric.__name__]:.6f}")
assert moved.pop("srsim") > 1e-3, "SR-SIM no longer depends on its batch"
assert max(moved.values()) < 1e-5, "others do, too"
print("as found")
PY
