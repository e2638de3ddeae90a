#!/usr/bin/env bash
# OpenVINO 2026.4.1, conversion from PyTorch 2.13.0: `F.interpolate` to one pixel takes the corner, not the middle.
#
# Good guess: `openvino.convert_model` of a PyTorch module computes what the module computes, up to rounding, for bilinear
# and bicubic interpolation without `align_corners`, as it does for sizes from two pixels.
# Seen: a side that becomes one pixel is read at its first pixel, since the conversion writes the coordinate mode
#       `pytorch_half_pixel`, where PyTorch itself takes the middle: 8 x 8 pixels to 1 x 1 give the value of the upper
#       left corner, to 1 x 4 the uppermost row. PyTorch's export to ONNX writes `half_pixel`, and is right. Position
#       embeddings that are interpolated to the size of a feature map meet it where that is one cell wide.
# Way round: after `convert_model`, replace each Interpolate by one with `coordinate_transformation_mode="half_pixel"`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 torch==2.13.0 numpy==2.2.6
"$work/venv/bin/python" -W ignore - <<'PY'
import openvino as ov
import torch
import torch.nn.functional as F
from openvino import opset11


class Interpolated(torch.nn.Module):
    def __init__(self, size, mode):
        super().__init__()
        self.size, self.mode = size, mode

    def forward(self, x):
        return F.interpolate(x, size=self.size, mode=self.mode, align_corners=False)


def run(model, x):
    return torch.from_numpy(ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([x.numpy()])[0])


def replaced(model):
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Interpolate":
            image, sizes, *axes = node.input_values()
            of = {**node.get_attributes(), "coordinate_transformation_mode": "half_pixel"}
            node.output(0).replace(opset11.interpolate(image, sizes, axes=axes[0], **of).output(0))
    return model


x = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
for mode in ("bilinear", "bicubic"):
    for size in ((4, 4), (2, 2), (1, 4), (1, 1)):
        module = Interpolated(size, mode)
        model = ov.convert_model(module, example_input=x)
        found, expected = run(model, x), module(x)
        off = (found - expected).abs().max().item()
        mended = (run(replaced(model), x) - expected).abs().max().item()
        print(f"{mode} to {size[0]} x {size[1]}: off by {off:.4f}, with half_pixel {mended:.0e}")
        assert mended < 1e-6, mended
        assert (off > 0.1) == (1 in size), "it is as in PyTorch now" if 1 in size else off
    assert found.item() == x[0, 0, 0, 0].item(), "it is not the corner any more"
PY
