"""The options of pyiqa's CFANet, and which of them our network covers."""

from __future__ import annotations

import inspect
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from pyiqa.archs import topiq_arch

from topiq_metrics.catalog import CARDS, ModelCard
from topiq_metrics.models.cfanet import CFANetConfig

SIGNATURE = inspect.signature(topiq_arch.CFANet)

BACKBONES = {"resnet50": "resnet50", "swin_base_patch4_window12_384": "swin_base"}

# With another value, the network is another one.
_FIXED = {"num_crop": 1, "num_attn_layers": 1, "activation": "gelu", "out_act": False, "block_pool": "weighted_avg"}
_FREE = {
    "semantic_model_name",
    "model_name",
    "backbone_pretrain",
    "in_size",
    "use_ref",
    "num_class",
    "crop_size",
    "inter_dim",
    "num_heads",
    "dprate",
    "pretrained",
    "pretrained_model_path",
    "test_img_size",
    "align_crop_face",
    "default_mean",
    "default_std",
}


def read_options(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Every option by name, with pyiqa's defaults.

    Raises:
        TypeError: for arguments that pyiqa's class does not take.
    """
    bound = SIGNATURE.bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.arguments


def is_covered(options: dict[str, Any]) -> bool:
    """Whether our network does what these options ask for."""
    for name, value in options.items():
        if name in _FIXED:
            expected = _FIXED[name]
        elif name not in _FREE:
            # A later pyiqa's: covered as long as it is not used.
            expected = SIGNATURE.parameters[name].default
        else:
            continue
        if value != expected:
            return False
    if options["semantic_model_name"] not in BACKBONES:
        return False
    published = options["pretrained"] and options["pretrained_model_path"] is None
    return not published or card_of(options["model_name"]) is not None


def card_of(model_name: str) -> ModelCard | None:
    """The card whose weights file pyiqa gets for ``model_name``; None for a file that the catalogue doesn't have."""
    url = topiq_arch.default_model_urls.get(model_name, "")
    filename = PurePosixPath(urlsplit(url).path).name
    return next((card for card in CARDS.values() if card.weights and card.weights.filename == filename), None)


def config_of(options: dict[str, Any]) -> CFANetConfig:
    """The architecture that the options ask for."""
    return CFANetConfig(
        backbone=BACKBONES[options["semantic_model_name"]],
        mode="FR" if options["use_ref"] else "NR",
        dim=options["inter_dim"],
        heads=options["num_heads"],
        bins=options["num_class"],
        dropout=options["dprate"],
    )
