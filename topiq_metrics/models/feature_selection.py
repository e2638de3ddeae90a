"""A gate that keeps of an image's features what carries quality.

The idea is QFM-IQM's: "Adaptive Feature Selection for No-Reference Image Quality Assessment by Mitigating Semantic
Noise Sensitivity", ICML 2024, arXiv 2312.06158. Its layers are chosen here: squeeze and excitation (Hu, Shen, Sun, CVPR
2018).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FeatureSelection(nn.Module):
    """Weigh each channel by what the image's channels are like: ``(N, C, …) -> (N, C, …)``.

    A new gate is nearly open, so that a trained network keeps its scores when it gets one.

    Args:
        channels: C.
        squeeze: how many times narrower the hidden layer is.
    """

    def __init__(self, channels: int, squeeze: int = 4) -> None:
        super().__init__()
        hidden = max(8, channels // squeeze)
        self.norm = nn.LayerNorm(channels)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)
        nn.init.zeros_(self.excite.weight)
        nn.init.constant_(self.excite.bias, 4.0)

    def forward(self, features: Tensor) -> Tensor:
        gate = self.gate(features)
        return features * gate.view(*gate.shape, *[1] * (features.ndim - 2))

    def gate(self, features: Tensor) -> Tensor:
        """How much of each channel is kept, ``(N, C)`` in (0, 1)."""
        pooled = features.flatten(2).mean(dim=2) if features.ndim > 2 else features
        return torch.sigmoid(self.excite(nn.functional.gelu(self.squeeze(self.norm(pooled)))))
