"""What the TOPIQ metrics share: the network's place in a torchmetrics metric, and the state."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchmetrics.utilities.data import dim_zero_cat

from topiq_metrics.catalog import get_card
from topiq_metrics.functional.scorer import Scorer
from topiq_metrics.functional.tasks import Task, choose
from topiq_metrics.functional.topiq import Reduction, _topiq_compute, _topiq_update, parse_reduction
from topiq_metrics.images import SizePolicy
from topiq_metrics.inference.backends import choose_backend
from topiq_metrics.inference.memory import DEFAULT_MAX_MEMORY
from topiq_metrics.metrics.states import KeptStates
from topiq_metrics.models.network import QualityNetwork, fingerprint
from topiq_metrics.weights.sharing import HOLDINGS

_STATE_NAME = re.compile(r"(scores|sum|count)_[0-9a-f]{16}")


class TOPIQMetric(KeptStates):
    """Accumulates the scores of a `Scorer`: their sum and count, or the scores themselves.

    The names of the states contain a digest of everything that a score depends on: torchmetrics merges metrics whose
    states have equal names and values after the first batch, and only metrics on one network may be merged. Sums are
    float64; they stay on the CPU if the device does not support float64. Scores and results are float32.
    """

    higher_is_better = True
    full_state_update = False
    feature_network: ClassVar[str] = "net"
    plot_legend_name = "Image"

    task: ClassVar[Task]
    net: Scorer

    def __init__(
        self,
        *,
        model: str,
        weights: str | os.PathLike[str] | None,
        reduction: Reduction | None,
        check_range: bool,
        size: SizePolicy | str | None,
        net: QualityNetwork | None,
        prepare: Callable[[QualityNetwork], QualityNetwork] = lambda network: network,
        backend: str = "torch",
        precision: str = "float32",
        max_memory: str | int | None = DEFAULT_MAX_MEMORY,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.backend = choose_backend(backend, precision, max_memory)
        choice = choose(self.task, model, weights, net, size, prepare)
        self.model = choice.card.name
        self.reduction = parse_reduction(reduction)
        self.check_range = check_range
        self.net = choice.hold(self.backend)
        network = self.net.network
        identity = fingerprint(network) if net is not None else _shared_fingerprint(network)
        if not self.backend.is_plain:
            identity = f"{identity} on {self.backend.name} in {self.backend.precision}"
        self.net.key = identity
        if net is None:
            self.net.to(self.device)
        else:
            self._device = next(net.parameters()).device

        self._identity = f"{identity} {choice.size} {check_range}"
        self._scores_name, self._sum_name, self._count_name = self._state_names()
        if self.reduction == "none":
            self.add_state(self._scores_name, default=[], dist_reduce_fx="cat")
        else:
            zero = torch.zeros((), dtype=torch.float64, device="cpu")
            self.add_state(self._sum_name, default=zero, dist_reduce_fx="sum")
            self.add_state(self._count_name, default=zero.long(), dist_reduce_fx="sum")
        self._place_state()

    def _state_names(self) -> tuple[str, str, str]:
        """Of scores, sum and count: only metrics that score alike may have states of equal names."""
        scorer = _find_scorer(self)
        dtype = None if scorer is None else scorer.changed_dtype
        identity = self._identity if dtype is None else f"{self._identity} in {dtype}"
        digest = hashlib.blake2b(identity.encode(), digest_size=8).hexdigest()
        return f"scores_{digest}", f"sum_{digest}", f"count_{digest}"

    def _update_scores(self, preds: Tensor | Sequence[Tensor], *target: Tensor | Sequence[Tensor]) -> None:
        self._add_scores(_topiq_update(self.net, preds, *target, check_range=self.check_range))

    def _add_scores(self, scores: Tensor) -> None:
        if self.reduction == "none":
            getattr(self, self._scores_name).append(scores.float())
            return
        total, count = getattr(self, self._sum_name), getattr(self, self._count_name)
        setattr(self, self._sum_name, total + scores.to(total.device).double().sum())
        setattr(self, self._count_name, count + len(scores))

    def compute(self) -> Tensor:
        """Reduce the scores of all images since the last reset, over all processes.

        Returns:
            Float32: a scalar, NaN for ``"mean"`` if there were no images; or ``(N,)`` for ``"none"``, in the order of
            the processes.
        """
        if self.reduction == "none":
            scores = getattr(self, self._scores_name)
            return dim_zero_cat(scores) if len(scores) else torch.zeros(0, dtype=torch.float32, device=self.device)
        total, count = getattr(self, self._sum_name), getattr(self, self._count_name)
        return _topiq_compute(total, count, self.reduction).float().to(self.device)

    @property
    def is_differentiable(self) -> bool:  # type: ignore[override]
        return self.backend.is_plain

    @property
    def plot_lower_bound(self) -> float | None:  # type: ignore[override]
        return None if self.reduction == "sum" else get_card(self.model).score_range[0]

    @property
    def plot_upper_bound(self) -> float | None:  # type: ignore[override]
        return None if self.reduction == "sum" else get_card(self.model).score_range[1]

    def set_dtype(self, dst_type: str | torch.dtype) -> TOPIQMetric:
        """Run the network in another floating-point type. The accumulated states keep theirs, but get other names."""
        dtype = torch.empty(0).type(dst_type).dtype
        for module in self.modules():
            if isinstance(module, Scorer):
                module.set_dtype(dtype)
        before = self._scores_name, self._sum_name, self._count_name
        self._scores_name, self._sum_name, self._count_name = names = self._state_names()
        kept: list[dict[str, Any]] = [self._defaults, self._persistent, self._reductions, self._cache or {}]
        for old, new in zip(before, names, strict=True):
            if old != new and old in self._defaults:
                setattr(self, new, getattr(self, old))
                delattr(self, old)
                for each in kept:
                    if old in each:
                        each[new] = each.pop(old)
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        # FeatureShare only warns before it gives every metric the network of the first.
        if name == self.feature_network and name in self._modules:
            ours, theirs = (_find_scorer(module) for module in (self._modules[name], value))
            if theirs is None or str(ours) != str(theirs):
                raise ValueError(f"{type(self).__name__} cannot share a network that scores differently from its own.")
        # A collection hands on the state of the first metric of a group, which it forms once.
        if _STATE_NAME.fullmatch(name) and name not in (self._scores_name, self._sum_name, self._count_name):
            raise RuntimeError(
                f"{type(self).__name__} was grouped with a metric that has scored differently since `set_dtype`: call "
                "it before the first batch, or make a new MetricCollection of the metrics."
            )
        super().__setattr__(name, value)

    def _wrap_compute(self, compute: Callable[..., Any]) -> Callable[..., Any]:
        wrapped = super()._wrap_compute(compute)

        @functools.wraps(compute)
        def keep_dimension(*args: Any, **kwargs: Any) -> Any:
            # torchmetrics squeezes whatever has one element, but one image is still a batch.
            value = wrapped(*args, **kwargs)
            return value.reshape(-1) if self.reduction == "none" else value

        return keep_dimension

    def _reduce_states(self, incoming_state: dict[str, Any]) -> None:
        # `forward` has computed the batch value with its graph, which must not stay in the list.
        if self.reduction == "none":
            setattr(self, self._scores_name, [scores.detach() for scores in getattr(self, self._scores_name)])
        super()._reduce_states(incoming_state)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        # A checkpoint from when the network was saved with the metric: nothing is amiss, and the network stays ours.
        scorer = _find_scorer(self)
        for key in scorer.network.state_dict() if scorer is not None else ():
            state_dict.pop(f"{prefix}{self.feature_network}.{key}", None)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


def _shared_fingerprint(net: QualityNetwork) -> str:
    # A shared network does not change, and is hashed once.
    return HOLDINGS.make_once(net, "fingerprint", lambda: fingerprint(net))


def _find_scorer(module: object) -> Scorer | None:
    modules = module.modules() if isinstance(module, nn.Module) else ()
    return next((inner for inner in modules if isinstance(inner, Scorer)), None)
