"""What the figures are computed from: columns of numbers of one length, and scipy."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from topiq_metrics._extras import import_extra

Array: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
Indices: TypeAlias = NDArray[np.intp]


def load_scipy(module: str) -> Any:
    """A module of scipy.

    Raises:
        ModuleNotFoundError: with the line that installs it.
    """
    return import_extra(f"scipy.{module}", "evaluation", "The evaluation needs", "scipy")


def as_columns(columns: Mapping[str, ArrayLike]) -> list[Array]:
    """The columns, which are named for errors, as float64.

    Raises:
        ValueError: they are not one-dimensional and of one length.
    """
    arrays = [np.asarray(column, dtype=np.float64) for column in columns.values()]
    if any(array.ndim != 1 or array.shape != arrays[0].shape for array in arrays):
        shapes = ", ".join(f"{name} {array.shape}" for name, array in zip(columns, arrays, strict=True))
        raise ValueError(f"Expected columns of one dimension and one length, but got {shapes}.")
    return arrays


def finite_rows(*columns: Array) -> Mask:
    """The rows without NaN and without infinities."""
    mask: Mask = np.logical_and.reduce([np.isfinite(column) for column in columns])
    return mask


def group_codes(groups: Sequence[Hashable], length: int) -> Indices:
    """The number of each row's group, counted from 0 in the order of their first rows.

    Raises:
        ValueError: there is not one group for each row.
    """
    check_groups(groups, length)
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups], dtype=np.intp)


def keep_groups(groups: Sequence[Hashable] | None, mask: Mask) -> list[Hashable] | None:
    """The groups of the rows in the mask.

    Raises:
        ValueError: there is not one group for each row.
    """
    if groups is None:
        return None
    check_groups(groups, len(mask))
    return [group for group, keep in zip(groups, mask, strict=True) if keep]


def check_groups(groups: Sequence[Hashable], length: int) -> None:
    """Refuse groups that are not as many as the rows."""
    if len(groups) != length:
        raise ValueError(f"Expected a group for each of {length} rows, but got {len(groups)}.")
