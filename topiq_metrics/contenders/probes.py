"""Small experiments that find out a metric's conventions from its scores alone, in the toolbox that is installed.

The pictures are made of whole numbers, so that they are the same with every version of every library.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection

import torch
from torch import Tensor

from topiq_metrics.contenders import ToolboxMetric, ToolboxPredictor, get_toolbox_metric
from topiq_metrics.contenders.conventions import ERROR, MEANINGS, VARIES, Convention, Value
from topiq_metrics.inference import Predictor

SAMPLE_SIDE = 192
_SIDE = 64
_SIDE_OF_NETWORKS = 256
_LARGE = 512
_INFINITE = 200.0
"""What an infinite score counts as, where scores are subtracted; only PSNR's are."""


def picture(side: int = SAMPLE_SIDE) -> Tensor:
    """A picture of waves, patches with edges and a little noise, in 8 bits: ``(1, 3, side, side)`` in [0, 1]."""
    y, x = torch.meshgrid(*[torch.arange(side, dtype=torch.float64)] * 2, indexing="ij")
    planes = []
    for channel in range(3):
        waves = torch.sin(x / (5 + 2 * channel)) * torch.cos(y / (9 - 2 * channel))
        patches = (((x // 24 + y // 32) % 3) == channel).double()
        planes.append(0.4 + 0.17 * waves + 0.2 * patches)
    return _in_8_bits(torch.stack(planes)[None] + 0.06 * _noise(side, 1))


def noisy_picture(side: int = SAMPLE_SIDE) -> Tensor:
    """`picture` with uniform noise of ±0.05, ±0.1 and ±0.15 on R, G and B, in 8 bits."""
    amplitude = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64).view(1, 3, 1, 1)
    return _in_8_bits(picture(side).double() + amplitude * _noise(side, 2))


def probe(
    metric: ToolboxMetric, fields: Collection[str] | None = None, *, side: int = _SIDE
) -> dict[str, Value | str | bool | None]:
    """Find out conventions of a metric.

    Args:
        metric: of whatever toolbox.
        fields: names of fields of `Convention` that are in `PROBES`; all if left out.
        side: of the pictures, where the metric takes such small ones.

    Returns:
        What was found, by field. ``"scale"`` stands for the range: ``"any"`` where halving all values changes no
        score, ``"proportional"`` where it halves it, else ``"tied"``.

    Raises:
        MetricUnavailableError: if the metric cannot be built.
        ModuleNotFoundError: if its toolbox is not installed.
    """
    subject = _Subject(metric, metric.open(), side)
    return {name: find(subject) for name, find in PROBES.items() if fields is None or name in fields}


def wanted(convention: Convention) -> dict[str, Value | str | bool]:
    """What `probe` is to find where a convention holds; nothing of what it leaves open or says in words of its own."""
    told = {name: getattr(convention, name) for name in PROBES if name != "scale"}
    if convention.downsampling not in MEANINGS["downsampling"]:
        del told["downsampling"]
    if convention.needs_weights or convention.sample is None:
        # Nobody has measured the rest: weights are missing, or an image takes too long.
        del told["colour"]
        return {name: value for name, value in told.items() if value is not None}
    scale = convention.range if convention.range in {"any", "proportional"} else "tied"
    return {**{name: value for name, value in told.items() if value is not None}, "scale": scale}


def differences(convention: Convention) -> list[str]:
    """What a metric does otherwise than its convention says, in the toolbox that is installed, a line for each.

    Raises:
        MetricUnavailableError: if the metric cannot be built.
        ModuleNotFoundError: if its toolbox is not installed.
        ValueError: if its toolbox has no such metric any more.
    """
    expected = wanted(convention)
    side = _SIDE_OF_NETWORKS if convention.needs_weights else _SIDE
    found = probe(get_toolbox_metric(convention.metric), expected, side=side)
    return [
        f"{name} is {found[name]}, not {value}"
        for name, value in expected.items()
        # Of the border, two digits are said.
        if not agree(value, found[name], within=0.03 if name == "edge" else 0.003)
    ]


def agree(expected: Value | str | bool, found: Value | str | bool | None, *, within: float = 0.003) -> bool:
    """Whether a finding is what was expected, up to rounding on other machines: to a share of it, or 0.001."""
    if isinstance(expected, (str, bool)) or isinstance(found, (str, bool)) or found is None:
        return expected == found
    if math.isnan(expected) or math.isinf(expected):
        return str(expected) == str(found)
    return math.isclose(expected, found, rel_tol=within, abs_tol=1e-3)


class _Subject:
    """A metric, and the scores that several probes ask for."""

    def __init__(self, metric: ToolboxMetric, predictor: Predictor, side: int) -> None:
        self.predictor = predictor
        self.is_compared = metric.mode == "FR"
        self.side = side if metric.least_side <= side else SAMPLE_SIDE
        self.reference, self.image = picture(self.side), noisy_picture(self.side)

    def __call__(self, image: Tensor, reference: Tensor) -> Value:
        try:
            return float(self.predictor(image, reference if self.is_compared else None).item())
        except RuntimeError:
            return ERROR

    def number(self, image: Tensor, reference: Tensor) -> float:
        """A score that can be subtracted from another."""
        score = self(image, reference)
        if isinstance(score, str):
            return math.nan
        return math.copysign(_INFINITE, score) if math.isinf(score) else score

    @functools.cached_property
    def of_noise(self) -> float:
        return self.number(self.image, self.reference)

    @functools.cached_property
    def of_equals(self) -> float:
        return self.number(self.reference, self.reference)

    @functools.cached_property
    def effect(self) -> float:
        """How much the noise changes."""
        return abs(self.of_noise - self.of_equals)


def _sample(subject: _Subject) -> Value:
    return subject(noisy_picture(), picture())


def _equal(subject: _Subject) -> Value | None:
    return subject(subject.reference, subject.reference) if subject.is_compared else None


def _flat(subject: _Subject) -> Value:
    shades = [torch.full_like(subject.reference, value / 255) for value in (64, 128, 200)]
    first, *others = [subject(shade, shade) for shade in shades]
    return first if all(agree(first, other) for other in others) else VARIES


def _black(subject: _Subject) -> Value:
    black = torch.zeros_like(subject.reference)
    return subject(black, black)


def _symmetric(subject: _Subject) -> bool | None:
    if not subject.is_compared:
        return None
    # Darker, too, for those that divide by a mean.
    darker = subject.image * 0.8
    one, other = subject.number(darker, subject.reference), subject.number(subject.reference, darker)
    return abs(one - other) <= 1e-4 * abs(one - subject.of_equals)


def _scale(subject: _Subject) -> str:
    half = subject.number(subject.image / 2, subject.reference / 2)
    if abs(half - subject.of_noise) <= 1e-4 * subject.effect:
        return "any"
    return "proportional" if abs(half - subject.of_noise / 2) <= 1e-3 * abs(subject.of_noise) else "tied"


def _colour(subject: _Subject) -> str:
    # A colour that comes and goes in squares of 8 pixels, and leaves luma as it is.
    colour = torch.tensor([0.08, -0.08 * (0.299 - 0.5 * 0.114) / 0.587, -0.04]).view(3, 1, 1)
    coloured = subject.reference + colour * _checkers(subject.side, 8)
    if abs(subject.number(coloured, subject.reference) - subject.of_equals) <= 0.01 * subject.effect:
        return "luma"
    order = [2, 0, 1]
    turned = subject.number(subject.image[:, order], subject.reference[:, order])
    if not abs(turned - subject.of_noise) <= 1e-3 * subject.effect:
        return "colour"
    grey = [[x[:, [c]].expand(-1, 3, -1, -1) for x in (subject.image, subject.reference)] for c in range(3)]
    mean = sum(subject.number(*pair) for pair in grey) / 3
    return "channels" if abs(mean - subject.of_noise) <= 1e-3 * subject.effect else "pooled"


def _downsampling(subject: _Subject) -> str:
    """Whether what cancels out in squares of 2 pixels is not seen."""
    checkers = 0.06 * _checkers(subject.side, 1)
    # Of a sign of its own in each square, or metrics of coarse detail would not see it, either.
    signs = 2 * (_noise(subject.side, 3)[0, 0, ::2, ::2] > 0).float() - 1
    blocks = checkers * signs.repeat_interleave(2, 0).repeat_interleave(2, 1)
    seen = abs(subject.number(subject.reference + blocks, subject.reference) - subject.of_equals)
    if seen <= 0.01 * subject.effect:
        return "half"
    # All of one sign: squares may begin at any pixel.
    reference = picture(_LARGE)
    equal = subject.of_equals if subject.is_compared else subject.number(reference, reference)
    seen = abs(subject.number(reference + 0.06 * _checkers(_LARGE, 1), reference) - equal)
    return "large" if seen <= 1e-5 * subject.effect else "none"


def _edge(subject: _Subject) -> float | None:
    if not subject.is_compared:
        return None
    outermost, inside = (_of_ring(subject, depth) for depth in (0, subject.side // 4))
    return outermost / inside if inside else math.nan


def _of_ring(subject: _Subject, depth: int) -> float:
    """How much a change of the pixels at a distance from the border changes, by pixel."""
    ring = torch.zeros(subject.side, subject.side)
    for at in (depth, subject.side - 1 - depth):
        ring[at, depth : subject.side - depth] = ring[depth : subject.side - depth, at] = 1
    image = (subject.image + 0.1 * ring * _checkers(subject.side, 8)).clamp(0, 1)
    return abs(subject.number(image, subject.reference) - subject.of_noise) / float(ring.sum())


def _batch(subject: _Subject) -> str:
    images = torch.cat([subject.image, (subject.image + subject.reference) / 2])
    references = subject.reference.expand(2, -1, -1, -1)
    alone = [subject.number(image[None], subject.reference) for image in images]
    call = subject.predictor.together if isinstance(subject.predictor, ToolboxPredictor) else subject.predictor
    found = call(images, references if subject.is_compared else None).flatten().tolist()
    if len(found) == len(alone):
        return "each" if _close(found, alone) else "joint"
    for name, expected in (("mean", sum(alone) / 2), ("sum", sum(alone))):
        if _close(found, [expected]):
            return name
    return "joint"


def _close(found: list[float], expected: list[float]) -> bool:
    return all(math.isclose(x, y, rel_tol=1e-4, abs_tol=1e-6) for x, y in zip(found, expected, strict=True))


PROBES: dict[str, Callable[[_Subject], Value | str | bool | None]] = {
    "sample": _sample,
    "scale": _scale,
    "colour": _colour,
    "downsampling": _downsampling,
    "edge": _edge,
    "batch": _batch,
    "equal": _equal,
    "flat": _flat,
    "black": _black,
    "symmetric": _symmetric,
}
"""By field of `Convention`, what finds it out; ``"scale"`` what can be found out of the range."""


def _in_8_bits(image: Tensor) -> Tensor:
    return (image.clamp(0, 1) * 255).round().div(255).float()


def _noise(side: int, seed: int) -> Tensor:
    """Uniform noise in ±0.5, by a hash of each value's number: ``(1, 3, side, side)``."""
    number = torch.arange(3 * side * side, dtype=torch.int64) + 10_000_019 * seed
    for factor in (0x45D9F3B, 0x2C1B3C6D):
        number = ((number ^ (number >> 15)) * factor) % 2**32
    return ((number ^ (number >> 16)) % 2**16).double().div(2**16 - 1).view(1, 3, side, side) - 0.5


def _checkers(side: int, size: int) -> Tensor:
    """Squares of ``size`` pixels, 1 and -1 in turn: ``(side, side)``."""
    place = torch.arange(side) // size
    return 1.0 - 2.0 * ((place[:, None] + place[None]) % 2)
