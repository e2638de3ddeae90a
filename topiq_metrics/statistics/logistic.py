"""The logistic function that maps predictions to the scale of human scores before PLCC and RMSE are computed.

- ``"logistic4"``: ``(β1 − β2) / (1 + exp(−(x − β3) / |β4|)) + β2``, monotone; VQEG, "Final report from the Video
  Quality Experts Group on the validation of objective models of video quality assessment", 2000 and 2003.
- ``"logistic5"``: ``β1 (1/2 − 1 / (1 + exp(β2 (x − β3)))) + β4 x + β5``, which need not be monotone; Sheikh, Sabir,
  Bovik, "A statistical evaluation of recent full reference image quality assessment algorithms", IEEE TIP 15(11), 2006.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from topiq_metrics.statistics.columns import Array, as_array, as_columns, finite_rows, load_scipy

LogisticName: TypeAlias = Literal["logistic4", "logistic5"]

PARAMETERS: dict[str, int] = {"logistic4": 4, "logistic5": 5}

_STARTS = 6


@dataclass(frozen=True)
class Fit:
    """A fitted logistic; called with predictions, it returns them on the scale of the human scores.

    Attributes:
        name: ``"logistic4"`` or ``"logistic5"``.
        parameters: β1, β2 … as in the papers' formulas; NaN if there is no fit.
        converged: whether the least-squares search converged. If not, the parameters are the best it found.
        reason: why there is no fit, or that it did not converge; else an empty string.
    """

    name: LogisticName
    parameters: tuple[float, ...]
    converged: bool
    reason: str = ""

    @property
    def exists(self) -> bool:
        return not math.isnan(self.parameters[0])

    def __call__(self, predicted: ArrayLike) -> Array:
        expit = load_scipy("special").expit
        x = as_array(predicted)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if self.name == "logistic4":
                b1, b2, b3, b4 = self.parameters
                values: Array = (b1 - b2) * expit((x - b3) / abs(b4)) + b2
            else:
                b1, b2, b3, b4, b5 = self.parameters
                values = b1 * (expit(b2 * (x - b3)) - 0.5) + b4 * x + b5
        return values


def fit_logistic(predicted: ArrayLike, mos: ArrayLike, name: LogisticName = "logistic4") -> Fit:
    """Fit a logistic by least squares, increasing or decreasing, whichever is closer.

    - ``"logistic4"``: ``(β1 − β2) / (1 + exp(−(x − β3) / |β4|)) + β2``, monotone (VQEG, 2000).
    - ``"logistic5"``: ``β1 (1/2 − 1 / (1 + exp(β2 (x − β3)))) + β4 x + β5``, not always monotone (Sheikh et al., IEEE
      TIP 15(11), 2006).

    Args:
        predicted: a metric's score of each image, ``(N,)``, in any direction.
        mos: mean opinion score of each image, ``(N,)``. Rows with NaN or an infinity in either are left out.
        name: ``"logistic4"`` or ``"logistic5"``.

    Returns:
        The fit. Its ``reason`` says if it did not converge, a column is constant, or there are no more rows than
        parameters.

    Raises:
        ValueError: the columns are not one-dimensional or differ in length, or ``name`` is unknown.
        ModuleNotFoundError: scipy is not installed.
    """
    columns = as_columns({"predicted": predicted, "mos": mos})
    usable = finite_rows(*columns)
    x, y = (column[usable] for column in columns)
    if name not in PARAMETERS:
        raise ValueError(f"Argument `logistic` must be one of {tuple(PARAMETERS)}, but got {name!r}.")
    count = PARAMETERS[name]
    if len(x) <= count:
        reason = f"a fit of {count} parameters needs at least {count + 1} images, and there are {len(x)}"
    else:
        reason = why_constant(x, y)
    if reason:
        return Fit(name, (math.nan,) * count, False, reason)
    # One extreme value must not squeeze all others into a point.
    spread = float(np.subtract(*np.quantile(x, [0.84, 0.16]))) / 2
    x_scale, y_scale = _Scale(float(np.median(x)), spread or float(x.std())), _Scale(float(y.mean()), float(y.std()))
    curve = _Curve(x_scale.to(x), y_scale.to(y), line=name == "logistic5")
    solution, converged = curve.solve()
    failure = "" if converged else "the fit did not converge: these are the best parameters it found"
    return Fit(name, _as_published(solution, x_scale, y_scale), converged, failure)


def why_constant(predicted: Array, mos: Array) -> str:
    """Which column has one value only, in words; nothing if neither has."""
    if np.ptp(predicted) == 0:
        return "all predictions are equal"
    return "all opinion scores are equal" if np.ptp(mos) == 0 else ""


@dataclass(frozen=True)
class _Scale:
    middle: float
    unit: float

    def to(self, column: Array) -> Array:
        return (column - self.middle) / self.unit


class _Curve:
    """``height · logistic(slope (u − midpoint)) + base``, plus ``line · u`` where there is a line, to be close to v.

    A solution is slope, midpoint, height, base and line. Given the first two, the others are linear.
    """

    def __init__(self, u: Array, v: Array, *, line: bool) -> None:
        self.u, self.v, self.line = u, v, line
        self.expit = load_scipy("special").expit

    def solve(self) -> tuple[Array, bool]:
        """The best solution found, and whether its search came to an end."""
        midpoints = np.quantile(self.u, [0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95])
        grid = [self._start(slope, midpoint) for midpoint in midpoints for slope in (0.3, 1.0, 3.0, 10.0)]
        ends = [self._search(start, tolerance=1e-6)[0] for start in sorted(grid, key=self._error)[:_STARTS]]
        return self._search(min(ends, key=self._error), tolerance=1e-10)

    def _start(self, slope: float, midpoint: float) -> Array:
        """The best linear parameters, whose signs decide whether the curve rises or falls."""
        linear, *_ = np.linalg.lstsq(self._columns(slope, midpoint), self.v, rcond=None)
        return np.array([slope, midpoint, *linear])

    def _search(self, start: Array, *, tolerance: float) -> tuple[Array, bool]:
        with np.errstate(all="ignore"):
            found = load_scipy("optimize").least_squares(
                self._residuals,
                start,
                self._jacobian,
                method="lm",
                ftol=tolerance,
                xtol=tolerance,
                gtol=tolerance,
                max_nfev=300,
            )
            better = np.isfinite(found.x).all() and found.x[0] != 0 and self._error(found.x) <= self._error(start)
        return (found.x, bool(found.success)) if better else (start, False)

    def _columns(self, slope: float, midpoint: float) -> Array:
        """The logistic, a constant and the line: what the linear parameters multiply."""
        with np.errstate(over="ignore"):
            logistic = self.expit(slope * (self.u - midpoint))
        return np.column_stack([logistic, np.ones_like(self.u), *([self.u] if self.line else [])])

    def _residuals(self, solution: Array) -> Array:
        residuals: Array = self._columns(solution[0], solution[1]) @ solution[2:] - self.v
        return residuals

    def _jacobian(self, solution: Array) -> Array:
        slope, midpoint, height = solution[:3]
        columns = self._columns(slope, midpoint)
        steep = height * columns[:, 0] * (1 - columns[:, 0])
        return np.column_stack([steep * (self.u - midpoint), -steep * slope, columns])

    def _error(self, solution: Array) -> float:
        return float(np.sum(self._residuals(solution) ** 2))


def _as_published(solution: Array, x: _Scale, y: _Scale) -> tuple[float, ...]:
    """The parameters of the papers' formulas, for predictions and opinions as they are."""
    slope, midpoint, height, base, *line = (float(value) for value in solution)
    middle = x.middle + x.unit * midpoint
    if line:
        tilt = y.unit * line[0] / x.unit
        return y.unit * height, slope / x.unit, middle, tilt, y.middle + y.unit * (base + height / 2) - tilt * x.middle
    low, high = y.middle + y.unit * base, y.middle + y.unit * (base + height)
    return (high, low, middle, x.unit / slope) if slope > 0 else (low, high, middle, -x.unit / slope)
