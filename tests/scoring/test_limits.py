"""Scores that are wanted, and the order of rows."""

from __future__ import annotations

import math

import pytest

from topiq_metrics.scoring.limits import Limits
from topiq_metrics.scoring.ordering import Order
from topiq_metrics.scoring.rows import ScoreRow

TWO = ("topiq_nr-lite", "lpips+")


def row(score: float | None, note: str = "", other: float | None = 0.5) -> ScoreRow:
    return ScoreRow("a.png", dict(zip(TWO, (score, other), strict=True)), 64, 64, "native", "ok", "", note)


class TestLimits:
    def test_both_ends_are_wanted(self):
        limits = Limits.of(TWO[:1], 0.4, 0.6)
        assert [limits.admit({TWO[0]: score}) for score in (0.399999, 0.4, 0.5, 0.6, 0.600001)] == [
            *(False, True, True, True, False)
        ]
        assert str(limits) == "topiq_nr-lite >= 0.4, topiq_nr-lite <= 0.6"

    @pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
    def test_what_is_no_number_is_no_score(self, score):
        assert not Limits.of(TWO[:1], 0.4).admit({TWO[0]: score})
        rows = [{"path": "a", TWO[0]: 0.9}, {"path": "b", TWO[0]: score}, {"path": "c", TWO[0]: 0.95}]
        assert [each["path"] for each in Order.parse("best", TWO).sorted(rows, lambda record: record)] == [
            "c",
            "a",
            "b",
        ]

    def test_what_is_written_counts(self):
        limits = Limits.of(TWO, {TWO[0]: 0.6})
        assert limits.marked(row(0.5999996)).note == ""
        assert limits.marked(row(0.5999994)).note == "below-min-score: topiq_nr-lite is 0.599999, less than 0.6"

    def test_notes_stand_beside_others(self):
        limits = Limits.of(TWO, {TWO[0]: 0.6}, {TWO[1]: 0.1})
        assert limits.marked(row(0.5, "hdr: it is")).note == (
            "hdr: it is; below-min-score: topiq_nr-lite is 0.5, less than 0.6; "
            "above-max-score: lpips+ is 0.5, more than 0.1"
        )

    def test_a_score_that_is_not_there_breaks_no_limit_and_is_not_admitted(self):
        limits = Limits.of(TWO, {TWO[0]: 0.6})
        unscored = row(None)
        assert limits.marked(unscored) is unscored
        assert not limits.admit(unscored.as_dict())
        assert Limits.of(TWO).admit(unscored.as_dict())

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((0.6,), r"must say of which metric it is, such as topiq_nr-lite=0.6: there are topiq_nr-lite, lpips\+"),
            (({"topiq_nr": 0.6},), "is of 'topiq_nr', which is not scored. Did you mean 'topiq_nr-lite'"),
            (({"lpips+": math.nan},), "must be a finite number, but got nan"),
            (({"lpips+": 0.6}, {"lpips+": 0.5}), r"No score of lpips\+ can be at least 0.6 and at most 0.5"),
        ],
    )
    def test_what_cannot_be_meant(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            Limits.of(TWO, *arguments)


class TestOrder:
    def ordered(self, text, rows):
        return [each["path"] for each in Order.parse(text, TWO).sorted(rows, lambda record: record)]

    def test_best_and_worst_of_either_direction(self):
        values = {"a": (0.5, 0.1), "b": (None, 0.3), "c": (0.9, 0.2), "d": (0.5, None)}
        rows = [{"path": path, **dict(zip(TWO, scores, strict=True))} for path, scores in values.items()]
        assert self.ordered("best", rows) == ["c", "a", "d", "b"]
        assert self.ordered("worst", rows) == ["a", "d", "c", "b"]
        # Of a distance, the lowest is best.
        assert self.ordered("best:lpips+", rows) == ["a", "c", "b", "d"]
        assert self.ordered("worst:lpips+", rows) == ["b", "c", "a", "d"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [("ascending", "must be best, worst, best:NAME"), ("best:topiq_fr", "is of 'topiq_fr', which is not scored")],
    )
    def test_what_cannot_be_meant(self, text, message):
        with pytest.raises(ValueError, match=message):
            Order.parse(text, TWO)
