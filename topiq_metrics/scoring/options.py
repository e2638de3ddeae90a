"""The options of a job, stated once: what is read, how it is run, and what is written."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, TypeVar

from topiq_metrics.inference.memory import DEFAULT_MAX_MEMORY
from topiq_metrics.scoring.selection import Shard

if TYPE_CHECKING:
    import torch

    from topiq_metrics.images import SizePolicy
    from topiq_metrics.scoring.limits import Limit

DECODE_SECONDS = 60.0
"""Seconds for a decoding process to fetch an image, and again to decode it."""

PathLike: TypeAlias = "str | os.PathLike[str]"
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class RayOptions:
    """How a job runs on a Ray cluster.

    Attributes:
        address: address of the cluster; None for that in ``RAY_ADDRESS``, else one that is started on this machine.
        actors: number of processes that hold the networks; None for as many as the cluster has room for.
    """

    address: str | None = None
    actors: int | None = None


@dataclass(frozen=True)
class Reading:
    """What is scored; the arguments are those of `topiq_metrics.score_images`."""

    references: PathLike | None = None
    path_column: str | None = None
    image_column: str | None = None
    reference_column: str | None = None
    root: PathLike | None = None
    split: str = "train"
    every: str | None = None
    shard: str | Shard = "0/1"


@dataclass(frozen=True)
class Running:
    """How it is scored; likewise, and where: ``ray`` is None for this process."""

    weights: PathLike = "default"
    size: str | SizePolicy | None = None
    fallback_size: str | SizePolicy | None = None
    device: str | torch.device | None = None
    backend: str = "torch"
    precision: str = "float32"
    max_memory: str | int | None = DEFAULT_MAX_MEMORY
    workers: int | None = None
    timeout: float = DECODE_SECONDS
    profiles: str = "apply"
    decode: str = "exact"
    ray: RayOptions | None = None


@dataclass(frozen=True)
class Writing:
    """What rows say of scores and where they go; likewise, and ``report`` is an HTML page to write in the end."""

    min_score: Limit = None
    max_score: Limit = None
    output: PathLike | None = None
    resume: bool = False
    overwrite: bool = False
    report: PathLike | None = None


class ScoreKeywords(TypedDict, total=False):
    """The keywords of `topiq_metrics.score_images`; their defaults are those of the groups."""

    references: PathLike | None
    path_column: str | None
    image_column: str | None
    reference_column: str | None
    root: PathLike | None
    split: str
    every: str | None
    weights: PathLike
    size: str | SizePolicy | None
    fallback_size: str | SizePolicy | None
    device: str | torch.device | None
    backend: str
    precision: str
    max_memory: str | int | None
    workers: int | None
    timeout: float
    profiles: str
    decode: str
    shard: str | Shard
    min_score: Limit
    max_score: Limit
    output: PathLike | None
    resume: bool
    overwrite: bool


class JobKeywords(ScoreKeywords, total=False):
    """The keywords of `ScoreJob`."""

    report: PathLike | None
    ray: RayOptions | None


_GROUPS = (Reading, Running, Writing)


def grouped(keywords: Mapping[str, Any]) -> tuple[Reading, Running, Writing]:
    """The groups of options, of what was given by keyword."""
    reading, running, writing = (
        {field.name: keywords[field.name] for field in fields(group) if field.name in keywords} for group in _GROUPS
    )
    return Reading(**reading), Running(**running), Writing(**writing)


def check_keywords(function: str, given: Mapping[str, object], known: type) -> None:
    """Raise TypeError, as Python does, if a keyword is none of a TypedDict's."""
    for name in given:
        if name not in known.__annotations__:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")


def showing(known: type) -> Callable[[Function], Function]:
    """Let `help` and the documentation show the keywords of a TypedDict one by one, with their defaults."""

    def decorated(function: Function) -> Function:
        stated = {field.name: field for group in _GROUPS for field in fields(group)}
        own = inspect.signature(function)
        parameters = [each for each in own.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        for name in known.__annotations__:
            field = stated[name]
            parameters.append(
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=str(field.type)
                )
            )
        shown: Any = function
        shown.__signature__ = own.replace(parameters=parameters)
        return function

    return decorated
