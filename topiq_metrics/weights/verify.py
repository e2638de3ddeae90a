"""A weights file against the SHA-256 in the catalogue, reported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from topiq_metrics.catalog import WeightsFile, get_card
from topiq_metrics.weights.hashes import sha256_of
from topiq_metrics.weights.places import main_file
from topiq_metrics.weights.resolve import resolve_file


@dataclass(frozen=True)
class WeightsReport:
    """What is known of a weights file on this machine.

    Attributes:
        name: the name of the metric that needs it.
        path: the file.
        sha256: its SHA-256, 64 hexadecimal digits.
        expected: the digits that the catalogue has: all 64, the first few, or none.
        license: terms of use, in words.
    """

    name: str
    path: Path
    sha256: str
    expected: str
    license: str

    @property
    def status(self) -> Literal["verified", "prefix-verified", "unverified"]:
        """How much of the hash was there to compare."""
        if not self.expected:
            return "unverified"
        return "verified" if len(self.expected) == len(self.sha256) else "prefix-verified"


def verify(name: str) -> list[WeightsReport]:
    """Find the weights files of the metric ``name`` on this machine and check their SHA-256; nothing is downloaded.

    Returns:
        A report for each file, that of the network first.

    Raises:
        WeightsNotFoundError: if they are nowhere on this machine.
        WeightsHashError: if the file is not the published one.
    """
    main_file(name)
    return [verify_file(file, name) for file in get_card(name).files]


def verify_file(file: WeightsFile, metric: str) -> WeightsReport:
    """Check one of the files that ``metric`` needs, as `verify` does."""
    path = resolve_file(file, metric, download=False)
    return WeightsReport(metric, path, sha256_of(path), file.sha256, file.license)
