"""The errors that a caller may want to distinguish; each message says what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class ImageError(ValueError):
    """An image that cannot be read or scored; ``reason`` is a short, stable word for logs and summaries.

    Args:
        problem: what is wrong.
        advice: what a caller of this library can do about it, appended to the message as it is; rows leave it out.
    """

    reason = "unreadable"

    @property
    def problem(self) -> str:
        """What is wrong, without advice."""
        return str(self.args[0]) if self.args else ""

    def __str__(self) -> str:
        return "".join(map(str, self.args))


class ImageNotFoundError(ImageError):
    """The file does not exist."""

    reason = "missing"


class NotAnImageError(ImageError):
    """The bytes are not in a known image format."""

    reason = "not-an-image"


class TruncatedImageError(ImageError):
    """The file is empty, truncated or corrupt."""

    reason = "truncated"


class UnsupportedImageError(ImageError):
    """An image of a format, or a variant of one, that is not supported; the message names it."""

    reason = "unsupported"


class CameraRawError(ImageError):
    """A camera raw file: it must be developed to an image first."""

    reason = "camera-raw"


class ImageTooLargeError(ImageError):
    """The image has more pixels than the limit, which protects against decompression bombs."""

    reason = "too-large"


class ImageMemoryError(ImageTooLargeError):
    """There is not enough memory for the pixels of the image."""

    reason = "out-of-memory"


class ImageTooSmallError(ImageError):
    """A side is shorter than the network accepts."""

    reason = "too-small"


class HDRImageError(ImageError):
    """The image has high dynamic range (PQ or HLG), which no metric of this package supports."""

    reason = "hdr"


class NoFaceError(ImageError):
    """A face metric found no face in the image."""

    reason = "no-face"


class WeightsError(RuntimeError):
    """Weights cannot be found or used."""


class WeightsNotFoundError(WeightsError):
    """The file does not exist, or is in none of the places searched and cannot be downloaded."""


class WeightsHashError(WeightsError):
    """The SHA-256 of the file differs from the one in the catalogue."""


class WeightsCorruptError(WeightsError):
    """The file is truncated, or is not a checkpoint."""


class WeightsUnsafeError(WeightsError):
    """The file is a pickle that would run code when loaded."""


class WeightsMismatchError(WeightsError):
    """The file does not hold a state dict of this architecture."""


def one_line(error: BaseException, *, with_type: bool = True) -> str:
    """The first line of what an error says, behind the name of its type; of one that says nothing, that name."""
    text, name = str(error).strip().partition("\n")[0], type(error).__name__
    return f"{name}: {text}" if text and with_type else text or name


def suggest(name: str, names: Iterable[str]) -> str:
    """Say which of ``names`` are near ``name``, whatever its case and its dashes; or all of them if none is."""
    known = {_folded(each): each for each in sorted(names)}
    wanted = _folded(name)
    near = [wanted] if wanted in known else difflib.get_close_matches(wanted, known, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(repr(known[each]) for each in near)}?"
    return f"Known are: {', '.join(known.values())}."


def _folded(name: str) -> str:
    return re.sub(r"[\W_]+(?=\w)", "-", name.casefold())
