"""Images: decoding, validation and size policies.

Loaded lazily: a process that only decodes files needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from topiq_metrics._lazy import lazy_names

if TYPE_CHECKING:
    from topiq_metrics.images.decoding import MAX_PIXELS
    from topiq_metrics.images.loader import ImageSource, load_image
    from topiq_metrics.images.size import MIN_SIDE, SizeKind, SizePolicy
    from topiq_metrics.images.validation import validate_images, validate_pair

_HOMES = {
    "MAX_PIXELS": "decoding",
    "MIN_SIDE": "size",
    "ImageSource": "loader",
    "SizeKind": "size",
    "SizePolicy": "size",
    "load_image": "loader",
    "validate_images": "validation",
    "validate_pair": "validation",
}

__all__ = [
    "MAX_PIXELS",
    "MIN_SIDE",
    "ImageSource",
    "SizeKind",
    "SizePolicy",
    "load_image",
    "validate_images",
    "validate_pair",
]

__getattr__ = lazy_names(__name__, _HOMES)
