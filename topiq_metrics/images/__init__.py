"""Images: decoding, validation and size policies."""

from topiq_metrics.images.loader import MAX_PIXELS, ImageSource, load_image
from topiq_metrics.images.size import MIN_SIDE, SizeKind, SizePolicy
from topiq_metrics.images.validation import validate_images, validate_pair

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
