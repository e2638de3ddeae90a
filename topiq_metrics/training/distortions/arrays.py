"""To the layout of scikit-image, and back; to Pillow, from which `topiq_metrics.load_image` comes back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor


def as_pixels(image: Tensor) -> npt.NDArray[np.float64]:
    """``(3, H, W)`` to ``(H, W, 3)``."""
    return image.permute(1, 2, 0).contiguous().double().numpy()


def as_image(pixels: npt.NDArray[Any]) -> Tensor:
    """``(H, W, 3)`` to ``(3, H, W)``."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1).float()


def as_picture(image: Tensor) -> Image.Image:
    """To Pillow, in 8 bits."""
    return Image.fromarray((image * 255).round().clamp(0, 255).byte().permute(1, 2, 0).contiguous().numpy())
