"""Our networks as pyiqa builds, calls, trains and saves its own."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pyiqa.archs import arch_util, topiq_arch
from torch import Tensor, nn
from torchvision.transforms.functional import resize

from topiq_metrics.catalog import get_card
from topiq_metrics.errors import ImageTooSmallError, WeightsMismatchError
from topiq_metrics.images import SizePolicy
from topiq_metrics.inference.backends import Backend
from topiq_metrics.inference.strips import output_within
from topiq_metrics.models.backbones.swin import SwinB
from topiq_metrics.models.cfanet import CFANet, CFANetConfig
from topiq_metrics.models.heads import expected_rating
from topiq_metrics.models.network import float32_by_default
from topiq_metrics.plugins.pyiqa.options import card_of, config_of, is_covered, read_options
from topiq_metrics.plugins.pyiqa.scoring import OWN_OPTIONS, Structure, backend_of, folded_copy, forget
from topiq_metrics.plugins.pyiqa.states import constants, unused_tensors
from topiq_metrics.weights import resolve
from topiq_metrics.weights.checkpoints import read_state
from topiq_metrics.weights.keymaps import from_pyiqa, is_pyiqa, to_pyiqa
from topiq_metrics.weights.load import fill

_TOO_SMALL = 16
"""Up to here, pyiqa's network mixes grids of two sizes."""


class _Host(nn.Module):
    """One of our networks, called as pyiqa calls its own; parameters and state are named as in the network's files."""

    net: CFANet

    def _host(self, net: CFANet, backend: Backend) -> None:
        """Take the network; where pyiqa's class is a base, its constructor must not run."""
        nn.Module.__init__(self)
        # Not folded, nor channels-last: the weights may be trained. What scores is a copy, see `scoring`.
        self.net = net
        self._backend = backend
        self._structure = Structure.of(net)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)

    def forward(
        self, x: Tensor, y: Tensor | None = None, return_mos: bool = True, return_dist: bool = False
    ) -> Tensor | list[Tensor]:
        """Score images.

        Args:
            x: the images to score, RGB in [0, 1]: ``(N, 3, H, W)``.
            y: their references, for a full-reference network.
            return_mos: whether to return the scores, ``(N, 1)``.
            return_dist: whether to return the distributions over the K ratings, ``(N, K)``; for a network that
                predicts a score, the score again.

        Raises:
            AssertionError: if a reference is needed and missing.
            ValueError: if nothing is to be returned, or images and references differ in number, height or width.
        """
        if not (return_mos or return_dist):
            raise ValueError("One of the arguments `return_mos` and `return_dist` must be True.")
        images = self._images(self._find(x), y)
        if self.net.config.bins == 1 or not return_dist:
            mos = distribution = self._score(images)
        else:
            distribution = self._distribution(images)
            mos = expected_rating(distribution)[:, None]
        wanted = [output for output, asked in ((mos, return_mos), (distribution, return_dist)) if asked]
        return wanted if len(wanted) > 1 else wanted[0]

    def refresh(self) -> None:
        """Tell that weights were changed in a way that leaves no trace, as by writing to a parameter's ``data``."""
        forget(self.net, certainly=True)

    def train(self, mode: bool = True) -> Any:
        forget(self.net, certainly=False)
        return super().train(mode)

    def _images(self, x: Tensor, y: Tensor | None) -> list[Tensor]:
        """What the network takes."""
        dtype = self.net.h_emb.dtype
        images = [x]
        if self.net.config.mode == "FR":
            if y is None:
                raise AssertionError("A full-reference network needs the reference `y`.")
            images.append(y)
        # A picture that pyiqa reads has torch's default dtype.
        images = [image.to(dtype) if image.is_floating_point() else image for image in images]
        if not self.training:
            images = [self._fit(image) for image in images]
        # Channels may differ: pyiqa's own network shows a grey image three times, too.
        if len({(len(image), *image.shape[2:]) for image in images}) > 1:
            shapes = " and ".join(str(tuple(image.shape)) for image in images)
            raise ValueError(f"Images and references must have the same number, height and width, but got {shapes}.")
        return images

    def _score(self, images: Sequence[Tensor]) -> Tensor:
        """The scores, ``(N, 1)``."""
        net = folded_copy(self.net, self._structure, images)
        if net is None:
            scores: Tensor = self.net(*images)
            return scores[:, None]
        backend = self._backend
        if torch.is_grad_enabled() and any(image.requires_grad for image in images):
            backend = replace(backend, name="torch", precision="float32")
        return backend(net, *images)[:, None]

    def _distribution(self, images: Sequence[Tensor]) -> Tensor:
        """The shares of the ratings, ``(N, K)``."""
        net = folded_copy(self.net, self._structure, images)
        if net is None:
            return self.net.distribution(*images)
        return net.head.distribution(output_within(net, *images, max_memory=self._backend.max_memory))

    def _find(self, image: Tensor) -> Tensor:
        """Find the part of an image that is scored."""
        return image

    def _fit(self, image: Tensor) -> Tensor:
        """Give an image the size at which it is scored."""
        raise NotImplementedError

    def _publish(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Rename our keys, in the same order."""
        return dict(state)

    def _adopt(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Undo `_publish`, and drop what our network does without."""
        return dict(state)

    def _extras(self) -> dict[str, Tensor]:
        """Tensors that are only there to be saved and loaded."""
        return {}

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        # pyiqa's training options choose learning rates by parts of these names.
        named = self.net.named_parameters(remove_duplicate=remove_duplicate) if recurse else ()
        for name, parameter in self._publish(dict(named)).items():
            yield f"{prefix}.{name}" if prefix else name, parameter

    def state_dict(  # type: ignore[override]
        self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        state = OrderedDict() if destination is None else destination
        published = self._publish(self.net.state_dict(keep_vars=keep_vars)) | self._extras()
        state.update({prefix + key: value for key, value in published.items()})
        return state

    def _load_from_state_dict(
        self,
        state_dict: MutableMapping[str, Tensor],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        keys = [key for key in state_dict if key.startswith(prefix)]
        given = {key.removeprefix(prefix): state_dict.pop(key) for key in keys}
        live = self.net.state_dict()
        adopted = self._adopt(given)
        for key, name in zip(live, self._publish(live), strict=True):
            if key not in adopted:
                # Left as it is, and reported under the name that it has in the file.
                adopted[key] = live[key]
                if strict and not key.endswith(".num_batches_tracked"):
                    missing_keys.append(prefix + name)
        for key, value in adopted.items():
            state_dict[f"{prefix}net.{key}" if key in live else prefix + key] = value
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


class CFANetAdapter(_Host, topiq_arch.CFANet):  # type: ignore[misc]
    """pyiqa's CFANet, computed by ours: the same options, state dict and scores.

    Options that our network does not cover give an object of pyiqa's own class.

    Args:
        args: the arguments of pyiqa's class.
        kwargs: the same, by name, and ``backend``, ``precision`` and ``max_memory``, as of our own metrics; what is not
            given is that of the environment. A ``pretrained_model_path`` is loaded strictly; without one,
            ``pretrained=True`` finds the released weights as `topiq_metrics.weights.resolve` does.

    Raises:
        TypeError: for an argument that pyiqa's class does not take.
        WeightsError: if the weights cannot be found or do not fit the network.
    """

    semantic_model_name: str
    model_name: str
    use_ref: bool
    num_class: int
    test_img_size: int | Sequence[int] | None
    align_crop_face: bool

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        theirs = {name: value for name, value in kwargs.items() if name not in OWN_OPTIONS}
        if is_covered(read_options(*args, **theirs)):
            return super().__new__(cls)
        return topiq_arch.CFANet(*args, **theirs)

    @float32_by_default()
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        backend = backend_of(kwargs)
        options = read_options(*args, **kwargs)
        path = _weights_path(options)
        # An initialisation that is thrown away must not advance the user's random numbers.
        with torch.random.fork_rng(devices=[], enabled=path is not None):
            self._host(CFANet(config_of(options), name=options["model_name"]), backend)
        self.net.mean = torch.tensor(options["default_mean"], dtype=torch.float32).view(1, 3, 1, 1)
        self.net.std = torch.tensor(options["default_std"], dtype=torch.float32).view(1, 3, 1, 1)
        self.unused = nn.Module()
        for key, tensor in unused_tensors(self.net).items():
            # The name of a buffer has no dots.
            self.unused.register_buffer(key.replace(".", "/"), tensor)
        for name in ("semantic_model_name", "model_name", "use_ref", "num_class", "test_img_size", "align_crop_face"):
            setattr(self, name, options[name])
        if self._is_for_faces and self.align_crop_face:
            self.face_helper = _face_helper()
        if path is not None:
            self._load_file(path)
        elif options["backbone_pretrain"]:
            self._load_backbone()

    @property
    def _is_for_faces(self) -> bool:
        return "gfiqa" in self.model_name

    def forward_cross_attention(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The scores or distributions, ``(N, K)``; no face is looked for."""
        images = self._images(x, y)
        return self._score(images) if self.net.config.bins == 1 else self._distribution(images)

    @float32_by_default()
    def preprocess_face(self, x: Tensor) -> Tensor:
        """Find and align the face of an image with pyiqa's face helper."""
        if not hasattr(self, "face_helper"):
            self.face_helper = _face_helper()
        face: Tensor = super().preprocess_face(x)
        return face

    def _find(self, image: Tensor) -> Tensor:
        return self.preprocess_face(image) if self._is_for_faces and self.align_crop_face else image

    def _fit(self, image: Tensor) -> Tensor:
        # A Swin takes one size only, whatever is asked for.
        side = self.net.backbone.fixed_side
        size = self.test_img_size if side is None else (side, side)
        if size is not None:
            image = resize(image, size, antialias=True)
        if min(image.shape[-2:]) <= _TOO_SMALL:
            raise ImageTooSmallError(
                f"An image is too small: TOPIQ needs more than {_TOO_SMALL} px a side, but got "
                f"{image.shape[-1]}x{image.shape[-2]}."
            )
        return image

    def _publish(self, state: Mapping[str, Any]) -> dict[str, Any]:
        return to_pyiqa(state, self.net.config.mode)

    def _adopt(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return from_pyiqa(state, self.net.config.mode)

    def _extras(self) -> dict[str, Tensor]:
        return self._unused() | constants(self.net)

    def _unused(self) -> dict[str, Tensor]:
        return {name.replace("/", "."): buffer for name, buffer in self.unused.named_buffers()}

    def _load_from_state_dict(
        self,
        state_dict: MutableMapping[str, Tensor],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        for key, tensor in self._unused().items():
            if strict and prefix + key not in state_dict:
                missing_keys.append(prefix + key)
            state_dict[f"{prefix}unused.{key.replace('.', '/')}"] = state_dict.pop(prefix + key, tensor)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def _load_file(self, path: Path) -> None:
        state = read_state(path)
        if not is_pyiqa(state):
            fill(self.net, path)
            return
        try:
            self.load_state_dict(self._unused() | state)
        except RuntimeError as error:
            raise WeightsMismatchError(f"{path} does not hold the network that was asked for. {error}") from None

    def _load_backbone(self) -> None:
        """Take the ImageNet weights that pyiqa's network starts from."""
        name = self.semantic_model_name
        if isinstance(self.net.backbone, SwinB):
            backbone = topiq_arch.create_swin(name, pretrained=True, drop_path_rate=0.0)
        else:
            import timm

            backbone = timm.create_model(name, pretrained=True, features_only=True)
        state = {f"semantic_model.{key}": value for key, value in backbone.state_dict().items()}
        ours = {key.removeprefix("backbone."): value for key, value in self._adopt(state).items()}
        self.net.backbone.load_state_dict(ours)


class CatalogueNetwork(_Host):
    """The network of a metric that only our catalogue has.

    Args:
        name: the metric's name.
        pretrained: whether to fill it with the published weights.
        pretrained_model_path: weights file to fill it with instead.
        options: ``backend``, ``precision`` and ``max_memory``, as of our own metrics; what is not given is that of the
            environment.

    Raises:
        ValueError: if there is no such metric, backend, precision or size.
        TypeError: for another option.
        WeightsError: if the weights cannot be found or do not fit the network.
    """

    @float32_by_default()
    def __init__(
        self,
        name: str,
        pretrained: bool = True,
        pretrained_model_path: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        backend = backend_of(options)
        if options:
            raise TypeError(f"{name} does not take {', '.join(map(repr, options))}.")
        card = get_card(name)
        if not isinstance(card.network, CFANetConfig):
            raise ValueError(f"The network of {name!r} is none of TOPIQ's.")
        path = None
        if pretrained_model_path is not None:
            path = Path(pretrained_model_path).expanduser()
        elif pretrained:
            path = resolve(name)
        with torch.random.fork_rng(devices=[], enabled=path is not None):
            self._host(CFANet(card.network, name=name), backend)
        self.size = SizePolicy.parse(card.size)
        if path is not None:
            fill(self.net, path)

    def _fit(self, image: Tensor) -> Tensor:
        if too_small := self.size.too_small(*image.shape[-2:]):
            raise ImageTooSmallError(f"An image is too small: {too_small}.")
        return self.size.apply(image)


def _weights_path(options: Mapping[str, Any]) -> Path | None:
    path = options["pretrained_model_path"]
    if path is not None:
        if str(path).startswith(("https://", "http://")):
            path = arch_util.load_file_from_url(str(path))
        return Path(path).expanduser()
    card = card_of(options["model_name"])
    return resolve(card.name) if options["pretrained"] and card is not None else None


def _face_helper() -> Any:
    return topiq_arch.FaceRestoreHelper(
        1,
        face_size=512,
        crop_ratio=(1, 1),
        det_model="retinaface_resnet50",
        save_ext="png",
        use_parse=True,
        model_rootpath=topiq_arch.DEFAULT_CACHE_DIR,
    )
