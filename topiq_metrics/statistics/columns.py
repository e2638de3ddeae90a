"""What the figures are computed from: columns of numbers of one length, and scipy."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeAlias, cast

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
    """The columns, which are named for errors, as float64; tensors may be on any device, of any dtype, with a graph.

    Raises:
        ValueError: they are not one-dimensional and of one length.
    """
    arrays = [as_array(column) for column in columns.values()]
    if any(array.ndim != 1 or array.shape != arrays[0].shape for array in arrays):
        shapes = ", ".join(f"{name} {array.shape}" for name, array in zip(columns, arrays, strict=True))
        raise ValueError(f"Expected columns of one dimension and one length, but got {shapes}.")
    return arrays


def as_array(column: ArrayLike) -> Array:
    """A column as float64."""
    if isinstance(column, (list, tuple)):
        column = [_plain(value) for value in column]
    return np.asarray(_plain(column), dtype=np.float64)


def _plain(value: Any) -> Any:
    """A tensor as an array, whichever its dtype, of which numpy lacks some; all else as it is."""
    return value.detach().cpu().double().numpy() if hasattr(value, "detach") else value


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
    return np.array([numbers.setdefault(group, len(numbers)) for group in as_labels(groups)], dtype=np.intp)


def keep_groups(groups: Sequence[Hashable] | None, mask: Mask) -> list[Hashable] | None:
    """The groups of the rows in the mask.

    Raises:
        ValueError: there is not one group for each row.
    """
    if groups is None:
        return None
    check_groups(groups, len(mask))
    return [group for group, keep in zip(as_labels(groups), mask, strict=True) if keep]


def as_labels(groups: Sequence[Hashable]) -> list[Hashable]:
    """The groups as plain values: each tensor is a key of its own."""
    if hasattr(groups, "tolist"):
        return cast("list[Hashable]", groups.tolist())
    return [cast(Any, group).item() if hasattr(group, "detach") else group for group in groups]


def check_groups(groups: Sequence[Hashable], length: int) -> None:
    """Refuse groups that are not as many as the rows."""
    if len(groups) != length:
        raise ValueError(f"Expected a group for each of {length} rows, but got {len(groups)}.")
