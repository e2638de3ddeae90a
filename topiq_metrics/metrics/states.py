"""States of a torchmetrics metric that keep their types, and what its ``plot`` says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

if TYPE_CHECKING:
    from torchmetrics.utilities.plot import _AX_TYPE, _PLOT_OUT_TYPE

_CHANGED_BY_FORWARD = (
    "_update_count", "_computed", "_forward_cache", "_is_synced", "_to_sync", "_should_unsync", "_enable_grad",
    "compute_on_cpu",
)  # fmt: skip
_WITHOUT_FLOAT64 = frozenset({"mps"})


class KeptStates(Metric):
    """States that survive: a model around the metric that is cast, and a batch in ``forward`` that raises an error.

    They keep their types, so that all processes have the same.

    Sums and counts, whose defaults are zero, are float64 and whole numbers wherever they live; a device that has no
    float64 leaves them on the CPU. What is kept in lists is float32.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # torchmetrics gives a process without data an empty list of this type; all processes must have the same.
        self._dtype = torch.float32

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As torchmetrics' own, but a batch that raises an error leaves all as it was.

        Under `torch.no_grad`, the value of the batch has no gradient either.
        """
        settings = {name: getattr(self, name) for name in _CHANGED_BY_FORWARD}
        states = {name: getattr(self, name) for name in self._defaults}
        # Lists are emptied in place.
        states = {name: list(value) if isinstance(value, list) else value for name, value in states.items()}
        if not torch.is_grad_enabled():
            args, kwargs = _detached(args), _detached(kwargs)
        try:
            return super().forward(*args, **kwargs)
        except BaseException:
            for name, value in {**settings, **states}.items():
                setattr(self, name, value)
            raise

    def plot(self, val: Tensor | Sequence[Tensor] | None = None, ax: _AX_TYPE | None = None) -> _PLOT_OUT_TYPE:
        """Plot one result or several; without ``val``, the current one.

        Args:
            val: a result of ``forward`` or ``compute``, or a list of them.
            ax: matplotlib axis to draw on.

        Returns:
            Figure and axis.

        Raises:
            ModuleNotFoundError: if matplotlib is not installed.
        """
        return self._plot(val, ax)

    def _apply(  # type: ignore[override]
        self,
        fn: Callable[..., Any],
        exclude_state: Sequence[str] = "",  # noqa: ARG002
        recurse: bool = True,  # noqa: ARG002
    ) -> nn.Module:
        super()._apply(fn, exclude_state=tuple(self._defaults))
        # torchmetrics casts the cached result.
        self._computed = None
        self._place_state()
        return self

    def merge_state(self, incoming_state: dict[str, Any] | Metric) -> None:
        super().merge_state(incoming_state)
        # torchmetrics would give the result of before, and take a metric with merged states alone for one without any.
        self._computed = None
        self._update_count += incoming_state.update_count if isinstance(incoming_state, Metric) else 1

    def _place_state(self) -> None:
        self._dtype = torch.float32
        device = torch.device("cpu") if self.device.type in _WITHOUT_FLOAT64 else self.device
        for name, default in self._defaults.items():
            value = getattr(self, name)
            if isinstance(default, list):
                setattr(self, name, [scores.to(self.device) for scores in value])
                continue
            self._defaults[name] = torch.zeros_like(default, device=device)
            setattr(self, name, torch.zeros_like(value, device=device) if value.is_meta else value.to(device))


def _detached(value: Any) -> Any:
    """A batch, or a collection of images, without the graph that led to it."""
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, dict):
        return {key: _detached(each) for key, each in value.items()}
    return type(value)(map(_detached, value)) if type(value) in (list, tuple) else value
