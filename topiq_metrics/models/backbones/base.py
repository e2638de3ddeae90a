"""What CFANet asks of a backbone."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeAlias

from torch import Tensor, nn

Step: TypeAlias = Callable[[Tensor], Tensor]


class Backbone(nn.Module):
    """A feature pyramid.

    Its layers have the names that published weights have for them. A level is made by a few of them, one after the
    other: they are its step.

    Attributes:
        channels: channels of each pyramid level, shallow to deep.
        strides: input pixels per step of each level's grid; a grid has ⌈side / stride⌉ cells along a side.
        mean: per-channel mean that is subtracted from an RGB image in [0, 1].
        std: per-channel standard deviation that it is then divided by.
        step_layers: for each level, the names of the layers that make it, each layer in one step only.
        halo_rows: for each step, how many rows of its input beyond its own a row of its output depends on, above or
            below; empty where that is all of them, so that an image cannot be taken in strips.
        floats_per_pixel: for each step, the most floats that are held at a time for a pixel of its input; empty as
            well.
        group_bytes: of images that are best taken together on a CPU: large maps cost more to get than to compute.
        fixed_side: of the square images that it takes and no others, in pixels; None if it takes any.
    """

    channels: ClassVar[tuple[int, ...]]
    strides: ClassVar[tuple[int, ...]]
    mean: ClassVar[tuple[float, float, float]] = (0.485, 0.456, 0.406)
    std: ClassVar[tuple[float, float, float]] = (0.229, 0.224, 0.225)
    step_layers: ClassVar[tuple[tuple[str, ...], ...]]
    halo_rows: ClassVar[tuple[int, ...]] = ()
    floats_per_pixel: ClassVar[tuple[int, ...]] = ()
    group_bytes: ClassVar[int] = 128 << 20
    fixed_side: ClassVar[int | None] = None

    @property
    def steps(self) -> list[Step]:
        """What makes each level, shallow to deep.

        The first takes a normalised image ``(N, 3, H, W)``, each other one the level before it; each gives one map
        ``(N, C, h, w)``.

        Raises:
            ValueError: where the first is called, if the backbone does not take images of this size.
        """
        return [_chain(self.layers(level)) for level in range(len(self.step_layers))]

    def layers(self, level: int) -> list[nn.Module]:
        """The layers of a step, in order."""
        return [self.get_submodule(name) for name in self.step_layers[level]]

    def replace_step(self, level: int, step: nn.Module) -> None:
        """Have one module make a level, in place of the step's layers."""
        first, *others = self.step_layers[level]
        for name, layer in ((first, step), *((name, nn.Identity()) for name in others)):
            parent, _, child = name.rpartition(".")
            setattr(self.get_submodule(parent), child, layer)

    def forward(self, image: Tensor) -> list[Tensor]:
        """All levels of a normalised image, shallow to deep."""
        levels = []
        for step in self.steps:
            image = step(image)
            levels.append(image)
        return levels


def _chain(layers: list[nn.Module]) -> Step:
    """One layer after the other, as one."""

    def run(x: Tensor) -> Tensor:
        for layer in layers:
            x = layer(x)
        return x

    return run
