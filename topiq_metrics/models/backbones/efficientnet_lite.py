"""EfficientNet-Lite0 (Tan & Le, ICML 2019; TensorFlow's Lite variant: no squeeze-excite, ReLU6) as a pyramid."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from topiq_metrics.models.backbones.base import Backbone

# kernel, stride, expansion, output channels, repeats
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


class SameConv2d(nn.Conv2d):
    """A convolution of stride 2 with TensorFlow's "same" padding, which is uneven."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        pads = []
        for side in (x.shape[-1], x.shape[-2]):
            total = kernel - stride + side % stride
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads))


def _conv(channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    if stride == 1:
        return nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2, groups=groups, bias=False)
    return SameConv2d(channels, out_channels, kernel, stride, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class InvertedResidual(nn.Module):
    """Expand, depthwise, project; added to its input where the shapes agree."""

    def __init__(self, channels: int, out_channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [_conv(channels, hidden, 1), _norm(hidden), nn.ReLU6(inplace=True)]
        layers += [_conv(hidden, hidden, kernel, stride, groups=hidden), _norm(hidden), nn.ReLU6(inplace=True)]
        layers += [_conv(hidden, out_channels, 1), _norm(out_channels)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return x + out if self.residual else out


class EfficientNetLite0(Backbone):
    """Five levels, strides 2 to 32; the 1280-channel head is left out."""

    channels = (16, 24, 40, 112, 320)
    strides = (2, 4, 8, 16, 32)
    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)
    step_layers = (
        ("stem", "stages.0"),
        ("stages.1",),
        ("stages.2",),
        ("stages.3", "stages.4"),
        ("stages.5", "stages.6"),
    )
    halo_rows = (3, 3, 6, 17, 16)
    floats_per_pixel = (40, 240, 360, 600, 1600)
    # Convolutions of one channel each gain nothing by several images.
    group_bytes = 64 << 20

    def __init__(self) -> None:
        super().__init__()
        width = 32
        self.stem = nn.Sequential(_conv(3, width, 3, 2), _norm(width), nn.ReLU6(inplace=True))
        stages = []
        for kernel, stride, expansion, out_channels, repeats in _STAGES:
            blocks = []
            for index in range(repeats):
                blocks.append(InvertedResidual(width, out_channels, kernel, stride if index == 0 else 1, expansion))
                width = out_channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
