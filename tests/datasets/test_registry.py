"""The list of readers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from topiq_metrics.datasets import DATASETS, PAIR_DATASETS, DatasetError, get_dataset


def test_every_reader_is_tested():
    sources = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py")]
    stated = re.compile(r"^    reader(?:: .*)? = datasets\.(\w+)$", re.MULTILINE)
    tested = {name for source in sources for name in stated.findall(source)}
    assert tested == {reader.__name__ for reader in (*DATASETS.values(), *PAIR_DATASETS.values())}


def test_unknown_dataset():
    with pytest.raises(DatasetError, match=r"Unknown dataset 'KADID'\. Did you mean 'kadid-10k'"):
        get_dataset("KADID")
