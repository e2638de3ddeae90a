"""The errors that a caller may want to tell apart; each message says what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class ImageError(ValueError):
    """An image source that cannot be scored; ``reason`` is a short, stable word for logs and summaries.

    Args:
        problem: what is wrong.
        advice: what a caller of this library can do about it, put behind it as it is; in a row it has no place.
    """

    reason = "unreadable"

    @property
    def problem(self) -> str:
        """What is wrong, without advice."""
        return str(self.args[0]) if self.args else ""

    def __str__(self) -> str:
        return "".join(map(str, self.args))


class ImageNotFoundError(ImageError):
    """There is no such file."""

    reason = "missing"


class NotAnImageError(ImageError):
    """The bytes are of no image format that can be read here."""

    reason = "not-an-image"


class TruncatedImageError(ImageError):
    """The file is empty, ends early or is damaged inside."""

    reason = "truncated"


class UnsupportedImageError(ImageError):
    """An image, as far as can be told a whole one, of a kind that is not read here; the message says what it is."""

    reason = "unsupported"


class CameraRawError(ImageError):
    """A camera's raw file: its values are no picture before they are developed."""

    reason = "camera-raw"


class ImageTooLargeError(ImageError):
    """More pixels than the limit: a decompression bomb, unless the limit is raised."""

    reason = "too-large"


class ImageMemoryError(ImageTooLargeError):
    """More pixels than memory suffices for."""

    reason = "out-of-memory"


class ImageTooSmallError(ImageError):
    """A side shorter than the network can take."""

    reason = "too-small"


class HDRImageError(ImageError):
    """High dynamic range (PQ or HLG), which no metric here scores."""

    reason = "hdr"


class NoFaceError(ImageError):
    """A face is to be scored, and none was found."""

    reason = "no-face"


class WeightsError(RuntimeError):
    """Weights that cannot be had or used."""


class WeightsNotFoundError(WeightsError):
    """In none of the places that were searched, and the hub is out of reach."""


class WeightsHashError(WeightsError):
    """The file's SHA-256 is not the one in the catalogue."""


class WeightsCorruptError(WeightsError):
    """The file is truncated or not a checkpoint."""


class WeightsUnsafeError(WeightsError):
    """The file is a pickle that would run code."""


class WeightsMismatchError(WeightsError):
    """The file holds another architecture."""


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
