"""Images without opinion scores, which teachers score."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from topiq_metrics.errors import ImageError
from topiq_metrics.images import SizePolicy, load_image
from topiq_metrics.scoring.sources import SourceError, open_source
from topiq_metrics.training.crops import RandomCrop, generator_of
from topiq_metrics.training.gathering import tell
from topiq_metrics.training.recipe import RecipeError

_MOST_UNREADABLE = 8
"""So many draws in a row may fail before the training does."""


def find_unlabelled(source: str) -> list[str]:
    """The images of a folder, a list or a table.

    Raises:
        RecipeError: there are none, or they are no files.
    """
    items = []
    try:
        for item in open_source(os.path.expanduser(source)).items():  # noqa: PTH111 - it may be a pattern
            if item.data is not None:
                raise RecipeError(f"'images' in unlabelled: {source} must be a folder or a list of image files.")
            items.append(item)
    except SourceError as error:
        raise RecipeError(f"'images' in unlabelled: {error}") from error
    paths = [item.name for item in items if not item.problem and Path(item.name).is_file()]
    if not paths:
        raise RecipeError(f"'images' in unlabelled: there is no image file in {source}.")
    if len(paths) < len(items):
        tell(f"{len(items) - len(paths)} of {len(items)} images in {source} are not there.")
    return paths


class UnlabelledImages:
    """Crops of images without opinion scores."""

    def __init__(self, paths: Sequence[str], size: SizePolicy, crop: RandomCrop) -> None:
        self.paths = paths
        self.size = size
        self.crop = crop

    def draw(self, seed: int) -> Tensor:
        """A crop that the seed decides; a few images that cannot be read are passed over.

        Raises:
            ImageError: all that were drawn cannot be read.
        """
        generator = generator_of("unlabelled", seed)
        for _ in range(_MOST_UNREADABLE):
            with contextlib.suppress(ImageError):
                return self._crop(generator)
        return self._crop(generator)

    def _crop(self, generator: torch.Generator) -> Tensor:
        path = self.paths[int(torch.randint(len(self.paths), (), generator=generator))]
        return self.crop([self.size.apply(load_image(path))], generator)[0]
