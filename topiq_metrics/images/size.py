"""Size policies: how an image is resized before it is scored."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast, get_args

if TYPE_CHECKING:
    from torch import Tensor

SizeKind = Literal["native", "max_side", "max_short_side", "short_side", "square"]

MIN_SIDE = 32
"""The shortest side that the networks accept, in pixels."""

_SPEC = re.compile(r"(max_side|max_short_side|short_side|square)=([1-9][0-9]{0,8})")


@dataclass(frozen=True)
class SizePolicy:
    """A rule for the size at which an image is scored.

    - ``native``: not resized.
    - ``max_side=N``: if the longer side is above N it becomes N, and the shorter one ``int(N * short / long)``. Of
      images longer than 2:1, the shorter side becomes N / 2 at most, and the longer one follows: their content is not
      shrunk further than that of a 2:1 image. Never enlarges.
    - ``max_short_side=N``: if the shorter side is above N it becomes N, and the longer one ``int(N * long / short)``.
      Never enlarges.
    - ``short_side=N``: the shorter side becomes N, the longer one ``int(N * long / short)``. Shrinks and enlarges.
    - ``square=N``: N x N, whatever the aspect ratio.

    Resizing is bilinear with antialiasing and stays within the range of the input; sizes and values are those of
    ``torchvision.transforms.v2.functional.resize(…, antialias=True)``.

    Attributes:
        kind: the rule.
        side: N in pixels, at least 32; None for ``native``.

    Raises:
        ValueError: if ``kind`` is unknown, or ``side`` is missing, superfluous or too small.

    Examples:
        >>> policy = SizePolicy.parse("max_side=512")
        >>> policy.output_size(3000, 4000)
        (384, 512)
        >>> str(policy)
        'max_side=512'
    """

    kind: SizeKind = "native"
    side: int | None = None

    def __post_init__(self) -> None:
        if self.kind == "native":
            valid = self.side is None
        else:
            known = self.kind in get_args(SizeKind)
            valid = known and type(self.side) is int and self.side >= MIN_SIDE
        if not valid:
            raise _refuse(str(self))

    @classmethod
    def parse(cls, size: str | SizePolicy) -> SizePolicy:
        """Parse ``"native"`` or ``"KIND=N"``; a policy is returned as it is.

        Raises:
            ValueError: if ``size`` is anything else, or N is below 32.
        """
        return _parse(size)

    def __str__(self) -> str:
        return self.kind if self.side is None else f"{self.kind}={self.side}"

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width, in pixels, after `apply` to an image of ``height`` x ``width``."""
        side = self.side
        short, long = min(height, width), max(height, width)
        kept = {"max_side": long, "max_short_side": short}.get(self.kind)
        if side is None or (kept is not None and kept <= side):
            return height, width
        if self.kind == "square":
            return side, side
        if self.kind == "max_side":
            short, long = _fit_long(short, long, side)
        else:
            short, long = side, int(side * long / short)
        return (long, short) if height > width else (short, long)

    def too_small(self, height: int, width: int) -> str:
        """Say in words why a network cannot take an image of ``height`` x ``width`` under this policy, or nothing."""
        out_height, out_width = self.output_size(height, width)
        if min(height, width, out_height, out_width) >= MIN_SIDE:
            return ""
        return (
            f"the network needs {MIN_SIDE} px a side, but {width}x{height} is {out_width}x{out_height} "
            f"under the size policy {self}"
        )

    def apply(self, images: Tensor) -> Tensor:
        """Resize images; differentiable.

        Args:
            images: ``(…, C, H, W)``, floating point, of any range.

        Returns:
            ``(…, C, h, w)``, with the size of `output_size`; ``images`` itself if the size does not change.

        Raises:
            ValueError: if ``images`` has fewer than three dimensions, or is not floating point.
        """
        if images.ndim < 3 or not images.is_floating_point():
            raise ValueError(
                "Argument `images` must be floating point of shape (…, C, H, W), but got "
                f"shape {tuple(images.shape)}, dtype {images.dtype}."
            )
        size = self.output_size(*images.shape[-2:])
        if size == images.shape[-2:]:
            return images
        # Decoding processes know size rules, and do without torch.
        import torch.nn.functional as F

        batch = images.reshape(math.prod(images.shape[:-3]), *images.shape[-3:])
        resized = F.interpolate(batch, size=size, mode="bilinear", align_corners=False, antialias=True)
        return resized.reshape(*images.shape[:-2], *size)


def _fit_long(short: int, long: int, side: int) -> tuple[int, int]:
    least = min(short, side // 2)
    if least * long > side * short:
        return least, int(least * long / short)
    return int(side * short / long), side


def _parse(size: object) -> SizePolicy:
    if isinstance(size, SizePolicy):
        return size
    if size == "native":
        return SizePolicy()
    match = _SPEC.fullmatch(size) if isinstance(size, str) else None
    if match is None:
        raise _refuse(size)
    return SizePolicy(cast("SizeKind", match[1]), int(match[2]))


def _refuse(got: object) -> ValueError:
    return ValueError(
        "Argument `size` must be 'native', 'max_side=N', 'max_short_side=N', 'short_side=N' or 'square=N' with a whole "
        f"number N >= {MIN_SIDE}, but got {got!r}."
    )
