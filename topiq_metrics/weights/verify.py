"""A weights file against the SHA-256 in the catalogue, reported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from topiq_metrics.catalog import get_card
from topiq_metrics.weights.hashes import sha256_of
from topiq_metrics.weights.resolve import resolve


@dataclass(frozen=True)
class WeightsReport:
    """What is known of a weights file on this machine.

    Attributes:
        name: the metric's name.
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


def verify(name: str) -> WeightsReport:
    """Find the weights of the metric ``name`` on this machine and check their SHA-256; nothing is downloaded.

    Raises:
        WeightsNotFoundError: if they are nowhere on this machine.
        WeightsHashError: if the file is not the published one.
    """
    card = get_card(name)
    path = resolve(name, download=False)
    return WeightsReport(name, path, sha256_of(path), card.weights.sha256, card.weights.license)
