"""What `explain` and `quality_map` are given, checked and read: pictures as the metric is to see them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from topiq_metrics.catalog import Mode, ModelCard
from topiq_metrics.errors import ImageError, ImageTooSmallError
from topiq_metrics.faces import FACE_SIDE
from topiq_metrics.images import SizePolicy
from topiq_metrics.images.loader import ImageSource, load_with_origin
from topiq_metrics.images.profiles import Origin, note_on_colors
from topiq_metrics.inference.predictor import choose_device
from topiq_metrics.models.network import QualityNetwork

_ROWS = 256


@dataclass(frozen=True, eq=False)
class Pictures:
    """A picture, and its reference if there is one.

    Attributes:
        loaded: as they are in their files, upright, ``(3, H, W)`` in [0, 1].
        policy: to what size they are brought before they are scored.
        note: what there is to know of the score, or an empty string.
    """

    loaded: list[Tensor]
    policy: SizePolicy
    note: str

    def sized(self, device: torch.device) -> list[Tensor]:
        """As they are scored, ``(1, 3, H, W)``."""
        return [self.policy.apply(picture[None].to(device)) for picture in self.loaded]

    def pixels(self) -> list[NDArray[np.uint8]]:
        """As they are in their files, ``(H, W, 3)``, uint8."""
        return [_in_bytes(picture) for picture in self.loaded]


def _in_bytes(picture: Tensor) -> NDArray[np.uint8]:
    pixels = np.empty((*picture.shape[1:], 3), dtype=np.uint8)
    # Rows by rows: of a large picture, each of these steps would be as large as all of it.
    for top in range(0, len(pixels), _ROWS):
        rows = slice(top, top + _ROWS)
        pixels[rows] = picture[:, rows].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    return pixels


def read_pictures(
    name: str,
    card: ModelCard | None,
    image: ImageSource,
    reference: ImageSource | None,
    *,
    size: str | SizePolicy | None,
    profiles: str,
) -> Pictures:
    """Read what the metric ``name`` is to be explained on; its card is None for a metric that is in no catalogue.

    Raises:
        ValueError: if an argument is no picture.
        ImageError: if a picture cannot be had or used.
    """
    read = [
        _read(source, what, profiles)
        for source, what in ((image, "image"), (reference, "reference"))
        if source is not None
    ]
    loaded = [picture for picture, _ in read]
    policy = SizePolicy.parse(size or ("native" if card is None else card.size))
    _check_pictures(name, card, loaded, policy)
    return Pictures(loaded, policy, note_on_colors(*(origin for _, origin in read)))


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


def check_trained_mode(net: QualityNetwork) -> None:
    """Raise ValueError if the network is being trained."""
    if net.training:
        raise ValueError("Argument `net` is in training mode, where dropout makes scores random: call `net.eval()`.")


def _read(source: ImageSource, what: str, profiles: str) -> tuple[Tensor, Origin]:
    if isinstance(source, Tensor) and source.ndim == 4:
        if len(source) != 1:
            raise ValueError(f"Argument `{what}` must be one image, but got shape {tuple(source.shape)}.")
        source = source[0]
    picture, origin = load_with_origin(source, profiles=profiles)
    return picture.detach(), origin


def _check_pictures(name: str, card: ModelCard | None, pictures: list[Tensor], policy: SizePolicy) -> None:
    height, width = pictures[0].shape[-2:]
    if any(picture.shape != pictures[0].shape for picture in pictures):
        other = pictures[1].shape
        raise ImageError(f"The image has {width}x{height}, but its reference {other[-1]}x{other[-2]}.")
    if card is not None and card.scores_faces and (height, width) != (FACE_SIDE, FACE_SIDE):
        raise ImageError(
            f"{name!r} is explained on an aligned face of {FACE_SIDE}x{FACE_SIDE}, but the image has {width}x{height}. "
            "`topiq_metrics.faces.find_faces` finds and aligns the faces of a photograph."
        )
    if too_small := policy.too_small(height, width):
        raise ImageTooSmallError(f"The image is too small: {too_small}.")
