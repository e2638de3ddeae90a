"""A face metric, ready to score photographs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from topiq_metrics.errors import NoFaceError
from topiq_metrics.faces import FaceDetector, Faces, find_faces, shared_detector
from topiq_metrics.images import SizePolicy
from topiq_metrics.inference.predictor import NetworkPredictor, PredictorOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack


class FacePredictor(NetworkPredictor):
    """Scores the largest face of each photograph, found and aligned by facexlib.

    Args:
        name: a face metric of the catalogue.
        weights: ``"default"``, the path of a file, or None for an untrained network.
        size: a size policy for the photographs in which faces are searched; by default ``"native"``. The metric's own
            policy is applied to the aligned face.
        device: where to run; by default a GPU if there is one, else the CPU.
        backend: what runs the network; by default PyTorch in float32.
        detector: finds the faces instead of facexlib's RetinaFace.
    """

    max_batch = 1

    def __init__(
        self,
        name: str,
        weights: str | os.PathLike[str] | None = "default",
        *,
        detector: FaceDetector | None = None,
        **options: Unpack[PredictorOptions],
    ) -> None:
        super().__init__(name, weights, **options)
        self.detector = shared_detector(self.device) if detector is None else detector
        self._face_size = SizePolicy.parse(self.card.size)

    def _own_size(self) -> str:
        return "native"

    @torch.inference_mode()
    def __call__(self, images: Tensor, references: Tensor | None = None, *, spare_memory: bool = False) -> Tensor:  # noqa: ARG002
        """Score photographs ``(N, 3, H, W)``, as `Predictor` says.

        Raises:
            NoFaceError: if there is no face in one.
            RuntimeError: if a face cannot be aligned.
        """
        crops = []
        for index, image in enumerate(images):
            found = self._search(image)
            if not len(found.crops):
                where = f" in image {index} of {len(images)}" if len(images) > 1 else ""
                raise NoFaceError(f"no face was found{where}")
            crops.append(found.crops)
        faces = self._face_size.apply(torch.cat(crops).to(self.device))
        return self.backend(self.net, faces).float().cpu()

    def _search(self, image: Tensor) -> Faces:
        try:
            return find_faces(image, self.detector, "largest")
        except (ImportError, MemoryError):
            raise
        except Exception as error:
            # A detector may raise anything, and one photograph must not end a job.
            raise RuntimeError(f"{type(error).__name__}: {error}") from error
