"""Which models a function or a metric class takes, and their networks."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from topiq_metrics.catalog import CARDS, DEFAULT_FR, DEFAULT_NR, Mode, ModelCard, get_card
from topiq_metrics.functional.scorer import Images, Scorer
from topiq_metrics.images import SizePolicy
from topiq_metrics.inference.backends import Backend
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.models.lpips import LPIPSPlusNetwork
from topiq_metrics.models.network import QualityNetwork
from topiq_metrics.weights.load import check_not_both
from topiq_metrics.weights.sharing import neutral_network, recent_network

Prepare: TypeAlias = Callable[[QualityNetwork], QualityNetwork]


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
    try:
        own = get_card(net.name)
    except ValueError:
        return card
    if own.metric != task.metric:
        return card
    if model not in {task.default, net.name}:
        raise ValueError(f"Argument `net` is the network of {net.name!r}, but `model` is {model!r}. Give one of them.")
    return own


@dataclass(frozen=True)
class Choice:
    """What a user has chosen to score with: the way to the network for functions, metrics and losses. See `choose`.

    Called with images as a `Scorer` is, it scores them with a network that nobody needs to hold: functions do.

    Attributes:
        card: of the model.
        size: size rule.
        weights: ``"default"``, a path, or None.
        net: the network itself, if it was given.
        prepare: makes the network what the user wants of it.
    """

    card: ModelCard
    size: SizePolicy
    weights: str | os.PathLike[str] | None
    net: QualityNetwork | None
    prepare: Prepare

    def __call__(self, *images: Images) -> Tensor:
        net = self.net
        if net is None:
            net = recent_network(self.card.name, self.weights, images[0][0].device)
        scores: Tensor = Scorer(self.prepare(net), self.size)(*images)
        return scores

    def hold(self, backend: Backend | None = None) -> Scorer:
        """The scorer to keep, on the CPU or where the given network is.

        Raises:
            ValueError: if the given network may be in training.
            WeightsError: if the weights cannot be found or loaded.
        """
        net = self.net
        if net is None:
            net = neutral_network(self.card.name, self.weights)
        elif any(parameter.requires_grad for parameter in net.parameters()):
            raise ValueError(
                "Argument `net` must be frozen: call `net.requires_grad_(False)`, on a copy if it is being trained."
            )
        return Scorer(self.prepare(net), self.size, backend)


def choose(
    task: Task,
    model: str,
    weights: str | os.PathLike[str] | None,
    net: QualityNetwork | None,
    size: SizePolicy | str | None,
    prepare: Prepare = lambda network: network,
) -> Choice:
    """Check a choice of a user.

    Raises:
        ValueError: as `select_card`, if there is no such size rule, or if ``net`` and ``weights`` are given.
    """
    card = select_card(task, model, net)
    check_not_both(net, weights)
    return Choice(card, SizePolicy.parse(card.size if size is None else size), weights, net, prepare)
