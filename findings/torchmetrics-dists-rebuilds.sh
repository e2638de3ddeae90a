#!/usr/bin/env bash
# torchmetrics 1.9.0: the metric DISTS reads VGG-16 from the disk and builds it anew in every update, and holds nothing.
#
# Good guess: DeepImageStructureAndTextureSimilarity is like LearnedPerceptualImagePatchSimilarity: a module that builds
# its network once, has its parameters, and moves it with .to(device).
# Seen: the object has no parameters, and each update and each call of the function builds torchvision's VGG-16, classifier
#       included (138 million weights, 528 MB read), to use its convolutions for one pair of images. Small images take as
#       long as large ones: seconds each on a CPU. Without the weights in the cache, the constructor succeeds and the
#       first update asks for the network.
# Way round: build torchmetrics.functional.image.dists.DISTSNetwork once and call it, or put many pairs into one update.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  torch==2.14.1 torchvision==0.29.1 torchmetrics==1.9.0 numpy==2.2.6
TORCH_HOME="$work/cache" "$work/venv/bin/python" -W ignore - <<'PY'
import os
from pathlib import Path

import torch
import torchvision
from torchmetrics.functional.image import dists
from torchmetrics.image import dists as metrics

torch.manual_seed(0)
# The file where torchvision looks for it, with random weights: it is the building that is counted, not the value.
file = Path(os.environ["TORCH_HOME"], "hub", "checkpoints", "vgg16-397923af.pth")
file.parent.mkdir(parents=True)
torch.save(torchvision.models.vgg16(weights=None).state_dict(), file)

built = 0
original = dists.vgg16


def counted(*args, **kwargs):
    global built
    built += 1
    return original(*args, **kwargs)


dists.vgg16 = counted
metric = metrics.DeepImageStructureAndTextureSimilarity()
print(f"built by the constructor: {built}; parameters of the metric: {len(list(metric.parameters()))}")
assert (built, list(metric.parameters())) == (0, []), "the constructor builds the network"
pair = torch.rand(2, 1, 3, 64, 64)
for number in range(1, 4):
    metric.update(*pair)
    print(f"built after {number} updates: {built}")
    assert built == number, "an update no longer builds the network"
dists.deep_image_structure_and_texture_similarity(*pair)
assert built == 4, "the function no longer builds the network"
print("as found")
PY
