"""What is to be scored: one image, and the reference that belongs to it."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image as PILImage
    from torch import Tensor
    from typing_extensions import TypeIs

Encoded: TypeAlias = "str | os.PathLike[str] | bytes"
"""Where an encoded image is: a path, a URL, or its bytes."""

ImageObject: TypeAlias = "PILImage.Image | npt.NDArray[Any] | Tensor"
"""An image in memory, as `topiq_metrics.load_image` takes it."""

Image: TypeAlias = "bytes | ImageObject"
"""An image that is at hand: the bytes of its file, or in memory."""


@dataclass(frozen=True)
class Item:
    """One image to score.

    Attributes:
        path: its name in the row, by which a resumed job recognises it; also the path or URL to read it from, unless
            ``data`` is given.
        reference: its reference image: a path, a URL, the bytes of a file, or an image in memory; None if none was
            found or asked for.
        data: the bytes of the image's file, or the image in memory (a PIL image, an array or a tensor), as
            `topiq_metrics.load_image` takes it.
        problem: why there is no image to read, beginning with a word to sort by; the row then reports it.
        sought: the reference that was looked for and not found; for the row of an image that needs one.
    """

    path: str | os.PathLike[str]
    reference: Encoded | ImageObject | None = None
    data: Image | None = None
    problem: str = ""
    sought: str = ""

    @property
    def name(self) -> str:
        return os.fspath(self.path)

    @property
    def encoded(self) -> Encoded | ImageObject:
        return self.path if self.data is None else self.data

    @property
    def held_bytes(self) -> int:
        """Bytes of images that it has with it."""
        return sum(map(_bytes_of, (self.data, self.reference)))


def is_image_object(value: object) -> TypeIs[ImageObject]:
    """Tell whether a value is a PIL image, a numpy array or a tensor."""
    # Who has no such module has no such object.
    kinds = (("PIL.Image", "Image"), ("numpy", "ndarray"), ("torch", "Tensor"))
    return any(isinstance(value, getattr(sys.modules.get(module), kind, ())) for module, kind in kinds)


def size_of(image: ImageObject) -> tuple[int, int]:
    """Width and height; of an array that is no image, anything."""
    shape: Any = getattr(image, "shape", None)
    if shape is None:
        whole: Any = image
        return int(whole.width), int(whole.height)
    # Tensors have their channels first.
    height, width = (*(shape[-2:] if hasattr(image, "permute") else shape[:2]), 1, 1)[:2]
    return int(width), int(height)


def _bytes_of(image: object) -> int:
    if isinstance(image, bytes):
        return len(image)
    if not is_image_object(image):
        return 0
    if hasattr(image, "nbytes"):
        return int(image.nbytes)
    return image.width * image.height * len(image.getbands())


def name_digest(name: str) -> bytes:
    """16 bytes that stand for an image's name, the same on every machine; names need not be valid Unicode."""
    return hashlib.blake2b(_as_utf8(name), digest_size=16).digest()


def as_unicode(name: str) -> str:
    """A name with backslash escapes for what is not valid Unicode; its digest is that of the name."""
    return _as_utf8(name).decode()


def _as_utf8(name: str) -> bytes:
    return name.encode("utf-8", "backslashreplace")
