"""The report of a job: rows go in one by one, a page comes out at the end."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

from topiq_metrics._files import write_whole
from topiq_metrics._outputs import check_place_of_file, check_writable
from topiq_metrics._version import __version__
from topiq_metrics.catalog import ModelCard, get_card
from topiq_metrics.images.profiles import parse_profiles
from topiq_metrics.pages.rendering import render
from topiq_metrics.pages.text import readable, visible
from topiq_metrics.pages.thumbnails import Picture
from topiq_metrics.scoring.items import Encoded, ImageObject
from topiq_metrics.scoring.report.links import link_of, root_of
from topiq_metrics.scoring.report.summaries import (
    MAX_PROBLEM_ROWS,
    Cells,
    ErrorGroups,
    Extremes,
    Found,
    Histogram,
    Row,
    RowSample,
)
from topiq_metrics.scoring.rows import RowRecord, reason

GALLERY = 12
"""How many of the best and of the worst are shown for a metric."""

_MAX_TEXT = 1000
_MAX_REASON = 80
_MAX_PATH = 8192
# Networks compute in float32: what is beyond its range is no score of theirs.
_MAX_SCORE = 3.5e38


def check_report(path: str | os.PathLike[str]) -> Path:
    """``path``, if a `Report` can be expected to be written there.

    Raises:
        ValueError: another suffix than ``.html``, a folder that does not exist or may not be written, or a folder as
            report.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"A report's file must end in .html, but got {path}.")
    try:
        check_place_of_file(path)
        check_writable(path.parent)
    except OSError as error:
        raise ValueError(str(error)) from None
    return path


class Report:
    """An HTML page about a job's rows: histograms, best and worst images, errors by reason, a table, provenance.

    Memory does not grow with the number of rows: histograms have fixed bins, 12 images are kept at either end of each
    metric, and the table has at most `MAX_TABLE_ROWS` rows; the page says so if there are more.

    Args:
        metrics: names of the metrics in the rows.
        provenance: how the rows were computed, for the reader: names and values, which may be nested.
        title: the page's title.
        profiles: how the colours of thumbnails are read, as in `topiq_metrics.score_images`.

    Raises:
        ValueError: a metric is not in the catalogue.
    """

    def __init__(
        self,
        metrics: Sequence[str],
        provenance: Mapping[str, object] | None = None,
        title: str = "Image quality report",
        profiles: str = "apply",
    ) -> None:
        self._profiles = parse_profiles(profiles)
        self._title = title
        self._provenance = dict(provenance or {})
        self._names = tuple(metrics)
        self._metrics = [_MetricSummary(get_card(name)) for name in metrics]
        self._statuses: Counter[str] = Counter()
        self._errors = ErrorGroups()
        self._table = RowSample()

    def add(self, record: RowRecord, image: Encoded | ImageObject | None = None) -> None:
        """Add a row.

        Args:
            record: a row as `ScoreRow.as_dict` returns it, of this job or an earlier one.
            image: the image, its path or its bytes, for a thumbnail; by default ``record["path"]`` is tried.
        """
        path, status, error, note = (str(record.get(name) or "") for name in ("path", "status", "error", "note"))
        scores = [_score(record.get(name)) for name in self._names]
        row = Row(self._statuses.total(), (*self._cells(record, path, scores, status, error, note), *_file(path)))
        self._statuses[status] += 1
        problem = status != "ok"
        self._table.add(row, problem=problem)
        if problem:
            word = reason(error, self._names) or "unknown"
            self._errors.add(_clip(word, _MAX_REASON), _clip(path), _clip(error))
        picture = Picture(path if image is None else image, self._profiles)
        for summary, score in zip(self._metrics, scores, strict=True):
            if score is not None:
                summary.add(row, score, picture)

    def write(
        self, path: str | os.PathLike[str], *, started: datetime | None = None, finished: datetime | None = None
    ) -> None:
        """Write the page; an existing file is replaced once the new one is complete.

        Args:
            path: a file that ends in ``.html`` or ``.htm``, in a folder that exists.
            started: when the job began.
            finished: when it ended.

        Raises:
            ValueError: another suffix, or a folder that does not exist or cannot be written.
            OSError: the file cannot be written.
        """
        path = check_report(path)
        data = {**self._data(_span(started, finished)), "root": root_of(path)}
        page = render("report", title=self._title, data=data)
        write_whole(path, page.encode())

    @staticmethod
    def _cells(record: RowRecord, path: str, scores: Sequence[float | None], status: str, *texts: str) -> Cells:
        width, height = (_score(record.get(name)) for name in ("width", "height"))
        size = _clip(str(record.get("size") or ""))
        return (_clip(path), *scores, width, height, size, status, *(_clip(text) for text in texts))

    def _data(self, span: str) -> dict[str, object]:
        thumbnails = _Thumbnails()
        metrics = [summary.data(thumbnails) for summary in self._metrics]
        rows = self._table.rows(found.row for summary in self._metrics for found in summary.extremes())
        return {
            "title": visible(self._title),
            "span": span,
            "version": __version__,
            "counts": {"total": self._statuses.total(), **{s: self._statuses[s] for s in ("ok", "partial", "error")}},
            "metrics": metrics,
            "thumbnails": thumbnails.uris,
            "errors": [
                {
                    "reason": visible(group.reason),
                    "count": group.count,
                    "examples": [[visible(path), visible(error)] for path, error in group.examples],
                }
                for group in self._errors.ordered()
            ],
            "rows": [_shown(row.cells) for row in rows],
            "pictures": {number: place for number, row in enumerate(rows) if (place := thumbnails.of(row)) is not None},
            "problems": {"total": self._table.problems, "bound": MAX_PROBLEM_ROWS},
            "provenance": readable(self._provenance) if self._provenance else [],
        }


class _MetricSummary:
    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._histogram = Histogram()
        self._best = Extremes(GALLERY, highest=card.higher_is_better)
        self._worst = Extremes(GALLERY, highest=not card.higher_is_better)

    def add(self, row: Row, score: float, picture: Picture) -> None:
        self._histogram.add(score)
        self._best.add(row, score, picture)
        self._worst.add(row, score, picture)

    def extremes(self) -> list[Found]:
        return self._best.ordered() + self._worst.ordered()

    def data(self, thumbnails: _Thumbnails) -> dict[str, object]:
        card, scores = self._card, self._histogram
        # Of a few images, none is among the best and among the worst.
        half = (scores.count + 1) // 2
        return {
            "name": card.name,
            "summary": card.summary,
            "range": card.score_range,
            "higher": card.higher_is_better,
            "count": scores.count,
            "distribution": _distribution(scores) if scores.count else None,
            "best": [thumbnails.tile(found) for found in self._best.ordered()[:half]],
            "worst": [thumbnails.tile(found) for found in self._worst.ordered()[: scores.count - half]],
        }


def _distribution(scores: Histogram) -> dict[str, object]:
    return {
        "low": scores.low,
        "high": scores.high,
        "mean": scores.mean,
        "median": scores.median,
        "bars": scores.bars()._asdict(),
    }


class _Thumbnails:
    """Each thumbnail once, though several metrics may show it."""

    def __init__(self) -> None:
        self.uris: list[str] = []
        self._places: dict[int, int | None] = {}

    def tile(self, found: Found) -> dict[str, object]:
        number, cells = found.row
        if number not in self._places:
            uri = found.picture.uri
            self._places[number] = None if uri is None else len(self.uris)
            self.uris += [] if uri is None else [uri]
        shown = _shown(cells)
        file = {"link": shown[-2], "path": shown[-1]}
        return {"name": shown[0], "score": found.score, "thumbnail": self._places[number], **file}

    def of(self, row: Row) -> int | None:
        """The place of a row's thumbnail, if there is one."""
        return self._places.get(row.number)


def _file(path: str) -> Cells:
    """Address of the file that a row is of, and its path in full; neither of one that no file can have."""
    return (link_of(path), path) if len(path) <= _MAX_PATH else (0, "")


def _shown(cells: Cells) -> list[str | int | float | None]:
    """Cells as the page has them: text to be read, then an address, and a path, None where it is what is read."""
    *texts, link, path = cells
    shown = [visible(cell) if isinstance(cell, str) else cell for cell in texts]
    return [*shown, link, None if path == shown[0] else path]


def _score(value: object) -> float | None:
    """A finite number, or None."""
    return value if isinstance(value, (int, float)) and abs(value) < _MAX_SCORE else None


def _clip(text: str, limit: int = _MAX_TEXT) -> str:
    """``text`` without its middle, if it is very long."""
    return text if len(text) <= limit else f"{text[: limit // 2]} … {text[-limit // 2 :]}"


def _span(started: datetime | None, finished: datetime | None) -> str:
    moments = [moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M") for moment in (started, finished) if moment]
    if started is None or finished is None:
        return "".join(f"{'started' if started else 'finished'} {moment} UTC" for moment in moments)
    same_day = moments[0][:10] == moments[1][:10]
    took = timedelta(seconds=round((finished - started).total_seconds()))
    return f"{moments[0]} – {moments[1][11:] if same_day else moments[1]} UTC, took {took}"
