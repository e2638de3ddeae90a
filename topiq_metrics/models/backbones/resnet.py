"""ResNet-50 (He et al., CVPR 2016) as a five-level pyramid: torchvision's network without its classifier."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from topiq_metrics.models.backbones.base import Backbone
from topiq_metrics.models.rewrites.onednn import FusedConv2d


class ResNet50(Backbone):
    """Level 0 is the stem after its activation, before the max-pool; then the four stages."""

    channels = (64, 256, 512, 1024, 2048)
    strides = (2, 4, 8, 16, 32)
    step_layers = (("conv1", "bn1", "relu"), ("maxpool", "layer1"), ("layer2",), ("layer3",), ("layer4",))
    halo_rows = (3, 7, 7, 11, 5)
    floats_per_pixel = (22, 240, 640, 1280, 2560)

    def __init__(self) -> None:
        super().__init__()
        classifier = ResNet(ResidualBlock, [3, 4, 6, 3])
        for names in self.step_layers:
            for name in names:
                self.add_module(name, getattr(classifier, name))


class ResidualBlock(Bottleneck):  # type: ignore[misc]
    """A bottleneck of ResNet-50."""

    def fused(self) -> nn.Module:
        return FusedBottleneck(self)


class FusedBottleneck(nn.Module):
    """A residual block whose BatchNorms have been folded."""

    def __init__(self, plain: ResidualBlock) -> None:
        super().__init__()
        self.conv1 = FusedConv2d(plain.conv1, plain.relu)
        self.conv2 = FusedConv2d(plain.conv2, plain.relu)
        self.conv3 = FusedConv2d(plain.conv3, plain.relu)
        self.downsample = plain.downsample

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(self.conv1(x))
        return self.conv3.plus(out, x if self.downsample is None else self.downsample(x))
