"""What a decoder is asked for, and what it answers: pixels, or what a job's size rules make of them; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from topiq_metrics.errors import ImageMemoryError
from topiq_metrics.images.color import Pixels
from topiq_metrics.images.profiles import Origin, Profiles
from topiq_metrics.images.reduced import Decode, Reduction
from topiq_metrics.images.resampling import Floats, shrink
from topiq_metrics.images.size import SizePolicy
from topiq_metrics.images.unit_range import UnitRows

_MARGIN = 2


@dataclass(frozen=True)
class Request:
    """How to decode an image.

    Attributes:
        max_pixels: the most pixels to accept, judged from a file's header; None for no limit.
        profiles: whether colours are converted to sRGB, or read as if they were.
        decode: ``"fast"`` lets a codec that can give an image of fewer pixels, at least twice as wide and high as any
            size rule makes it; ``"exact"`` takes all that are in the file.
        sizes: the size rules under which the image is scored.
    """

    max_pixels: int | None
    profiles: Profiles = "apply"
    decode: Decode = "exact"
    sizes: tuple[SizePolicy, ...] = ()

    def least_size(self, height: int, width: int) -> tuple[int, int] | None:
        """The least height and width to decode an image of these to; None where all its pixels are asked for."""
        if self.decode == "exact" or not self.sizes or not all(shrinks(size, height, width) for size in self.sizes):
            return None
        targets = [size.output_size(height, width) for size in self.sizes]
        return _MARGIN * max(h for h, _ in targets), _MARGIN * max(w for _, w in targets)


@dataclass(frozen=True)
class Decoded:
    """An image as a job scores it.

    Attributes:
        height, width: of the whole image, upright, in pixels.
        origin: what the colours were in the file.
        small: by size rule that shrinks the image, what it makes of it: float32 ``(C, h, w)`` in [0, 1], C being 1
            or 3.
        whole: the pixels, where a rule needs them.
        reduction: how its codec made it smaller, if it did.
    """

    height: int
    width: int
    origin: Origin
    small: dict[SizePolicy, Floats] = field(default_factory=dict)
    whole: Pixels | None = None
    reduction: Reduction | None = None


def fit(pixels: Pixels, name: str, sizes: tuple[SizePolicy, ...]) -> Decoded:
    """Shrink what a decoder gave under each size rule that shrinks it, where it lies: whole images stay out of pipes.

    Raises:
        ImageError: if floats are out of range.
        ImageMemoryError: if memory does not suffice.
    """
    reduction = pixels.reduction
    height, width = pixels.values.shape[:2] if reduction is None else (reduction.height, reduction.width)
    shrinking = [size for size in sizes if shrinks(size, height, width)]
    whole = None if sizes and len(shrinking) == len(sizes) else pixels
    if not shrinking:
        return Decoded(height, width, pixels.origin, whole=whole, reduction=reduction)
    try:
        rows = UnitRows(pixels, name)
        small = {size: shrink(rows, rows.size, size.output_size(height, width)) for size in shrinking}
    except MemoryError as error:
        raise ImageMemoryError(f"{name}: there is not enough memory to shrink it.") from error
    return Decoded(height, width, pixels.origin, small, whole, reduction)


def shrinks(size: SizePolicy, height: int, width: int) -> bool:
    """Whether a size rule makes an image smaller, and of a size that can be scored."""
    target_height, target_width = size.output_size(height, width)
    return target_height * target_width < height * width and not size.too_small(height, width)
