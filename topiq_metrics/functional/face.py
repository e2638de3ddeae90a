"""The functional twins of the face metric: one for aligned faces, one for photographs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from topiq_metrics.errors import NoFaceError
from topiq_metrics.faces import FACE_SIDE, FaceDetector, Faces, Which, find_faces
from topiq_metrics.faces.detection import recent_detector
from topiq_metrics.functional.tasks import FACE, choose
from topiq_metrics.functional.topiq import Reduction, _topiq_compute, parse_reduction
from topiq_metrics.images import validate_images
from topiq_metrics.models.cfanet import CFANet

OnNoFace: TypeAlias = Literal["raise", "nan"]
_FACES_AT_ONCE = 8


@dataclass(frozen=True, eq=False)
class FaceScores:
    """The K faces of one photograph that were scored, on the photograph's device; K = 0 if there is none.

    Attributes:
        scores: ``(K,)``; from about 0 to about 1, higher is better.
        boxes: ``(K, 4)``: left, top, right, bottom, in pixels of the photograph; may reach beyond its edge.
        landmarks: ``(K, 5, 2)``: x and y of left eye, right eye, nose, left and right corner of the mouth, as the
            viewer sees them.
        confidences: ``(K,)``: the detector's confidence, in [0, 1].
    """

    scores: Tensor
    boxes: Tensor
    landmarks: Tensor
    confidences: Tensor

    def __len__(self) -> int:
        return len(self.scores)


def topiq_face(
    preds: Tensor | Sequence[Tensor],
    *,
    model: str = FACE.default,
    weights: str | os.PathLike[str] | None = "default",
    net: CFANet | None = None,
    reduction: Reduction | None = "mean",
    check_range: bool = True,
) -> Tensor:
    """Score aligned faces with TOPIQ: from about 0 to about 1, higher is better.

    Differentiable with respect to the faces. For photographs, use `topiq_faces`.

    Args:
        preds: faces, aligned as in FFHQ, RGB: ``(N, 3, 512, 512)``, or a list of ``(3, 512, 512)``; floating
            point in [0, 1], or uint8 in 0…255.
        model: ``"topiq_nr-face"``, ``"topiq_nr-face-v1"`` or ``"topiq_nr_swin-face"``.
        weights: ``"default"`` for the model's published weights, the path of a file, or None for a network that is
            not trained (a new one in each call).
        net: a network to use instead, in evaluation mode, on the device of the faces; they are cast to its dtype.
        reduction: ``"mean"`` or ``"sum"`` over the faces, or ``"none"`` for a score per face; None is ``"none"``.
        check_range: whether to refuse faces with values outside [0, 1].

    Returns:
        The score, a scalar, or ``(N,)`` for ``reduction="none"``.

    Raises:
        ValueError: if an argument is not as above.
        WeightsError: if the weights cannot be found or loaded.

    References:
        Chen et al. "TOPIQ: A Top-Down Approach From Semantics to Distortions for Image Quality Assessment".
        IEEE TIP 33:2404–2418, 2024. arXiv 2308.03060.

    Examples:
        An untrained network, to run without a download:

        >>> import torch
        >>> from topiq_metrics import topiq_face
        >>> faces = torch.rand(1, 3, 512, 512, generator=torch.manual_seed(0))
        >>> topiq_face(faces, weights=None, reduction="none").shape
        torch.Size([1])
    """
    reduction = parse_reduction(reduction)
    scores = score_aligned(choose(FACE, model, weights, net, None), preds, check_range=check_range)
    return _topiq_compute(scores, len(scores), reduction)


def topiq_faces(
    preds: Tensor | Sequence[Tensor],
    *,
    model: str = FACE.default,
    weights: str | os.PathLike[str] | None = "default",
    net: CFANet | None = None,
    faces: Which = "largest",
    on_no_face: OnNoFace = "raise",
    detector: FaceDetector | None = None,
    check_range: bool = True,
) -> list[FaceScores]:
    """Find the faces of photographs with facexlib, align them and score each with TOPIQ.

    Requires the extra ``face``. Not differentiable.

    Args:
        preds: photographs, RGB: ``(N, 3, H, W)``, or a list of ``(3, H, W)`` of any sizes; floating point in [0, 1],
            or uint8 in 0…255. Sides of at least 32 pixels.
        model: as in `topiq_face`.
        weights: as in `topiq_face`.
        net: as in `topiq_face`.
        faces: ``"largest"``, by the area of its box inside the photograph, or ``"all"``.
        on_no_face: ``"raise"`` an error for a photograph without a face; with ``"nan"``, it has K = 0.
        detector: finds the faces instead of facexlib's RetinaFace.
        check_range: whether to refuse photographs with values outside [0, 1].

    Returns:
        For each photograph, its faces, with their scores and boxes.

    Raises:
        NoFaceError: if a photograph has no face, unless ``on_no_face="nan"``.
        ValueError: if an argument is not as above, or a photograph requires a gradient.
        RuntimeError: if a face cannot be aligned.
        ModuleNotFoundError: if facexlib is not installed.
        WeightsError: if the weights of the network or of the detector cannot be found or loaded.
    """
    check_choices(faces, on_no_face)
    scorer = choose(FACE, model, weights, net, None)
    images = validate_photographs(preds, check_range=check_range)
    if detector is None:
        detector = recent_detector(images[0].device)
    return score_photographs(scorer, images, detector, faces, on_no_face)


def check_choices(faces: str, on_no_face: str) -> None:
    for name, value, known in (("faces", faces, ("largest", "all")), ("on_no_face", on_no_face, ("raise", "nan"))):
        if value not in known:
            raise ValueError(f"Argument `{name}` must be one of {known}, but got {value!r}.")


def score_aligned(scorer: Callable[..., Tensor], preds: Tensor | Sequence[Tensor], *, check_range: bool) -> Tensor:
    """Validate and score aligned faces: ``(N,)``. ``scorer`` is called as a `Scorer` is."""
    images = validate_images(preds, check_range=check_range, min_side=1)
    for image in images:
        if image.shape[-2:] != (FACE_SIDE, FACE_SIDE):
            raise ValueError(
                f"Argument `preds` must be aligned faces of {FACE_SIDE} x {FACE_SIDE} pixels, but got shape "
                f"{tuple(image.shape)}. Faces in photographs are found and aligned by `topiq_faces`, or by "
                "`TOPIQFace(aligned=False)`."
            )
    return scorer(images if isinstance(images, Tensor) else tuple(images))


def validate_photographs(preds: Tensor | Sequence[Tensor], *, check_range: bool) -> Sequence[Tensor]:
    images = list(validate_images(preds, check_range=check_range))
    if torch.is_grad_enabled() and any(image.requires_grad for image in images):
        raise ValueError(
            "Argument `preds` requires a gradient, but finding and aligning faces is not differentiable: pass "
            "`preds.detach()`, or faces that are aligned already to `topiq_face` or `TOPIQFace(aligned=True)`."
        )
    return images


def score_photographs(
    scorer: Callable[..., Tensor],
    images: Sequence[Tensor],
    detector: FaceDetector,
    faces: Which,
    on_no_face: OnNoFace,
) -> list[FaceScores]:
    """Find the faces of photographs and score them. ``scorer`` is called as a `Scorer` is."""
    found = [find_faces(image, detector, faces) for image in images]
    without = [f"`preds[{index}]`" for index, in_image in enumerate(found) if not len(in_image.boxes)]
    if without and on_no_face == "raise":
        raise NoFaceError(f"No face was found in {', '.join(without)}. Pass on_no_face='nan' to continue without one.")
    with torch.no_grad():
        crops = [crop for in_image in found for crop in in_image.crops]
        scores = [
            scorer(torch.stack(crops[start : start + _FACES_AT_ONCE])) for start in range(0, len(crops), _FACES_AT_ONCE)
        ]
    of_all = torch.cat(scores) if scores else torch.zeros(0, dtype=torch.float32, device=images[0].device)
    of_each = torch.split(of_all, [len(in_image.boxes) for in_image in found])
    return [_face_scores(*pair) for pair in zip(of_each, found, strict=True)]


def _face_scores(scores: Tensor, found: Faces) -> FaceScores:
    device = scores.device
    return FaceScores(scores, found.boxes.to(device), found.landmarks.to(device), found.confidences.to(device))
