"""What `explain` and `quality_map` are given, checked and read: pictures as the metric is to see them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from topiq_metrics.catalog import Mode, ModelCard
from topiq_metrics.errors import ImageError, ImageTooSmallError
from topiq_metrics.faces import FACE_SIDE
from topiq_metrics.images import SizePolicy
from topiq_metrics.images.loader import ImageSource, open_image
from topiq_metrics.images.opened import OpenedImage
from topiq_metrics.images.profiles import Origin
from topiq_metrics.inference.predictor import choose_device
from topiq_metrics.models.network import QualityNetwork


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture, read and resized.

    Attributes:
        sized: as it is scored, ``(1, 3, h, w)`` in [0, 1], on the device of the network.
        height, width: in pixels, upright, before it was resized.
        origin: what its colours were in the file.
    """

    sized: Tensor
    height: int
    width: int
    origin: Origin


@dataclass(frozen=True)
class Reader:
    """Reads the pictures that the metric ``name`` is to be explained on.

    Attributes:
        name: of the metric.
        card: its card; None for a metric that is in no catalogue.
        policy: to what size pictures are brought before they are scored.
        profiles: as for `topiq_metrics.load_image`.
        device: where pictures are scored.
    """

    name: str
    card: ModelCard | None
    policy: SizePolicy
    profiles: str
    device: torch.device

    @classmethod
    def of(
        cls,
        name: str,
        card: ModelCard | None,
        *,
        size: str | SizePolicy | None = None,
        profiles: str = "apply",
        device: torch.device,
    ) -> Reader:
        """A reader under a size policy, or that of the card."""
        policy = SizePolicy.parse(size or ("native" if card is None else card.size))
        return cls(name, card, policy, profiles, device)

    def __call__(self, source: ImageSource, what: str = "image") -> Picture:
        """Read ``source``, which errors call ``what``, and resize it; raises as `open`."""
        return self.prepared(self.open(source, what))

    def open(self, source: ImageSource, what: str = "image") -> OpenedImage:
        """Read ``source``, which errors call ``what``.

        Raises:
            ValueError: if it is no picture.
            ImageError: if it cannot be had, or the metric cannot score it.
        """
        if isinstance(source, Tensor) and source.ndim == 4:
            if len(source) != 1:
                raise ValueError(f"Argument `{what}` must be one image, but got shape {tuple(source.shape)}.")
            source = source[0]
        return self.checked(open_image(source, profiles=self.profiles), what)

    def pair(self, image: ImageSource, reference: ImageSource | None) -> tuple[OpenedImage, OpenedImage | None]:
        """Read an image and its reference, if there is one; raises as `open` for each, and as `check_pair`."""
        opened = self.open(image)
        original = None if reference is None else self.open(reference, "reference")
        check_pair(opened, original)
        return opened, original

    def prepared(self, image: OpenedImage) -> Picture:
        """Resize an image that is `checked`."""
        return Picture(image.sized(self.policy).to(self.device), image.height, image.width, image.origin)

    def checked(self, image: OpenedImage, what: str = "image") -> OpenedImage:
        """An image that is open, and that errors call ``what``.

        Raises:
            ImageError: if the metric cannot score it.
        """
        height, width = image.height, image.width
        if self.card is not None and self.card.scores_faces and (height, width) != (FACE_SIDE, FACE_SIDE):
            raise ImageError(
                f"{self.name!r} is explained on an aligned face of {FACE_SIDE}x{FACE_SIDE}, but the {what} has "
                f"{width}x{height}. `topiq_metrics.faces.find_faces` finds and aligns the faces of a photograph."
            )
        if too_small := self.policy.too_small(height, width):
            raise ImageTooSmallError(f"The {what} is too small: {too_small}.")
        return image


def check_pair(image: Picture | OpenedImage, reference: Picture | OpenedImage | None) -> None:
    """Raise ImageError if an image and its reference differ in size."""
    if reference is not None and (image.height, image.width) != (reference.height, reference.width):
        raise ImageError(
            f"The image has {image.width}x{image.height}, but its reference {reference.width}x{reference.height}."
        )


def check_reference(name: str, mode: Mode, reference: object) -> None:
    """Raise ValueError unless there is a reference just where the metric needs one."""
    if mode == "FR" and reference is None:
        raise ValueError(f"{name!r} is a full-reference metric: give the reference, too.")
    if mode == "NR" and reference is not None:
        raise ValueError(
            f"{name!r} scores an image by itself: leave out the reference, or name a full-reference metric such as "
            "'topiq_fr-lite'."
        )


def device_for(net: QualityNetwork | None, device: str | torch.device | None) -> torch.device:
    """Where to run: where the network is, if there is one.

    Raises:
        ValueError: if there is no such device, or the network is on another one.
    """
    if net is None:
        return choose_device(device)
    where = next(net.parameters()).device
    if device is not None and torch.empty(0, device=device).device != where:
        raise ValueError(f"Argument `net` is on {where}, but `device` is {str(device)!r}: leave it out.")
    return where


def check_usable(net: QualityNetwork) -> None:
    """Raise ValueError if the network is being trained, or of half precision, which images are not."""
    if net.training:
        raise ValueError("Argument `net` is in training mode, where dropout makes scores random: call `net.eval()`.")
    dtype = next(net.parameters()).dtype
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"Argument `net` must be of float32 or float64, but is of {dtype}: call `net.float()`.")
