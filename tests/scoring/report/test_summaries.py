"""What is kept of rows is little, and right."""

from __future__ import annotations

import itertools
import random
import statistics

import pytest

from topiq_metrics.pages.thumbnails import Picture
from topiq_metrics.scoring.report import summaries
from topiq_metrics.scoring.report.summaries import ErrorGroups, Extremes, Histogram, Row, RowSample


def histogram_of(values):
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@pytest.mark.parametrize("values", [[0.5], [0.1, 0.2, 0.9], [0.3, 0.3, 0.7, 0.8], [-2.0, 5e6], [0.0, 0.0], [-7.25]])
def test_few_values_are_nearly_exact(values):
    histogram = histogram_of(values)
    assert (histogram.count, histogram.low, histogram.high) == (len(values), min(values), max(values))
    assert histogram.mean == pytest.approx(statistics.fmean(values))
    assert histogram.median == pytest.approx(statistics.median(values), abs=1e-6)
    bars = histogram.bars()
    assert sum(bars.counts) == len(values)
    assert bars.first * bars.step <= min(values)
    assert (bars.first + len(bars.counts)) * bars.step > max(values)
    assert len(bars.counts) <= 42


def test_many_values_take_fixed_memory_whatever_their_order():
    source = random.Random(0)
    values = [source.gauss(0.6, 0.15) for _ in range(30_000)]
    one, other = histogram_of(values), histogram_of(sorted(values))
    assert len(one._bins) <= 8192
    assert (one._bins, one._exponent) == (other._bins, other._exponent)
    assert one.median == pytest.approx(statistics.median(values), abs=3e-4)
    bars = one.bars()
    true = [0] * len(bars.counts)
    for value in values:
        true[int(value // bars.step) - bars.first] += 1
    assert sum(bars.counts) == len(values)
    assert sum(abs(a - b) for a, b in zip(true, bars.counts, strict=True)) < 0.01 * len(values)


def test_values_of_any_size_take_fixed_memory():
    histogram = histogram_of(10.0 ** (i / 300) for i in range(-9000, 9000))
    assert len(histogram._bins) <= 8192
    assert len(histogram.bars().counts) <= 42
    assert len(histogram_of([1.0, 1.0 + 1e-15]).bars().counts) <= 42


@pytest.mark.parametrize("highest", [True, False])
def test_extremes_are_those_of_sorting(highest):
    source = random.Random(1)
    scores = [source.randrange(50) for _ in range(500)]
    extremes = Extremes(12, highest=highest)
    for i, score in enumerate(scores):
        extremes.add(Row(i, ()), score, Picture(f"{i}"))
    expected = sorted(range(500), key=lambda i: (-scores[i] if highest else scores[i], i))[:12]
    assert [found.row.number for found in extremes.ordered()] == expected


def test_of_many_bytes_the_thumbnail_stays_alone():
    from io import BytesIO

    from PIL import Image

    stream = BytesIO()
    Image.new("RGB", (800, 600), "navy").save(stream, "BMP")
    pictures = [Picture(stream.getvalue()), Picture(stream.getvalue())]
    extremes = Extremes(1, highest=True)
    for i, picture in enumerate(pictures):
        extremes.add(Row(i, ()), -i, picture)
    assert pictures[0]._image == b""
    assert pictures[0].uri.startswith("data:image/jpeg;base64,")
    assert "uri" not in vars(pictures[1])


def test_groups_are_few():
    groups = ErrorGroups()
    for i in range(1000):
        groups.add(f"reason {i % 200}", f"{i}.jpg", f"reason {i % 200}: why")
    ordered = groups.ordered()
    assert len(ordered) == 51
    assert (ordered[0].reason, ordered[0].count, len(ordered[0].examples)) == ("other reasons", 750, 20)
    assert sum(group.count for group in ordered) == 1000


def sample_of(rows, monkeypatch, *, problem, most=100, most_problems=40):
    monkeypatch.setattr(summaries, "MAX_TABLE_ROWS", most)
    monkeypatch.setattr(summaries, "MAX_PROBLEM_ROWS", most_problems)
    sample = RowSample()
    for i in range(rows):
        sample.add(Row(i, ()), problem=problem(i))
        assert len(sample._sample) <= most
        assert len(sample._first_problems) <= most_problems
    return sample


def test_every_row_of_a_small_job_is_in_the_table(monkeypatch):
    sample = sample_of(100, monkeypatch, problem=lambda i: True)
    assert [row.number for row in sample.rows([])] == list(range(100))


def test_of_a_large_job_there_are_errors_extremes_and_an_even_sample(monkeypatch):
    sample = sample_of(5000, monkeypatch, problem=lambda i: i % 200 == 7)
    kept = [row.number for row in sample.rows([Row(3333, ()), Row(4999, ())])]
    assert kept == sorted(set(kept))
    assert len(kept) <= 100
    assert set(range(7, 5000, 200)) | {3333, 4999} <= set(kept)
    rest = [i for i in kept if i % 200 != 7 and i not in {3333, 4999}]
    gaps = [b - a for a, b in itertools.pairwise(rest)]
    assert len(rest) >= 35
    assert max(gaps) <= 3 * min(gaps)
    assert rest[-1] > 4800


def test_errors_leave_room_for_others(monkeypatch):
    sample = sample_of(5000, monkeypatch, problem=lambda i: True)
    kept = [row.number for row in sample.rows([])]
    assert kept[:40] == list(range(40))
    assert 70 <= len(kept) <= 100
    assert sample.problems == 5000
