"""A colour scale whose steps look alike: magma (Smith and van der Walt, CC0), at 17 places.

Colours between them are off by 2 of 255 at most. The package would need matplotlib for nothing else.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MAGMA = (
    "000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779 cf4070 e55064 f4695c fb8761 fea571 fec287 fde0a1 "
    "fcfdbf"
)
_COLORS = np.array([list(bytes.fromhex(color)) for color in _MAGMA.split()], dtype=np.float32)


def colorize(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colours ``(…, 3)`` in 0…255 of values in [0, 1], dark to bright."""
    places = np.linspace(0, 1, len(_COLORS))
    channels = [np.interp(values, places, _COLORS[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)
