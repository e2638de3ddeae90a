"""How strong damage of a severity is."""

from __future__ import annotations

import math


def geometric(mildest: float, strongest: float, severity: float) -> float:
    """From the mildest (severity 0) to the strongest (1), by equal factors."""
    return mildest * math.pow(strongest / mildest, severity)
