"""ResNet-50 (He et al., CVPR 2016) as a five-level pyramid: torchvision's network without its classifier."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from topiq_metrics.models.backbones.base import Step, all_levels
from topiq_metrics.models.fusing import FusedConv2d


class ResNet50(ResNet):  # type: ignore[misc]
    """Level 0 is the stem after its activation, before the max-pool; then the four stages."""

    channels = (64, 256, 512, 1024, 2048)
    strides = (2, 4, 8, 16, 32)
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)
    halos = (3, 7, 7, 11, 5)
    floats = (22, 240, 640, 1280, 2560)

    def __init__(self) -> None:
        super().__init__(ResidualBlock, [3, 4, 6, 3])
        del self.avgpool, self.fc

    def steps(self) -> list[Step]:
        return [self._stem, self._first_stage, self.layer2, self.layer3, self.layer4]

    def forward(self, image: Tensor) -> list[Tensor]:
        return all_levels(self.steps(), image)

    def _stem(self, image: Tensor) -> Tensor:
        x: Tensor = self.relu(self.bn1(self.conv1(image)))
        return x

    def _first_stage(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer1(self.maxpool(x))
        return out


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
