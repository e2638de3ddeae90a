#!/usr/bin/env bash
# OpenVINO 2026.4.1 converts torch.nn.functional.softplus as if its beta were 1 and it had no threshold. There is no
# error and no warning; the same network gives other values.
#
# Good guess: an operator's arguments are converted or refused, as those of avg_pool2d (divisor_override) are.
# Seen: softplus(0, beta=20) is 0.0347 in PyTorch 2.13.0 and 0.6931 in OpenVINO, which is softplus(0).
# Way round: write softplus(x, beta=b) as softplus(b * x) / b.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 openvino==2026.4.1 numpy==2.2.6
"$work/venv/bin/python" -W ignore - <<'PY'
import numpy as np
import openvino
import torch
from torch.nn import functional as F


class Layer(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def both(function, values):
    x = torch.tensor(values)
    model = openvino.convert_model(Layer(function), example_input=x)
    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return function(x).numpy(), np.asarray(compiled([x.numpy()])[0])


bent, converted = both(lambda x: F.softplus(x, beta=20.0), [-0.1, 0.0, 0.1])
print("beta=20:     ", bent, converted)
assert np.allclose(converted, np.log1p(np.exp([-0.1, 0.0, 0.1])), atol=1e-5), "beta is converted now"
assert not np.allclose(bent, converted, atol=0.1)

cut, converted = both(lambda x: F.softplus(x, threshold=1.0), [2.0, 3.0])
print("threshold=1: ", cut, converted)
assert np.allclose(cut, [2, 3])
assert np.allclose(converted, np.log1p(np.exp([2.0, 3.0])), atol=1e-5), "the threshold is converted now"

plain, converted = both(lambda x: F.softplus(20 * x) / 20, [-0.1, 0.0, 0.1])
assert np.allclose(plain, converted, atol=1e-5), "the way round is none"
print("as found")
PY
