"""A bulk job: a source, the metrics, and the output."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from topiq_metrics._outputs import check_new
from topiq_metrics.catalog import default_metric, get_card
from topiq_metrics.images import SizePolicy
from topiq_metrics.images.profiles import parse_profiles
from topiq_metrics.images.reduced import parse_decode
from topiq_metrics.inference.backends import Backend, choose_backend
from topiq_metrics.inference.predictor import choose_device
from topiq_metrics.scoring.engine import Engine
from topiq_metrics.scoring.errors import OutputError, named_output, output_errors
from topiq_metrics.scoring.items import Encoded, ImageObject, Item, name_digest
from topiq_metrics.scoring.limits import Limits
from topiq_metrics.scoring.options import (
    JobKeywords,
    PathLike,
    RayOptions,
    Reading,
    Running,
    ScoreKeywords,
    Writing,
    check_keywords,
    grouped,
    showing,
)
from topiq_metrics.scoring.progress import Progress
from topiq_metrics.scoring.provenance import MetricProvenance, Provenance, describe_metrics
from topiq_metrics.scoring.rows import RowRecord, ScoreRow
from topiq_metrics.scoring.selection import Selection, Shard
from topiq_metrics.scoring.sinks import Sink, check_output, open_sink
from topiq_metrics.scoring.sources import open_source

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from topiq_metrics.inference import Predictor
    from topiq_metrics.scoring.report import Report

__all__ = ["RayOptions", "ScoreJob", "score_images"]


class ScoreJob:
    """A bulk job: `score_images` with progress, an HTML report and Ray.

    The arguments are checked at once; images are read when `rows` is iterated. Arguments and errors are those of
    `score_images`, and these:

    Args:
        report: an HTML page to write when all images are scored.
        ray: run on a Ray cluster instead of in this process; see `topiq_metrics.scoring.job.RayOptions`. ``workers``
            None is then one per actor.

    Attributes:
        metrics: names, in the order of the columns.
        limits: the accepted scores; rows with a score outside get a note.
        progress: counts and seconds so far.
        place: the file or folder that holds the rows while the job runs; None without an output or before it starts.
    """

    @showing(JobKeywords)
    def __init__(self, source: Any, metrics: str | Sequence[str] | None = None, **options: Unpack[JobKeywords]) -> None:
        check_keywords("ScoreJob", options, JobKeywords)
        reading, running, writing = grouped(options)
        if metrics is None:
            metrics = default_metric(
                with_reference=reading.references is not None or reading.reference_column is not None
            )
        self.metrics = list(dict.fromkeys([metrics] if isinstance(metrics, str) else metrics))
        cards = [get_card(name) for name in self.metrics]
        if not cards:
            raise ValueError("Argument `metrics` must name at least one metric.")
        if running.weights != "default" and len(cards) > 1:
            raise ValueError("Argument `weights` requires a single metric.")
        if writing.resume and writing.output is None:
            raise ValueError("Argument `resume` requires an `output`.")
        fallback = None if running.fallback_size is None else SizePolicy.parse(running.fallback_size)
        self.progress = Progress()
        self.place: Any = None
        self._shard = Shard.parse(reading.shard)
        _check_outputs(source, reading, writing, self._shard)
        self._writing = writing
        self.limits = Limits.of(self.metrics, writing.min_score, writing.max_score)
        self._source = open_source(
            source,
            references=reading.references,
            path_column=reading.path_column,
            image_column=reading.image_column,
            reference_column=reading.reference_column,
            root=reading.root,
            split=reading.split,
            every=reading.every,
        )
        # Once for all, also on other machines: rows of one output must not be of several backends.
        backend = choose_backend(running.backend, running.precision, running.max_memory)
        self._backend = backend.on(choose_device(running.device))
        # Each of Ray's actors decodes beside its network.
        workers = 1 if running.ray is not None and running.workers is None else running.workers
        self._running = running = replace(
            running,
            fallback_size=fallback,
            workers=workers,
            profiles=parse_profiles(running.profiles),
            decode=parse_decode(running.decode),
        )
        # Of files, in a folder; of tables beside them, in a column.
        named = (reading.reference_column, reading.references)
        self._references = " and ".join(os.fspath(where) for where in named if where is not None) or None
        self._image_column = reading.image_column
        self._open_predictors = functools.partial(_open_predictors, self.metrics, running, self._backend)
        self._open_engine = functools.partial(_open_engine, running=running)
        self._describe_metrics = functools.partial(
            describe_metrics, self.metrics, weights=running.weights, size=running.size
        )
        # What is wrong with weights is to be known before the output is touched; nothing may be left to do, though.
        later = writing.resume or running.ray is not None
        self._predictors = None if later else self._open_predictors()
        self._provenance: Provenance | None = None
        if writing.output is not None:
            self._describe()
        self._report = None if writing.report is None else (self._new_report(), writing.report)

    @property
    def provenance(self) -> Provenance:
        """What determines the scores, as it is written next to the output; the weights files are hashed for it."""
        return self._describe()

    def _describe(self) -> Provenance:
        """Hash the weights files, and remember what fixes the scores."""
        if self._provenance is None:
            self._provenance = Provenance.of_this_machine(
                self._describe_metrics(),
                references=self._references,
                image_column=self._image_column,
                fallback=self._running.fallback_size,
                shard=str(self._shard),
                device=self._running.device,
                backend=self._backend.name,
                precision=self._running.precision,
                profiles=self._running.profiles,
                decode=self._running.decode,
                limits=str(self.limits) or None,
            )
        return self._provenance

    def count(self) -> int | None:
        """Approximate number of rows in all, or None if it is not cheap to find out; folders are walked."""
        count = self._source.count()
        return None if count is None else max(self.progress.images, round(count / self._shard.count))

    def rows(self) -> Iterator[ScoreRow]:
        """Score all images that have no row yet; each row is written to the output before it is yielded.

        Raises:
            OutputWriteError: if the output cannot be written; the job can be resumed.
        """
        self.progress.started = time.perf_counter()
        done: set[bytes] = set()
        images: dict[str, Encoded | ImageObject] = {}
        with self._sink() as sink:
            for record in sink.earlier() if sink else ():
                done.add(name_digest(str(record["path"])))
                self.progress.count(record, self.metrics)
                self._add_to_report(record, None)
            self.progress.earlier = self.progress.images
            for row in map(self.limits.marked, self._scored(Selection(self._shard, done), images)):
                if sink:
                    with named_output(sink.place):
                        sink.write(row)
                record = row.as_dict()
                self.progress.count(record, self.metrics)
                self._add_to_report(record, images.pop(row.path, None))
                yield row
            # Before the output is whole: who sees it knows what it lacks.
            self.progress.left_out += self._source.left_out
        if self._report is not None:
            report, path = self._report
            with named_output(path):
                report.write(path, started=dt.datetime.fromisoformat(self.provenance.created), finished=_now())

    @contextlib.contextmanager
    def _sink(self) -> Iterator[Sink | None]:
        writing = self._writing
        if writing.output is None:
            yield None
            return
        with contextlib.ExitStack() as opened:
            with named_output(writing.output):
                sink = open_sink(writing.output, self.provenance, resume=writing.resume, overwrite=writing.overwrite)
                opened.enter_context(sink)
            self.place = sink.place
            yield sink
            with named_output(self.place):
                opened.close()

    def _scored(self, selection: Selection, images: dict[str, Encoded | ImageObject]) -> Iterator[ScoreRow]:
        if self._running.ray is not None:
            from topiq_metrics.scoring.ray import score_with_ray

            return score_with_ray(
                self._source,
                selection.keeps,
                functools.partial(self._open_engine, self._open_predictors),
                identify=functools.partial(_weights_hashes, self._describe_metrics),
                actors=self._running.ray.actors,
                address=self._running.ray.address,
                left_out=self.progress.left_out,
            )
        items = (item for item in self._source.items() if selection.keeps(item.name))
        return self._scored_here(self._remembered(items, images))

    def _scored_here(self, items: Iterator[Item]) -> Iterator[ScoreRow]:
        first = next(items, None)
        if first is None:
            return
        predictors = self._predictors or self._open_predictors()
        with self._open_engine(lambda: predictors, progress=self.progress) as engine:
            yield from engine.rows(itertools.chain([first], items))

    def _remembered(self, items: Iterable[Item], images: dict[str, Encoded | ImageObject]) -> Iterator[Item]:
        """Keep what the report's thumbnails are made of until the row is there."""
        for item in items:
            if self._report is not None:
                images[item.name] = item.encoded
            yield item

    def _new_report(self) -> Report:
        from topiq_metrics.scoring.report import Report

        provenance = replace(self.provenance, complete=True)
        return Report(self.metrics, asdict(provenance), profiles=provenance.profiles)

    def _add_to_report(self, record: RowRecord, image: Encoded | ImageObject | None) -> None:
        if self._report is not None:
            self._report[0].add(record, image)


@showing(ScoreKeywords)
def score_images(
    source: Any, metrics: str | Sequence[str] | None = None, **options: Unpack[ScoreKeywords]
) -> Iterator[ScoreRow]:
    """Score many images: yields one row for each, in the order of the source.

    An image that cannot be scored gets a row with the reason; it does not stop the others. Images are decoded in
    separate processes while the network runs, and scored in batches of one size. Memory grows by some 110 bytes for
    each image of a list, a table or a resumed job, and by 400 for each file of a folder of references.

    Args:
        source: a file, folder or glob; a list (``.txt``), a table (``.csv``, ``.tsv``, ``.parquet``), a WebDataset
            shard (``.tar``); a URL of any of them; a video (``.mp4`` and others); a Hugging Face dataset, as an object
            or ``hf:NAME:SPLIT``; an image in memory (PIL, array or tensor), as `load_image` takes it; a data frame of
            pandas or Polars; an `Item`; or several of these. See `topiq_metrics.scoring.open_source`.
        metrics: names of metrics in the catalogue; by default ``"topiq_nr-lite"``, or ``"topiq_fr-lite"`` if
            ``references`` or ``reference_column`` is given.
        references: a file that is the reference of every image, a folder with a reference for each, or a pattern of
            their paths, such as ``"{folder}/{name%%_*}_GT.jpg"``.
        path_column: of a table, the column of paths or URLs.
        image_column: of a table or dataset, the column of images or of their paths; of a shard, the extension of its
            images.
        reference_column: of a table or dataset, the column of references; of a shard, their extension.
        root: where relative paths in lists and tables start; by default the folder of the list or table.
        split: of a Hugging Face dataset.
        every: of a video, score one frame per time, such as ``"1s"``, or every n-th frame, such as ``"10"``; by default
            every frame.
        weights: ``"default"``, or the path of a file, with one metric only.
        size: a size policy instead of each metric's own.
        fallback_size: size policy for an image that does not fit into memory; None makes it an error.
        device: where to run; by default a GPU if there is one, else the CPU.
        backend: what runs the networks: ``"torch"``, ``"compile"``, ``"onnxruntime"``, ``"openvino"``, or ``"auto"``
            for the fastest that is installed and supports the precision.
        precision: ``"float32"``, which changes scores by rounding only, or ``"bfloat16"`` or ``"float16"``, which are
            faster, if the backend supports them.
        max_memory: for a batch in a network, in addition to its images and the weights, such as ``"2GB"``, at least
            50 MB. Larger images are scored in strips, with the same score. None is no limit.
        workers: processes that decode; 0 decodes in threads of this process, which a malicious file can crash or hang;
            None is one per processor, at most 8.
        timeout: seconds to fetch an image, and again to decode it.
        profiles: ``"apply"`` converts colours to sRGB as `load_image` does; ``"ignore"`` reads all values, also those
            of references, as sRGB.
        decode: ``"exact"`` decodes all pixels of a file. ``"fast"`` may decode JPEG and JPEG 2000 at a half, a quarter
            or an eighth of their size, as long as the result is at least twice as large as the size rules of all
            metrics need, with the same scale for image and reference: faster on large photographs, with scores that
            differ by a few thousandths.
        shard: ``"i/n"``, the part of the source to score, from ``"0/n"`` to ``"n-1/n"``.
        min_score: lowest accepted score: of the only metric, or of each by name, such as ``{"topiq_nr-lite": 0.6}``. A
            row with a lower score gets a note.
        max_score: highest accepted score, as ``min_score``.
        output: a ``.csv``, ``.jsonl`` or ``.json`` file, or a ``.parquet`` folder, to which each row is written before
            it is yielded.
        resume: resume an interrupted job: score only images that have no row in the output.
        overwrite: replace an existing output: a file when the new one is complete, the rows in a folder at once.

    Returns:
        An iterator over rows; see `ScoreRow`.

    Raises:
        ValueError: if an argument is wrong, or the output cannot hold these rows.
        SourceError: if there is nothing to score, or the source cannot be read.
        OutputWriteError: while iterating, if the output cannot be written.
        ModuleNotFoundError: if an extra is needed and not installed.
        WeightsError: if weights cannot be found or loaded.

    Examples:
        >>> from topiq_metrics import score_images
        >>> for row in score_images("photo.jpg"):  # doctest: +SKIP
        ...     print(row.path, row.scores["topiq_nr-lite"])
    """
    check_keywords("score_images", options, ScoreKeywords)
    return ScoreJob(source, metrics, **options).rows()


def _check_outputs(source: Any, reading: Reading, writing: Writing, shard: Shard) -> None:
    """Raise ValueError if the outputs cannot be written as it is asked for; nothing is changed."""
    if writing.resume and writing.overwrite:
        raise ValueError("A job resumes an output (--resume) or overwrites it (--force): not both.")
    if writing.report is not None:
        from topiq_metrics.scoring.report import check_report

        check_report(writing.report)
    if writing.output is not None:
        check_output(writing.output, resume=writing.resume, shard=str(shard), overwrite=writing.overwrite)
        _check_not_read(writing.output, [source, reading.references])
    if not (writing.resume or writing.overwrite):
        _check_new(writing.output, "resume it (--resume), name another one")
        _check_new(writing.report, "name another one")


def _check_not_read(output: PathLike, sources: Sequence[Any]) -> None:
    """Raise OutputError if the output is what the job reads."""
    for source in sources:
        several = [source] if isinstance(source, (str, os.PathLike)) else source if isinstance(source, list) else []
        for one in several:
            if isinstance(one, (str, os.PathLike)) and os.path.realpath(one) == os.path.realpath(output):
                raise OutputError(f"The output {output} is one of the sources. Name another one.")


def _check_new(path: PathLike | None, instead: str) -> None:
    """Raise OutputError if a file would be replaced; a folder of rows is looked into elsewhere."""
    if path is not None and not os.path.isdir(path):  # noqa: PTH112 - it may be no name of a file
        with output_errors():
            check_new(path, instead)


def _open_predictors(metrics: Sequence[str], running: Running, backend: Backend) -> list[Predictor]:
    from topiq_metrics.inference import open_predictor

    return [
        open_predictor(name, running.weights, size=running.size, device=running.device, backend=backend)
        for name in metrics
    ]


def _open_engine(
    open_predictors: Callable[[], list[Predictor]], *, running: Running, progress: Progress | None = None
) -> Engine:
    return Engine(
        open_predictors(),
        workers=running.workers,
        fallback=running.fallback_size,
        timeout=running.timeout,
        profiles=running.profiles,
        decode=running.decode,
        progress=progress,
    )


def _weights_hashes(describe: Callable[[], Sequence[MetricProvenance]]) -> dict[str, str]:
    """SHA-256 of the weights files as this machine has them."""
    files = [file for metric in describe() for file in (metric.weights, *metric.further) if file is not None]
    return {file.name: file.sha256 for file in files}


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)
