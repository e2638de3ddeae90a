"""CFANet in two parts, for runtimes with one precision for a whole graph: the backbone's first step, and the rest."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from topiq_metrics.models.cfanet import CFANet


class FirstStep(nn.Module):
    """A CFANet up to the backbone's first level.

    Shape:
        - ``image``: ``(N, 3, H, W)`` in [0, 1].
        - output: ``(N, C, h, w)``.
    """

    def __init__(self, net: CFANet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        return self.net.backbone.steps[0](self.net.normalize(image))


class AfterFirstStep(nn.Module):
    """A CFANet behind the backbone's first level.

    Shape:
        - ``inputs``: the image and, in full-reference mode, the reference, ``(N, 3, H, W)``; then what `FirstStep`
          makes of each.
        - output: ``(N,)``.
    """

    def __init__(self, net: CFANet) -> None:
        super().__init__()
        self.net = net

    def forward(self, *inputs: Tensor) -> Tensor:
        net, count = self.net, len(inputs) // 2
        images, maps = inputs[:count], list(inputs[count:])
        features = itertools.chain([maps], net.climb(maps, net.backbone.steps[1:]))
        levels = list(net.pooled(features, net.grid(images[0].shape[-2], images[0].shape[-1])))
        return net.head.score(net.regress(levels), *images)
