"""The version of this package, and those of what runs beside it."""

from __future__ import annotations

__version__ = "0.1.0"


def versions(*distributions: str) -> dict[str, str]:
    """The versions of this package and of ``distributions``, by name; what is not installed is left out."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"topiq-metrics": __version__}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
