"""What CFANet asks of a backbone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from torch import Tensor

Step: TypeAlias = Callable[[Tensor], Tensor]


@runtime_checkable
class Backbone(Protocol):
    """A feature pyramid; any ``nn.Module`` with these attributes will do.

    Attributes:
        channels: channels of each pyramid level, shallow to deep.
        strides: input pixels per step of each level's grid; a grid has ⌈side / stride⌉ cells along a side.
        mean: per-channel mean that is subtracted from an RGB image in [0, 1].
        std: per-channel standard deviation that it is then divided by.
        halos: for each step, how many rows of its input beyond its own a row of its output depends on, above or below;
            empty where that is all of them, so that an image cannot be taken in strips.
        floats: for each step, the most floats that are held at a time for a pixel of its input.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    halos: tuple[int, ...]
    floats: tuple[int, ...]

    def steps(self) -> Sequence[Step]:
        """What makes each level, shallow to deep.

        The first takes a normalised image ``(N, 3, H, W)``, each other one the level before it; each gives one map
        ``(N, C, h, w)``.
        """
        ...

    def __call__(self, image: Tensor, /) -> list[Tensor]:
        """All levels of a normalised image, shallow to deep.

        Raises:
            ValueError: if the backbone does not take images of this size.
        """
        ...


def chain(*steps: Step) -> Step:
    """One step after the other, as one."""

    def run(x: Tensor) -> Tensor:
        for step in steps:
            x = step(x)
        return x

    return run


def all_levels(steps: Sequence[Step], image: Tensor) -> list[Tensor]:
    """What the steps make of an image, one after the other."""
    levels = []
    for step in steps:
        image = step(image)
        levels.append(image)
    return levels
