"""Which models a function or a metric class takes, and their networks."""

from __future__ import annotations

import os
import threading
from collections import deque
from dataclasses import dataclass

import torch

from topiq_metrics.catalog import CARDS, DEFAULT_FR, DEFAULT_NR, Mode, ModelCard, get_card
from topiq_metrics.functional.scorer import placed
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.models.lpips import LPIPSPlusNetwork
from topiq_metrics.models.network import QualityNetwork, for_all_modes
from topiq_metrics.weights import shared_network


@dataclass(frozen=True)
class Task:
    """What the models of one metric class have in common.

    Attributes:
        metric: ``module:Class`` of the metric, as the cards of its models have it.
        mode: whether an image is scored by itself or against a reference.
        rates: whether the network predicts how many people would give each rating; the score is the mean rating.
        default: name of the model that is used if none is named.
        network: class of their networks.
    """

    metric: str
    mode: Mode
    rates: bool
    default: str
    network: type[QualityNetwork] = CFANet

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(name for name, card in CARDS.items() if card.metric == self.metric)


NO_REFERENCE = Task("topiq_metrics.metrics.topiq:TOPIQNoReference", "NR", rates=False, default=DEFAULT_NR)
FACE = Task("topiq_metrics.metrics.face:TOPIQFace", "NR", rates=False, default="topiq_nr-face")
LPIPS_PLUS = Task(
    "topiq_metrics.metrics.lpips:LPIPSPlus", "FR", rates=False, default="lpips+", network=LPIPSPlusNetwork
)
FULL_REFERENCE = Task("topiq_metrics.metrics.topiq:TOPIQFullReference", "FR", rates=False, default=DEFAULT_FR)
AESTHETIC = Task("topiq_metrics.metrics.topiq:TOPIQAesthetic", "NR", rates=True, default="topiq_iaa_res50")


def select_card(task: Task, model: str, net: QualityNetwork | None) -> ModelCard:
    """Choose the card with the size rule and the score range: that of ``net`` if it has one, else of ``model``.

    Raises:
        ValueError: if the model or the network is for another task, or they contradict each other, or the network is
            in training mode.
    """
    card = get_card(model)
    if card.metric != task.metric:
        raise ValueError(f"Argument `model` must be one of {task.models}, but got {model!r}.")
    if net is None:
        return card
    if not isinstance(net, task.network):
        raise ValueError(f"Argument `net` must be a {task.network.__name__}, but got {type(net).__name__}.")
    if net.training:
        raise ValueError("Argument `net` is in training mode, where dropout makes scores random: call `net.eval()`.")
    if (net.config.mode, net.config.bins > 1) != (task.mode, task.rates):
        wanted = "ratings (bins > 1)" if task.rates else "a score (bins = 1)"
        raise ValueError(f"Argument `net` must predict {wanted} in {task.mode} mode, but got {net.config}.")
    if net.name not in task.models:
        return card
    if model not in {task.default, net.name}:
        raise ValueError(f"Argument `net` is the network of {net.name!r}, but `model` is {model!r}. Give one of them.")
    return get_card(net.name)


def check_frozen(net: QualityNetwork) -> None:
    """Raise ValueError if the user's network may be in training."""
    if any(parameter.requires_grad for parameter in net.parameters()):
        raise ValueError(
            "Argument `net` must be frozen: call `net.requires_grad_(False)`, on a copy if it is being trained."
        )


def find_network(model: str, weights: str | os.PathLike[str] | None) -> QualityNetwork:
    """Find the network of ``model`` on the CPU: one for all who ask for the same weights while somebody holds it."""
    # What the process shares must not depend on the default device and mode of whoever asks first.
    with for_all_modes(), torch.device("cpu"):
        return shared_network(model, weights, device="cpu")


def find_network_again(model: str, weights: str | os.PathLike[str] | None, device: torch.device) -> QualityNetwork:
    """Find it on ``device``, for somebody who does not hold it: the last few stay in memory."""
    shared = find_network(model, weights)
    network = placed(shared, device)
    if weights is not None:
        with _lock:
            if (shared, network) in _recent:
                _recent.remove((shared, network))
            _recent.append((shared, network))
    return network


# One for each task, and one more.
_recent: deque[tuple[QualityNetwork, QualityNetwork]] = deque(maxlen=4)
_lock = threading.Lock()
