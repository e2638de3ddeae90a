"""Photographs with faces in known places, and a detector that knows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import metric_tester
import numpy as np
from torch import Tensor

from topiq_metrics.faces import Detections, load_facexlib
from topiq_metrics.faces.alignment import _TEMPLATE
from topiq_metrics.models.cfanet import CFANet

TEMPLATE = np.array(_TEMPLATE)


@dataclass(frozen=True)
class Face:
    """Where a face is: its aligned picture, turned, scaled and shifted, is what the photograph shows there."""

    scale: float = 1.0
    degrees: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    box: tuple[float, float, float, float] = (10.0, 20.0, 110.0, 120.0)
    confidence: float = 0.99

    @property
    def turn(self) -> np.ndarray:
        angle = np.deg2rad(self.degrees)
        return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def to_photograph(self, points: np.ndarray) -> np.ndarray:
        return self.scale * points @ self.turn.T + self.shift

    def to_template(self, points: np.ndarray) -> np.ndarray:
        return (points - np.array(self.shift)) @ self.turn / self.scale


def detections(*faces: Face) -> Detections:
    return Detections(
        np.array([face.box for face in faces], dtype=np.float64).reshape(-1, 4),
        np.array([face.to_photograph(TEMPLATE) for face in faces]).reshape(-1, 5, 2),
        np.array([face.confidence for face in faces]),
    )


@dataclass(eq=False)
class StandIn:
    """Finds the faces of a photograph by its number, which is its first pixel's red; remembers what it was shown."""

    faces: Sequence[Sequence[Face]]
    seen: list[np.ndarray] = field(default_factory=list, repr=False)

    def detect(self, image: np.ndarray) -> Detections:
        self.seen.append(image)
        return detections(*self.faces[image[0, 0, 2]])


def photograph(number: int, height: int = 96, width: int = 128) -> Tensor:
    image = metric_tester.make_images(1, seed=number, side=max(height, width))[0, :, :height, :width].contiguous()
    image[0, 0, 0] = number / 255
    return image


class CoarseBackbone(metric_tester.TinyBackbone):
    """Few tokens of 512 pixels."""

    strides = (16, 32)

    def __init__(self) -> None:
        super().__init__()
        self.shallow = metric_tester.CoveringConv2d(3, 6, 16, stride=16)


def tiny_network(name: str = "", seed: int = 0) -> CFANet:
    with mock.patch.object(metric_tester, "TinyBackbone", CoarseBackbone):
        return metric_tester.tiny_network(name=name, seed=seed)


# Two faces, none, one, one.
FACES = (
    [Face(0.15, 10, (5, 8)), Face(0.2, -20, (20, 30), box=(0, 0, 120, 130))],
    [],
    [Face(0.1, 0, (40, 20))],
    [Face(0.12, 90, (90, 10))],
)


def warm_up(rank: int) -> None:
    """Import what takes long, before the clock ticks."""
    load_facexlib()


def follow(rank: int, batches: Sequence[Sequence[int]], arguments: dict[str, Any]) -> tuple[Tensor, int, int]:
    """The final value on all processes, and how many photographs had no face: here, and everywhere."""
    from topiq_metrics.metrics.face import TOPIQFace

    metric = TOPIQFace(aligned=False, detector=StandIn(FACES), net=tiny_network(), on_no_face="nan", **arguments)
    for numbers in batches[rank]:
        metric.update([photograph(number) for number in numbers])
    with metric.sync_context():
        everywhere = metric.images_without_face
    return metric.compute(), metric.images_without_face, everywhere
