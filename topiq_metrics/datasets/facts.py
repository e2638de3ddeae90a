"""The facts of every dataset as rows of text, for tables."""

from __future__ import annotations

import math
from collections.abc import Iterator

from topiq_metrics.datasets import PAIR_DATASETS, all_datasets
from topiq_metrics.datasets.base import DatasetFacts

COLUMNS = ("dataset", "records", "references", "scores", "split", "license", "source", "citation", "note")


def rows() -> Iterator[dict[str, str]]:
    """Yield for each dataset a text for each of `COLUMNS`; only the note may be empty."""
    for reader in all_datasets().values():
        yield dict(zip(COLUMNS, _texts(reader.facts, is_paired=reader.facts.key in PAIR_DATASETS), strict=True))


def _texts(facts: DatasetFacts, *, is_paired: bool) -> tuple[str, ...]:
    about = "about " if facts.rounding > 1 else ""
    unit = " pairs" if is_paired else ""
    records = f"{about}{facts.count}{unit}"
    sizes = [split if size is None else f"{split} {size}" for split, size in facts.size.items()]
    split = str(facts.split)
    if facts.split.kind == "official":
        split += f": {', '.join(sizes)}"
    # Of pairs and of patches, each has its own.
    references = "one each" if facts.references >= (facts.count or 0) else str(facts.references or "–")
    return (
        facts.key,
        records,
        references,
        _scores(facts),
        split,
        facts.license,
        facts.source,
        facts.citation,
        facts.note,
    )


def _scores(facts: DatasetFacts) -> str:
    low, high = facts.score_range
    better = "higher better" if facts.higher_is_better else "lower better"
    if math.isinf(low) and math.isinf(high):
        return f"unbounded, {better}"
    return f"from {low:g}, {better}" if math.isinf(high) else f"{low:g} to {high:g}, {better}"
