"""What each contender makes of images: metrics of one name give different numbers, and here is why.

The facts are of the releases in `TESTED`; `topiq_metrics.contenders.probes` finds them out anew in what is installed.
"""

from __future__ import annotations

import fnmatch
import functools
import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from topiq_metrics._version import __version__
from topiq_metrics.errors import suggest

TESTED = {"topiq-metrics": __version__, "pyiqa": "0.1.16", "piq": "0.8.0", "torchmetrics": "1.9.0", "brisque": "0.2.0"}
"""The releases that the facts are of; ours are of this one."""
DATE = "2026-11-29"
REPOSITORIES = {
    "topiq-metrics": "",
    "pyiqa": "https://github.com/chaofengc/IQA-PyTorch",
    "piq": "https://github.com/photosynthesis-team/piq",
    "torchmetrics": "https://github.com/Lightning-AI/torchmetrics",
    "brisque": "https://github.com/rehanguha/brisque",
}

Range = Literal["told", "unit", "byte", "any", "proportional"]
Colour = Literal["luma", "channels", "pooled", "colour"]
Downsampling = Literal["none", "large", "half"]
Batch = Literal["each", "mean", "sum", "joint"]
Value: TypeAlias = "float | Literal['error', 'varies']"
"""A score; or that there is none, or no certain one."""
ERROR: Literal["error"] = "error"
VARIES: Literal["varies"] = "varies"

MEANINGS = {
    "range": {
        "told": "is told that images are in [0, 1]",
        "unit": "takes [0, 1] for granted",
        "byte": "is made for 0 … 255, and fed that",
        "any": "gives the same score whatever the range",
        "proportional": "the score grows with the range; fed [0, 1]",
    },
    "colour": {
        "luma": "sees luma (ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B) only",
        "channels": "the mean of what R, G and B score alone",
        "pooled": "R, G and B alike, in one figure",
        "colour": "R, G and B each in a way of its own",
    },
    "downsampling": {
        "none": "sees every pixel",
        "large": "averages k × k pixels first, k = round(shorter side / 256): from 384 px a side",
        "half": "averages 2 × 2 pixels first, whatever the size",
    },
    "batch": {
        "each": "a score for each image, that of the image alone",
        "mean": "by default one score, the mean of the images' own",
        "sum": "by default one score, the sum of the images' own",
        "joint": "what a batch gets is not made of its images' own scores",
    },
}
"""Of each field that takes one of a few words, what they mean."""


@dataclass(frozen=True)
class Convention:
    """What a metric makes of images. None: not known, or it has none.

    Attributes:
        metric: its name on a board.
        measure: what it bears the name of; figures of one measure are compared in papers.
        range: of the values: see `MEANINGS`, as for the three that follow.
        colour: what it sees of colours.
        downsampling: whether it shrinks images first; of networks, the size that they see, in words.
        batch: what the toolbox makes of a batch. Boards score one image at a time.
        border: what its windows and filters meet at the border, in words.
        edge: how much an outermost pixel counts beside one inside.
        sample: its score of `topiq_metrics.contenders.probes.noisy_picture`.
        equal: its score of a picture and itself.
        flat: its score of a flat grey picture (and itself): a number if all greys have the same, ``"varies"`` if not,
            or ``"error"``.
        black: its score of a black picture (and itself).
        symmetric: whether image and reference can be swapped.
        source: the file in the toolbox's distribution that computes it.
        note: what else differs.
        needs_weights: it runs where its weights are on the machine only; its facts were read in the source, and are
            probed where it runs.
    """

    metric: str
    measure: str
    range: Range
    colour: Colour
    downsampling: str | None = None
    batch: Batch | None = None
    border: str = ""
    edge: float | None = None
    sample: Value | None = None
    equal: Value | None = None
    flat: Value | None = None
    black: Value | None = None
    symmetric: bool | None = None
    source: str = ""
    note: str = ""
    needs_weights: bool = False


def find_conventions(names: Sequence[str] | None = None) -> list[Convention]:
    """The conventions of metrics, side by side where they bear one name; those that need weights last.

    Args:
        names: as on a board, or patterns: ``"piq:*"``, ``"*ssim*"``. All that are known if left out.

    Raises:
        ValueError: if nothing is known of a name, or of all that a pattern fits.
    """
    known = _known()
    found = dict(known) if names is None else {}
    for name in names or ():
        fitting = [each for each in known if fnmatch.fnmatchcase(each, name)] if set("*?") & set(name) else [name]
        if not fitting or fitting[0] not in known:
            raise ValueError(f"No conventions are known for {name!r}. {suggest(name, known)}")
        found |= {each: known[each] for each in fitting}
    return sorted(found.values(), key=lambda each: (each.needs_weights, each.measure.lower()))


def convention_of(name: str) -> Convention | None:
    """What is known of the metric of this name on a board."""
    return _known().get(name)


def toolbox_of(convention: Convention) -> str:
    """The toolbox that a metric is of."""
    toolbox, prefixed, _ = convention.metric.partition(":")
    return toolbox if prefixed else "topiq-metrics"


def other_releases(conventions: Sequence[Convention]) -> dict[str, str]:
    """The toolboxes of these metrics that are installed in another release than the facts are of; each with it."""
    installed = {}
    for toolbox in sorted({toolbox_of(each) for each in conventions}):
        try:
            version = importlib.metadata.version(toolbox)
        except importlib.metadata.PackageNotFoundError:
            continue
        if version != TESTED[toolbox]:
            installed[toolbox] = version
    return installed


@functools.cache
def _known() -> dict[str, Convention]:
    from topiq_metrics.contenders.known_conventions import CONVENTIONS

    return {each.metric: each for each in CONVENTIONS}
