"""ResNet-50 (He et al., CVPR 2016) as a five-level pyramid: torchvision's network without its classifier."""

from __future__ import annotations

from torch import Tensor
from torchvision.models.resnet import Bottleneck, ResNet


class ResNet50(ResNet):  # type: ignore[misc]
    """Level 0 is the stem after its activation, before the max-pool; then the four stages."""

    channels = (64, 256, 512, 1024, 2048)
    strides = (2, 4, 8, 16, 32)
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(self) -> None:
        super().__init__(Bottleneck, [3, 4, 6, 3])
        del self.avgpool, self.fc

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.relu(self.bn1(self.conv1(image)))
        levels = [x]
        x = self.maxpool(x)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            levels.append(x)
        return levels
