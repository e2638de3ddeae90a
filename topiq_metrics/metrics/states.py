"""States of a torchmetrics metric that keep their types, and what its ``plot`` says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

if TYPE_CHECKING:
    from torchmetrics.utilities.plot import _AX_TYPE, _PLOT_OUT_TYPE

_WITHOUT_FLOAT64 = frozenset({"mps"})


class KeptStates(Metric):
    """States keep their types when a model around the metric is cast, so that all processes have the same.

    Sums and counts, whose defaults are zero, are float64 and whole numbers wherever they live; a device that has no
    float64 leaves them on the CPU. What is kept in lists is float32.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # torchmetrics gives a process without data an empty list of this type; all processes must have the same.
        self._dtype = torch.float32

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
