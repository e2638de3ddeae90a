"""A weights file against the SHA-256 in the catalogue, reported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from topiq_metrics.catalog import WeightsFile, get_card
from topiq_metrics.weights.hashes import metric_of, sha256_of
from topiq_metrics.weights.places import file_of
from topiq_metrics.weights.resolve import resolve


@dataclass(frozen=True)
class WeightsReport:
    """The state of a weights file on this machine.

    Attributes:
        name: name of a metric that needs it.
        path: path of the file.
        sha256: its SHA-256, 64 hexadecimal digits.
        expected: the digits in the catalogue: all 64, the first few, or none.
        license: terms of use, in words.
    """

    name: str
    path: Path
    sha256: str
    expected: str
    license: str

    @property
    def status(self) -> Literal["verified", "prefix-verified", "unverified"]:
        """How much of the hash could be compared."""
        if not self.expected:
            return "unverified"
        return "verified" if len(self.expected) == len(self.sha256) else "prefix-verified"


def verify(file: str | WeightsFile) -> list[WeightsReport]:
    """Find a weights file, or all files of a metric, on this machine and check their SHA-256; nothing is downloaded.

    Args:
        file: name of a metric, or one of the files in its card.

    Returns:
        A report for each file, the network's first; the last may be that of what reads local quality out of it.

    Raises:
        WeightsNotFoundError: if a file is not on this machine.
        WeightsHashError: if the SHA-256 of a file is not that of the published one.
        ValueError: if there is no such metric, or it needs no weights.
    """
    main = file_of(file)
    files = (main,) if isinstance(file, WeightsFile) else get_card(file).files_to_verify
    return [_report(one) for one in files]


def _report(file: WeightsFile) -> WeightsReport:
    path = resolve(file, download=False)
    return WeightsReport(metric_of(file), path, sha256_of(path), file.sha256, file.license)
