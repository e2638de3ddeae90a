"""The frames of a video, each an image of its own."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from topiq_metrics._extras import import_extra
from topiq_metrics.errors import one_line
from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.sources.base import Fragment, Options, Part
from topiq_metrics.scoring.sources.errors import SourceError
from topiq_metrics.scoring.sources.locations import is_url, parent, suffix
from topiq_metrics.scoring.sources.reading import until_damage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_SUFFIXES = """
    3gp asf avi flv m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv ts vob webm wmv y4m
"""
VIDEO_SUFFIXES = frozenset(f".{name}" for name in _SUFFIXES.split())

_STEP = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(s|ms)?")
# Of a standard, what is not said is that of television in standard definition, or of high definition.
_STANDARD_HEIGHT = 576
_UNKNOWN_COLORS, _ITU709 = 2, 1
_HDR_CURVES = {16, 18}


@dataclass(frozen=True)
class Step:
    """Which frames are taken: the first one, and then one for each so many seconds, or each so many frames.

    Attributes:
        seconds: None where frames are counted.
        frames: likewise.
    """

    seconds: Fraction | None = None
    frames: int = 1

    @classmethod
    def parse(cls, text: str | None) -> Step:
        """Read ``"1s"``, ``"500ms"`` or ``"10"``; None takes every frame.

        Raises:
            SourceError: if it is none of them, or nothing.
        """
        if text is None:
            return cls()
        match = _STEP.fullmatch(text.strip())
        number = Fraction(match[1]) if match is not None else Fraction(0)
        if match is None or number <= 0 or (match[2] is None and number.denominator != 1):
            raise SourceError(
                f"Argument `every` must be a time or a number of frames, such as 1s, 500ms or 10, but got {text!r}."
            )
        if match[2] is None:
            return cls(None, int(number))
        return cls(number / (1000 if match[2] == "ms" else 1))


class _Frame(NamedTuple):
    number: int
    seconds: Fraction
    data: Any


@dataclass(frozen=True)
class VideoFrames:
    """A fragment: the frames of a video.

    Attributes:
        path: of its file.
        step: which of its frames are taken.
        reference: a video of the same frames, an image for all of them, or None.
        sought: what was looked for as reference, and not found.
    """

    path: str
    step: Step
    reference: str | None = None
    sought: str = ""

    def items(self) -> Iterator[Item]:
        problem = _problem(self.path)
        if problem:
            yield Item(self.path, problem=problem)
        else:
            yield from until_damage(self._items(), lambda _: self.path)

    def _items(self) -> Iterator[Item]:
        others = _Others(self.reference) if self.reference is not None and is_video(self.reference) else None
        names: dict[str, int] = {}
        due = Fraction(0)
        first: Fraction | None = None
        frames = _Frames(self.path)
        for frame in frames:
            first = frame.seconds if first is None else first
            if others is not None:
                others.advance(frame.seconds - first, by_time=frames.lost > 0)
            if self.step.seconds is None:
                wanted = frame.number % self.step.frames == 0
            else:
                wanted = frame.seconds - first >= due
                if wanted:
                    # From then on; a gap makes no frames catch up.
                    due = ((frame.seconds - first) // self.step.seconds + 1) * self.step.seconds
            if wanted:
                name = f"{self.path}#t={float(frame.seconds):.3f}"
                time = names[name] = names.get(name, 0) + 1
                yield self._item(name + (f"-{time}" if time > 1 else ""), frame, frame.seconds - first, others)
        if frames.lost:
            packets = "1 packet" if frames.lost == 1 else f"{frames.lost} packets"
            yield Item(self.path, problem=f"truncated: {packets} in it cannot be decoded, whose frames are missing")

    def _item(self, name: str, frame: _Frame, since: Fraction, others: _Others | None) -> Item:
        if _is_hdr(frame):
            return Item(name, problem="hdr: the video has a high dynamic range, which no metric here scores")
        if others is None:
            return Item(name, self.reference, _pixels(frame), sought=self.sought)
        found, sought = others.at(since)
        return Item(name, found, _pixels(frame), sought=sought)


class _Others:
    """The frames of the reference, one for each of the video's."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._source = _Frames(path)
        self._frames = iter(self._source)
        self._frame: _Frame | None = None
        self._first: Fraction | None = None
        self._problem = ""

    def advance(self, since: Fraction, *, by_time: bool) -> None:
        """Go to the next frame; where one of both videos lacks frames, to that of this time since the first one."""
        by_time = by_time or self._source.lost > 0
        if not by_time or self._first is None:
            self._next()
        while by_time and self._frame is not None and self._first is not None:
            if self._frame.seconds - self._first >= since - _tolerance(self._frame):
                return
            self._next()

    def _next(self) -> None:
        try:
            self._frame = next(self._frames, None)
        except Exception as error:  # noqa: BLE001 - whatever the reference has, the video's own frames get rows
            self._frame, self._problem = None, f"{self._path} cannot be read from there on ({one_line(error)})"
        if self._frame is not None and self._first is None:
            self._first = self._frame.seconds

    def at(self, since: Fraction) -> tuple[npt.NDArray[np.uint8] | None, str]:
        """The picture, if it is of this time since the first one; and why it is none."""
        frame = self._frame
        if frame is None or self._first is None:
            return None, self._problem or f"{self._path} has ended before this frame"
        there = frame.seconds - self._first
        if abs(there - since) > _tolerance(frame):
            return None, (
                f"frame {frame.number} of {self._path} is {float(there):.3f} s after its first one, this one "
                f"{float(since):.3f} s: they are not of the same frames"
            )
        if _is_hdr(frame):
            return None, f"{self._path} has a high dynamic range (PQ or HLG)"
        return _pixels(frame), ""


def is_video(path: str) -> bool:
    return suffix(path) in VIDEO_SUFFIXES


class Video(Part):
    """One video, on this machine."""

    uses = frozenset({"every"})
    once = True
    own_data = True

    def __init__(self, path: str, options: Options) -> None:
        _av()
        if is_url(path):
            raise SourceError(f"The video {path} is at a URL, but videos are read from files: download it.")
        lookup = options.references
        reference = None if lookup is None else lookup.find(path, parent(path))
        sought = "" if lookup is None or reference else lookup.sought(path, parent(path))
        self._frames = VideoFrames(path, Step.parse(options.every), reference, sought)
        self.label = f"the video {path}"
        self.key = path

    @classmethod
    def takes(cls, source: object) -> bool:
        return isinstance(source, str) and is_video(source)

    def fragments(self) -> Iterator[Fragment]:
        yield self._frames

    def count(self) -> int | None:
        """What its header says; None where it says nothing."""
        try:
            with _av().open(self._frames.path) as container:
                stream = container.streams.video[0]
                frames, step = int(stream.frames), self._frames.step
                if step.seconds is None:
                    return math.ceil(frames / step.frames) or None
                length = stream.duration * stream.time_base if stream.duration else Fraction(0)
                return math.ceil(length / step.seconds) or None
        except Exception:  # noqa: BLE001 - its row will tell what is wrong with it
            return None


def _problem(path: str) -> str:
    """Why a file is no video; empty if it is one, or cannot be looked into."""
    try:
        with _av().open(path) as container:
            return "" if container.streams.video else "not-an-image: there are no pictures in it, only sound"
    except (FileNotFoundError, PermissionError, ImportError):
        return ""
    except Exception as error:  # noqa: BLE001 - its library raises what it likes on other files
        return f"not-an-image: it is no video that can be read ({one_line(error)})"


class _Frames:
    """The frames in the order in which they are shown.

    Attributes:
        lost: packets so far that cannot be decoded.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.lost = 0

    def __iter__(self) -> Iterator[_Frame]:
        av = _av()
        with av.open(self._path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            rate = stream.average_rate or stream.guessed_rate or Fraction(25)
            number, lost_before = 0, 0
            first: Fraction | None = None
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    self.lost += 1
                    continue
                for frame in frames:
                    seconds = Fraction(number / rate if frame.pts is None else frame.pts * frame.time_base)
                    first = seconds if first is None else first
                    if self.lost > lost_before:
                        # As many as there would have been.
                        number, lost_before = max(number, round((seconds - first) * rate)), self.lost
                    yield _Frame(number, seconds, frame)
                    number += 1


def _tolerance(frame: _Frame) -> Fraction:
    """Half of the time for which a frame is shown: containers round times."""
    shown = frame.data.duration
    return Fraction(shown * frame.data.time_base) / 2 if shown else Fraction(1, 100)


def _is_hdr(frame: _Frame) -> bool:
    return int(getattr(frame.data, "color_trc", 0) or 0) in _HDR_CURVES


def _pixels(frame: _Frame) -> npt.NDArray[np.uint8]:
    """``(H, W, 3)``, upright, of 8 bits."""
    data = frame.data
    colors: dict[str, Any] = {}
    if data.format.name.startswith("yuv") and int(data.colorspace) == _UNKNOWN_COLORS:
        colors = {"src_colorspace": _ITU709} if data.height > _STANDARD_HEIGHT else {}
    if any(component.is_alpha for component in data.format.components):
        return _turned(_on_white(data.to_ndarray(format="rgba", **colors)), data)
    return _turned(data.to_ndarray(format="rgb24", **colors), data)


def _on_white(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """``(H, W, 4)`` as it looks on white, ``(H, W, 3)``."""
    import numpy as np

    alpha = pixels[..., 3:].astype(np.float32) / 255
    return np.rint(pixels[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


def _turned(pixels: npt.NDArray[np.uint8], data: Any) -> npt.NDArray[np.uint8]:
    """Turned and mirrored as the frame's display matrix says."""
    import numpy as np

    matrix = next((bytes(side) for side in data.side_data if side.type.name == "DISPLAYMATRIX"), None)
    if matrix is None:
        return pixels
    # x' = ax + cy, y' = bx + dy, in fixed point; whole quarters of a turn.
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _av() -> Any:
    return import_extra("av", "video", "Videos need PyAV,")
