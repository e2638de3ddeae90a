#!/usr/bin/env bash
# torchmetrics 1.9.0 with torch 2.13.0: FeatureShare gives a batch in a reused buffer the features of the batch before.
#
# Good guess: `FeatureShare` runs the network that its metrics share once for each batch. So a loop that copies its batches
# into one tensor (a pinned or preallocated buffer, the static input of a CUDA graph) gets the value of all of them.
# Seen: the features are kept by the tensor's identity, not its values (an `lru_cache`, for which tensors are equal only to
#       themselves): after `buffer.copy_(second)`, the second batch has the features of the first, without a warning. With
#       a new tensor for each batch the value is right.
# Way round: pass `buffer.clone()`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torchmetrics==1.9.0 numpy==2.2.6
"$work/venv/bin/python" - <<'PY'
import torch
from torch import nn
from torchmetrics import Metric
from torchmetrics.wrappers import FeatureShare


class Brightness(nn.Module):
    runs = 0

    def forward(self, images):
        Brightness.runs += 1
        return images.mean(dim=(1, 2, 3))


class MeanFeature(Metric):
    feature_network = "net"
    full_state_update = False

    def __init__(self, net):
        super().__init__()
        self.net = net
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, images):
        self.total = self.total + self.net(images).sum()
        self.count = self.count + len(images)

    def compute(self):
        return self.total / self.count


batches = [torch.full((2, 3, 8, 8), value) for value in (0.25, 0.75)]


def mean_of(one_buffer):
    net = Brightness()
    metrics = FeatureShare({"a": MeanFeature(net), "b": MeanFeature(net)})
    buffer = torch.empty_like(batches[0])
    Brightness.runs = 0
    for batch in batches:
        metrics.update(buffer.copy_(batch) if one_buffer else batch.clone())
    values = {name: value.item() for name, value in metrics.compute().items()}
    print(f"one buffer: {one_buffer}, the network ran {Brightness.runs} times, {values}")
    return values


assert mean_of(one_buffer=False) == {"a": 0.5, "b": 0.5}
assert mean_of(one_buffer=True) == {"a": 0.25, "b": 0.25}, "a reused buffer is no longer taken for the batch before"
PY
