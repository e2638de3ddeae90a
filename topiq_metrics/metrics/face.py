"""The face metric.

Chen, Mo, Hou, Wu, Liao, Sun, Yan, Lin. "TOPIQ: A Top-Down Approach From Semantics to Distortions for Image
Quality Assessment". IEEE TIP 33:2404–2418, 2024. arXiv 2308.03060.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from topiq_metrics.faces import FaceDetector, FacexlibDetector, Which, load_facexlib, shared_detector
from topiq_metrics.functional.face import (
    FaceScores,
    OnNoFace,
    check_choices,
    score_aligned,
    score_photographs,
    validate_photographs,
)
from topiq_metrics.functional.tasks import FACE
from topiq_metrics.functional.topiq import Reduction
from topiq_metrics.metrics.base import TOPIQMetric
from topiq_metrics.models.cfanet import CFANet


class TOPIQFace(TOPIQMetric):
    """Score faces with TOPIQ: from about 0 to about 1, higher is better.

    With ``aligned=True`` it takes faces aligned as in FFHQ, and works like `TOPIQNoReference`: what is said there about
    the network and ``forward`` applies here, too. With ``aligned=False`` it takes photographs, in which facexlib finds
    and aligns the faces; this requires the extra ``face`` and is not differentiable.

    A photograph without a face raises an error or, with ``on_no_face="nan"``, gives a NaN among the scores of
    ``reduction="none"``. Means and sums are over the faces found; `images_without_face` counts the photographs without
    one.

    Args:
        model: ``"topiq_nr-face"``, ``"topiq_nr-face-v1"`` or ``"topiq_nr_swin-face"``; `topiq_metrics.get_card` has
            their training data and licence.
        weights: ``"default"`` for the model's published weights, the path of a file, or None for a network that is
            not trained.
        reduction: ``"mean"`` or ``"sum"`` over all faces, or ``"none"`` for a score per face; None is ``"none"``.
        aligned: whether the images are aligned faces of 512 x 512 pixels, or photographs.
        on_no_face: for photographs: ``"raise"`` an error if there is no face, or count it as ``"nan"``.
        faces: for photographs: ``"largest"`` scores the largest face of each, so that each photograph counts once and
            faces in the background are ignored; ``"all"`` scores every face.
        detector: for photographs: finds the faces instead of facexlib's RetinaFace, whose weights are looked for in the
            same places as those of the network. It is not moved to another device.
        check_range: whether to refuse images with values outside [0, 1].
        net: a network to use instead, as in `TOPIQNoReference`.
        kwargs: ``backend``, ``precision`` and ``max_memory``, as in `TOPIQNoReference`, and those of every
            `torchmetrics.Metric`.

    Attributes:
        last_faces: after an update with photographs, a `FaceScores` for each of them, with boxes. It is not part of the
            state; if metrics share their state in a `torchmetrics.MetricCollection`, only the first has it.

    Raises:
        ValueError: if an argument is not as above.
        ModuleNotFoundError: if facexlib is needed, or ``backend``, and is not installed.
        WeightsError: if the weights of the network or of the detector cannot be found or loaded.

    References:
        Chen et al. "TOPIQ: A Top-Down Approach From Semantics to Distortions for Image Quality Assessment".
        IEEE TIP 33:2404–2418, 2024. arXiv 2308.03060.

    Examples:
        An untrained network, to run without a download:

        >>> import torch
        >>> from topiq_metrics import TOPIQFace
        >>> metric = TOPIQFace(weights=None, reduction="none")
        >>> metric.update(torch.rand(1, 3, 512, 512, generator=torch.manual_seed(0)))
        >>> metric.compute().shape
        torch.Size([1])
    """

    task = FACE

    def __init__(
        self,
        model: str = FACE.default,
        weights: str | os.PathLike[str] | None = "default",
        reduction: Reduction | None = "mean",
        *,
        aligned: bool = True,
        on_no_face: OnNoFace = "raise",
        faces: Which = "largest",
        detector: FaceDetector | None = None,
        check_range: bool = True,
        net: CFANet | None = None,
        **kwargs: Any,
    ) -> None:
        check_choices(faces, on_no_face)
        if "size" in kwargs:
            raise ValueError("TOPIQFace takes no argument `size`: an aligned face has 512 x 512 pixels.")
        if aligned and detector is not None:
            raise ValueError("Argument `detector` is for photographs: it requires `aligned=False`.")
        if not aligned:
            load_facexlib()
        super().__init__(
            model=model, weights=weights, reduction=reduction, check_range=check_range, size=None, net=net, **kwargs
        )
        self.aligned = aligned
        self.on_no_face = on_no_face
        self.faces = faces
        self.last_faces: list[FaceScores] = []
        self._without_name = ""
        if aligned:
            return
        self._follows_device = detector is None
        # Inside a tuple, a detector that is a module is no child.
        self._held_detector = (shared_detector(self.device) if detector is None else detector,)
        # As the base does it: only metrics with equal scores may have states of equal names.
        search = f"{faces} {on_no_face} {self._held_detector[0]!r}"
        self._without_name = f"without_{hashlib.blake2b(search.encode(), digest_size=8).hexdigest()}"
        self.add_state(self._without_name, default=torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
        self._place_state()

    @property
    def is_differentiable(self) -> bool:  # type: ignore[override]
        return self.aligned and super().is_differentiable

    @property
    def images_without_face(self) -> int:
        """Number of photographs without a face in this process since the last reset.

        Inside ``with metric.sync_context():``, of all processes.
        """
        return int(getattr(self, self._without_name)) if self._without_name else 0

    def update(self, preds: Tensor | Sequence[Tensor], target: object = None) -> None:  # noqa: ARG002
        """Score a batch.

        Args:
            preds: RGB, floating point in [0, 1] or uint8 in 0…255: aligned faces ``(N, 3, 512, 512)`` or a list of
                ``(3, 512, 512)``; with ``aligned=False``, photographs ``(N, 3, H, W)`` or a list of ``(3, H, W)`` of
                any sizes, with sides of at least 32 pixels.
            target: ignored; it is there because a `torchmetrics.MetricCollection` passes it to all its metrics.

        Raises:
            ValueError: if the images are not as above, or not on the metric's device, or if photographs require a
                gradient.
            NoFaceError: if a photograph has no face, unless ``on_no_face="nan"``. A subclass of ValueError; no image of
                the batch is counted then.
            RuntimeError: if a face cannot be aligned.
        """
        if self.aligned:
            self._add_scores(score_aligned(self.net, preds, check_range=self.check_range))
            return
        images = validate_photographs(preds, check_range=self.check_range)
        self.last_faces = score_photographs(self.net, images, self._detector(), self.faces, self.on_no_face)
        without = sum(not len(found) for found in self.last_faces)
        setattr(self, self._without_name, getattr(self, self._without_name) + without)
        scores = [found.scores for found in self.last_faces]
        if self.reduction == "none":
            scores = [of_image if len(of_image) else of_image.new_full((1,), torch.nan) for of_image in scores]
        self._add_scores(torch.cat(scores))

    def _detector(self) -> FaceDetector:
        """The user's, or facexlib's on the metric's device."""
        held = self._held_detector[0]
        if self._follows_device and isinstance(held, FacexlibDetector) and held.device != self.device:
            held = shared_detector(self.device)
            self._held_detector = (held,)
        return held
