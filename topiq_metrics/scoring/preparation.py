"""From an item to the tensors that the predictors take, or the reasons why there are none."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias, cast

import torch
from torch import Tensor

from topiq_metrics.errors import ImageError, ImageMemoryError, ImageTooLargeError, ImageTooSmallError, one_line
from topiq_metrics.images import MAX_PIXELS, SizePolicy
from topiq_metrics.images.arrays import pixels_to_rgb
from topiq_metrics.images.color import Pixels
from topiq_metrics.images.files import Admit
from topiq_metrics.images.loader import load_with_origin
from topiq_metrics.images.profiles import Origin, Profiles, note_on_colors
from topiq_metrics.images.reduced import Decode
from topiq_metrics.scoring.decoded import Decoded, Request, fit
from topiq_metrics.scoring.decoders import Decoder
from topiq_metrics.scoring.items import Encoded, ImageObject, Item, is_image_object, size_of

if TYPE_CHECKING:
    from topiq_metrics.catalog import Mode
    from topiq_metrics.inference import Predictor

Pair: TypeAlias = "tuple[Tensor, Tensor | None]"

_OBJECTS = threading.Lock()
_LITERAL = r"(?:-?[\dx]+(?:\.\d+)?|'[^']*'|\"[^\"]*\"|None|\(\))"
# As Python writes tuples: a name and a port, a shape.
_TUPLE = re.compile(rf"\(({_LITERAL}(?:, {_LITERAL})+,?|{_LITERAL},)\)")
_LOST_DEVICE = re.compile(r"(CUDA|HIP) error|device-side assert|device lost", re.IGNORECASE)
_NO_MEMORY = re.compile(
    r"out of memory|(can't|cannot|could not|failed to|unable to|not enough)[\w ]{0,20}(allocate|memory)", re.IGNORECASE
)


@dataclass(frozen=True)
class Need:
    """What one metric wants of an image."""

    metric: str
    mode: Mode
    size: SizePolicy

    @classmethod
    def of(cls, predictor: Predictor) -> Need:
        return cls(predictor.card.name, predictor.card.mode, predictor.size)


@dataclass
class Prepared:
    """One image on its way to a row.

    Attributes:
        inputs: by metric, what is yet to be scored: the image and the reference that the metric needs, ``(3, H, W)``.
        sizes: by metric, the size policy under which it is scored.
        scores: by metric.
        errors: by metric, the reason why there is no score.
        note: what there is to know of the scores.
        without_memory: metrics for which memory did not suffice.
        held: pixels that count against the budget.
    """

    item: Item
    width: int | None = None
    height: int | None = None
    inputs: dict[str, Pair] = field(default_factory=dict)
    sizes: dict[str, SizePolicy] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    note: str = ""
    without_memory: set[str] = field(default_factory=set)
    held: int = 0

    @property
    def pixels(self) -> int:
        """Pixels in memory; metrics of one size policy share theirs."""
        tensors = {id(tensor): tensor for pair in self.inputs.values() for tensor in pair if tensor is not None}
        return sum(tensor.shape[-1] * tensor.shape[-2] for tensor in tensors.values())

    def fail(self, metric: str, problem: str, *, memory: bool = False) -> None:
        self.errors[metric] = problem
        if memory:
            self.without_memory.add(metric)


def prepare(
    item: Item,
    needs: Sequence[Need],
    decoder: Decoder,
    admit: Admit,
    profiles: Profiles = "apply",
    decode: Decode = "exact",
    max_pixels: int = MAX_PIXELS,
) -> Prepared:
    """Decode an item and bring it to the sizes that are needed.

    Args:
        admit: is told the width and height of the image, as stored, before its pixels are decoded.
        profiles: whether colours are converted to sRGB, or read as if they were.
        decode: whether all pixels of a file are decoded, or fewer where its codec can and they will do.
        max_pixels: the most pixels that a file may have.
    """
    request = Request(max_pixels, profiles, decode, tuple({need.size: None for need in needs}))
    prepared = Prepared(item, sizes={need.metric: need.size for need in needs})
    try:
        _load(prepared, needs, decoder, admit, request)
    except ImageError as error:
        problem, memory = reason_for(error, item.name), isinstance(error, ImageMemoryError)
    except (RuntimeError, MemoryError) as error:
        if not is_memory_error(error):
            raise
        problem, memory = reason_for(error), True
    else:
        return prepared
    prepared.inputs.clear()
    for need in needs:
        prepared.fail(need.metric, problem, memory=memory)
    return prepared


def _load(prepared: Prepared, needs: Sequence[Need], decoder: Decoder, admit: Admit, request: Request) -> None:
    if prepared.item.problem:
        for need in needs:
            prepared.fail(need.metric, in_plain_words(prepared.item.problem, prepared.item.name))
        return
    name = prepared.item.name
    image = _decoded(prepared.item.encoded, name, decoder, admit, request)
    prepared.note = note_on_colors(image.origin)
    prepared.height, prepared.width = image.height, image.width
    reference, problem = None, ""
    if any(need.mode == "FR" for need in needs):
        reference, problem = _load_reference(prepared.item, image, decoder, request)
        if reference is not None and not image.is_comparable_with(reference):
            del image, reference
            _load(prepared, needs, decoder, lambda *_: None, replace(request, decode="exact"))
            return
        prepared.note = note_on_colors(image.origin, None if reference is None else reference.origin)
    resized: dict[SizePolicy, Pair] = {}
    for need in needs:
        unfit = (problem if need.mode == "FR" else "") or _unfit(need.size, prepared.height, prepared.width)
        if unfit:
            prepared.fail(need.metric, unfit)
            continue
        if need.size not in resized:
            resized[need.size] = image.at(need.size), None if reference is None else reference.at(need.size)
        pair = resized[need.size]
        prepared.inputs[need.metric] = pair if need.mode == "FR" else (pair[0], None)


@dataclass(frozen=True)
class _Image:
    """An image of a job: what its size rules make of it, or, where they don't shrink it, the whole ``(3, H, W)``."""

    decoded: Decoded
    whole: Tensor | None

    @property
    def width(self) -> int:
        return self.decoded.width

    @property
    def height(self) -> int:
        return self.decoded.height

    @property
    def origin(self) -> Origin:
        return self.decoded.origin

    def is_comparable_with(self, reference: _Image) -> bool:
        """Whether what differs is the images: two codecs that give fewer pixels give different ones."""
        own, other = self.decoded.reduction, reference.decoded.reduction
        return other is None if own is None else own.is_like(other)

    def at(self, size: SizePolicy) -> Tensor:
        """``(3, h, w)`` under a size rule that was asked for."""
        small = self.decoded.small.get(size)
        if small is not None:
            return torch.from_numpy(small).expand(3, -1, -1).contiguous()
        return size.apply(cast("Tensor", self.whole))


def _decoded(image: Encoded | ImageObject, name: str, decoder: Decoder, admit: Admit, request: Request) -> _Image:
    if not is_image_object(image):
        decoded = decoder.decode(image, name, request, admit)
        return _Image(decoded, None if decoded.whole is None else pixels_to_rgb(decoded.whole, name))
    admit(*size_of(image))
    # One that several items share must not be read by two threads.
    with _OBJECTS:
        rgb, origin = load_with_origin(image, profiles=request.profiles)
    rgb = rgb.detach().cpu()
    decoded = fit(Pixels(rgb.permute(1, 2, 0).numpy(), None, origin=origin), name, request.sizes)
    return _Image(decoded, None if decoded.whole is None else rgb)


def _load_reference(item: Item, image: _Image, decoder: Decoder, request: Request) -> tuple[_Image | None, str]:
    if item.reference is None:
        return None, f"no-reference: {item.sought or 'the source names none'}"
    name = _reference_name(item.reference)

    def admit(*size: int) -> None:
        # As stored, it may lie on its side; a larger one would not be in the budget.
        if size[0] * size[1] != image.width * image.height:
            raise _SizeMismatchError(_mismatch(image, name, *size))

    try:
        reference = _decoded(item.reference, name, decoder, admit, request)
    except _SizeMismatchError as error:
        return None, str(error)
    except ImageMemoryError:
        raise
    except ImageError as error:
        return None, f"reference-{reason_for(error, name)}"
    if (reference.height, reference.width) != (image.height, image.width):
        return None, _mismatch(image, name, reference.width, reference.height)
    return reference, ""


class _SizeMismatchError(ImageError):
    pass


def _mismatch(image: _Image, name: str, other_width: int, other_height: int) -> str:
    return (
        f"size-mismatch: the image has {image.width}x{image.height}, its reference {name} {other_width}x{other_height}"
    )


def _reference_name(reference: Encoded | ImageObject) -> str:
    return os.fspath(reference) if isinstance(reference, (str, os.PathLike)) else "in the source"


def _unfit(policy: SizePolicy, height: int, width: int) -> str:
    if too_small := policy.too_small(height, width):
        return f"{ImageTooSmallError.reason}: {too_small}"
    out_height, out_width = policy.output_size(height, width)
    if out_height * out_width > MAX_PIXELS:
        return (
            f"{ImageTooLargeError.reason}: {width}x{height} is {out_width}x{out_height} under the size policy "
            f"{policy}, more than {MAX_PIXELS} pixels"
        )
    return ""


def is_memory_error(error: BaseException) -> bool:
    """Tell whether memory did not suffice: torch says so in words, on the CPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError, ImageMemoryError)):
        return True
    return isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error)) is not None


def is_lost_device(error: BaseException) -> bool:
    """Tell whether nothing can be scored on the device any more, whatever the image."""
    accelerator_error = getattr(torch, "AcceleratorError", None)
    if accelerator_error is not None and isinstance(error, accelerator_error):
        return not is_memory_error(error)
    return isinstance(error, RuntimeError) and not is_memory_error(error) and bool(_LOST_DEVICE.search(str(error)))


def most_pixels(needs: Sequence[Need], width: int, height: int, *, paired: bool) -> int:
    """Pixels that an image of this size may hold in memory, as it is stored or under all policies together."""
    sizes = [policy.output_size(height, width) for policy in {need.size for need in needs}]
    return max(width * height, sum(h * w for h, w in sizes if h * w <= MAX_PIXELS)) * (2 if paired else 1)


def reason_for(error: BaseException, name: str = "") -> str:
    """An error in one line for a row, beginning with a word to sort by.

    Args:
        error: what was raised.
        name: of the image that it tells of, which is said once at most.
    """
    if isinstance(error, ImageError):
        return in_plain_words(f"{error.reason}: {error.problem}", name)
    # Torch adds advice, and sometimes a C++ stack, below the first line.
    word = ImageMemoryError.reason if is_memory_error(error) else "network-failed"
    return in_plain_words(f"{word}: {one_line(error)}")


def in_plain_words(text: str, name: str = "") -> str:
    """A reason as people write it: without tuples and numbers of errors, and with ``name`` once at most."""
    if name:
        # Other libraries append it to their messages, such as `: 'a.png'` and `, url='http://…'`.
        first, found, rest = text.partition(name)
        text = first + found + re.sub(rf"""(?:, url=|:? ?)(['"]){re.escape(name)}\1""", "", rest)
    text = re.sub(r"\[Errno -?\d+\] ", "", text)
    while (plain := _TUPLE.sub(_without_parentheses, text)) != text:
        text = plain
    return text


def _without_parentheses(match: re.Match[str]) -> str:
    values = [value.strip(" '\"") for value in match[1].split(",") if value.strip()]
    if all(value.isdigit() for value in values):
        return "x".join(values)
    return ":".join(values) if len(values) == 2 and values[1].isdigit() else ", ".join(values)
