"""A bulk job: a source, the metrics, and where the rows go."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from topiq_metrics.catalog import default_metric, get_card
from topiq_metrics.images import SizePolicy
from topiq_metrics.images.profiles import parse_profiles
from topiq_metrics.inference.backends import Backend, choose_backend
from topiq_metrics.inference.memory import DEFAULT_MAX_MEMORY
from topiq_metrics.inference.predictor import choose_device
from topiq_metrics.scoring.engine import DECODE_SECONDS, Engine
from topiq_metrics.scoring.items import Encoded, ImageObject, Item, fingerprint
from topiq_metrics.scoring.progress import Progress
from topiq_metrics.scoring.rows import Record, ScoreRow
from topiq_metrics.scoring.selection import Selection, Shard
from topiq_metrics.scoring.sinks import (
    MetricProvenance,
    OutputError,
    Provenance,
    Sink,
    check_output,
    describe_metrics,
    named_output,
    open_sink,
)
from topiq_metrics.scoring.sources import open_source

if TYPE_CHECKING:
    import torch

    from topiq_metrics.inference import Predictor
    from topiq_metrics.scoring.report import Report

PathLike: TypeAlias = "str | os.PathLike[str]"


@dataclass(frozen=True)
class RayOptions:
    """How a job runs on a Ray cluster.

    Attributes:
        address: of the cluster; None for the one that the environment names, else one of this machine's own.
        actors: processes that hold the networks; None for as many as the cluster has room for.
    """

    address: str | None = None
    actors: int | None = None


class ScoreJob:
    """What `score_images` runs, with its progress.

    The arguments are checked at once; images are read when `rows` is iterated. Arguments and errors are those of
    `score_images`, and these:

    Args:
        report: an HTML page to write when all is scored.
        ray: run on a Ray cluster instead of in this process.

    Attributes:
        metrics: names, in the order of the columns.
        progress: counts and seconds so far.
        place: where the rows lie while the job runs; None without an output.
    """

    def __init__(
        self,
        source: Any,
        metrics: str | Sequence[str] | None = None,
        *,
        references: PathLike | None = None,
        path_column: str | None = None,
        image_column: str | None = None,
        reference_column: str | None = None,
        root: PathLike | None = None,
        split: str = "train",
        weights: PathLike = "default",
        size: str | SizePolicy | None = None,
        fallback_size: str | SizePolicy | None = None,
        device: str | torch.device | None = None,
        backend: str = "torch",
        precision: str = "float32",
        max_memory: str | int | None = DEFAULT_MAX_MEMORY,
        workers: int | None = None,
        timeout: float = DECODE_SECONDS,
        profiles: str = "apply",
        shard: str | Shard = "0/1",
        output: PathLike | None = None,
        resume: bool = False,
        overwrite: bool = False,
        report: PathLike | None = None,
        ray: RayOptions | None = None,
    ) -> None:
        if metrics is None:
            metrics = default_metric(with_reference=references is not None or reference_column is not None)
        self.metrics = list(dict.fromkeys([metrics] if isinstance(metrics, str) else metrics))
        cards = [get_card(name) for name in self.metrics]
        if not cards:
            raise ValueError("Argument `metrics` must name at least one metric.")
        if weights != "default" and len(cards) > 1:
            raise ValueError("Argument `weights` goes with one metric.")
        if resume and output is None:
            raise ValueError("To resume, a job needs the output to go on with.")
        fallback = None if fallback_size is None else SizePolicy.parse(fallback_size)
        self.progress = Progress()
        self.place: Any = None
        self._shard = Shard.parse(shard)
        if resume and overwrite:
            raise ValueError("A job goes on with an output (--resume), or overwrites it (--force): not both.")
        self._output, self._resume, self._overwrite, self._ray = output, resume, overwrite, ray
        if report is not None:
            from topiq_metrics.scoring.report import check_report

            check_report(report)
        if output is not None:
            check_output(output, resume=resume, shard=str(self._shard), overwrite=overwrite)
            _check_not_read(output, [source, references])
        if not (resume or overwrite):
            _check_not_there(output, "go on with it (--resume), ")
            _check_not_there(report)
        self._source = open_source(
            source,
            references=references,
            path_column=path_column,
            image_column=image_column,
            reference_column=reference_column,
            root=root,
            split=split,
        )
        # Once for all, also on other machines: rows of one output must not be of several backends.
        runs_on = choose_backend(backend, precision, max_memory).on(choose_device(device))
        self._open_predictors = functools.partial(_open_predictors, self.metrics, weights, size, device, runs_on)
        if ray is not None and workers is None:
            # Each actor decodes beside its network.
            workers = 1
        profiles = parse_profiles(profiles)
        self._open_engine = functools.partial(
            _open_engine, workers=workers, fallback=fallback, timeout=timeout, profiles=profiles
        )
        self._describe = functools.partial(describe_metrics, self.metrics, weights=weights, size=size)
        # What is wrong with weights is to be known before the output is touched; nothing may be left to do, though.
        self._predictors = None if resume or ray is not None else self._open_predictors()
        self._machine = functools.partial(
            Provenance.of_this_machine,
            references=reference_column or references,
            fallback=fallback,
            shard=str(self._shard),
            device=device,
            backend=runs_on.name,
            precision=precision,
            profiles=profiles,
        )
        if output is not None:
            _ = self.provenance
        self._report = None if report is None else (self._new_report(), report)

    @functools.cached_property
    def provenance(self) -> Provenance:
        """What fixes the scores, as it is written beside the output; the weights files are hashed for it."""
        return self._machine(self._describe())

    def count(self) -> int | None:
        """Rows that there will be, about, where that is cheap to know; a folder is walked for it."""
        count = self._source.count()
        return None if count is None else max(self.progress.images, round(count / self._shard.count))

    def rows(self) -> Iterator[ScoreRow]:
        """Score what has no row yet; the rows are in the output when they are yielded.

        Raises:
            OutputWriteError: if the output cannot be written; what it holds so far can be gone on with.
        """
        self.progress.started = time.perf_counter()
        done: set[bytes] = set()
        images: dict[str, Encoded | ImageObject] = {}
        with self._sink() as sink:
            for record in sink.earlier() if sink else ():
                done.add(fingerprint(str(record["path"])))
                self.progress.count(record, self.metrics)
                self._add_to_report(record, None)
            self.progress.earlier = self.progress.images
            for row in self._scored(Selection(self._shard, done), images):
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
        if self._output is None:
            yield None
            return
        with contextlib.ExitStack() as opened:
            with named_output(self._output):
                sink = open_sink(self._output, self.provenance, resume=self._resume, overwrite=self._overwrite)
                opened.enter_context(sink)
            self.place = sink.place
            yield sink
            with named_output(self.place):
                opened.close()

    def _scored(self, selection: Selection, images: dict[str, Encoded | ImageObject]) -> Iterator[ScoreRow]:
        if self._ray is not None:
            from topiq_metrics.scoring.ray import score_with_ray

            return score_with_ray(
                self._source,
                selection.keeps,
                functools.partial(self._open_engine, self._open_predictors),
                identify=functools.partial(_weights_hashes, self._describe),
                actors=self._ray.actors,
                address=self._ray.address,
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

    def _add_to_report(self, record: Record, image: Encoded | ImageObject | None) -> None:
        if self._report is not None:
            self._report[0].add(record, image)


def score_images(
    source: Any,
    metrics: str | Sequence[str] | None = None,
    *,
    references: PathLike | None = None,
    path_column: str | None = None,
    image_column: str | None = None,
    reference_column: str | None = None,
    root: PathLike | None = None,
    split: str = "train",
    weights: PathLike = "default",
    size: str | SizePolicy | None = None,
    fallback_size: str | SizePolicy | None = None,
    device: str | torch.device | None = None,
    backend: str = "torch",
    precision: str = "float32",
    max_memory: str | int | None = DEFAULT_MAX_MEMORY,
    workers: int | None = None,
    timeout: float = DECODE_SECONDS,
    profiles: str = "apply",
    shard: str | Shard = "0/1",
    output: PathLike | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Iterator[ScoreRow]:
    """Score many images: yields one row for each, in the order of the source.

    An image that cannot be scored gets a row with the reason, and the rest goes on. Images are decoded in processes of
    their own while the network works, and scored in batches of one size; memory is bounded by the pixels in flight.

    Args:
        source: a file, folder or glob; a list (``.txt``), a table (``.csv``, ``.tsv``, ``.parquet``), a WebDataset
            shard (``.tar``); a URL of any of them; a dataset of Hugging Face's `datasets`, or ``hf:NAME:SPLIT``; an
            image in memory: of PIL, an array or a tensor, as `load_image` takes it; a data frame of pandas or Polars;
            an `Item`; or several of these.
        metrics: names of the catalogue; by default the bundled one, full-reference where ``references`` or
            ``reference_column`` is given.
        references: a file that is the reference of every image, or a folder that has one for each.
        path_column: of a table, the column of paths or URLs.
        image_column: of a table or dataset, the column of images or of their paths; of a shard, the extension of its
            images.
        reference_column: likewise, for references.
        root: where relative paths of lists and tables start, instead of the list's own folder.
        split: of a dataset.
        weights: ``"default"``, or a file for the one metric.
        size: a size policy instead of each metric's own.
        fallback_size: size policy for an image for which memory does not suffice; None makes it an error.
        device: where to run; a GPU if there is one.
        backend: what runs the networks: ``"torch"``, ``"compile"``, ``"onnxruntime"``, ``"openvino"``, or ``"auto"``
            for the fastest that is installed and has the precision.
        precision: ``"float32"``, which changes no score beyond rounding, or faster ones that the backend has.
        max_memory: for a batch in a network, beside its images and the weights, such as ``"2GB"``, 50 MB at least:
            larger images are scored in strips, to the same score. None is without a bound.
        workers: processes that decode; 0 decodes in threads of this process, which a hostile file can crash or hang;
            None takes one for each processor, at most 8.
        timeout: seconds for fetching an image, and again for decoding it.
        profiles: ``"apply"`` converts colours to sRGB as `load_image` does; ``"ignore"`` reads all values as if they
            were sRGB, of images and references alike.
        shard: ``"i/n"``, the part of the source to score.
        output: a ``.csv`` or ``.jsonl`` file, or a ``.parquet`` folder, that gets the rows as well, before they are
            yielded.
        resume: go on with an output that a job has begun: only images without a row are scored.
        overwrite: replace an output that is there: a file when the new one is whole, rows of a folder at once.

    Raises:
        ValueError: if an argument is wrong, or the output cannot take these rows.
        SourceError: if there is nothing to score, or the source cannot be read.
        ModuleNotFoundError: if an extra is needed.
        WeightsError: if weights cannot be had.

    Examples:
        >>> from topiq_metrics import score_images
        >>> for row in score_images("photo.jpg"):  # doctest: +SKIP
        ...     print(row.path, row.scores["topiq_nr-lite"])
    """
    job = ScoreJob(
        source,
        metrics,
        references=references,
        path_column=path_column,
        image_column=image_column,
        reference_column=reference_column,
        root=root,
        split=split,
        weights=weights,
        size=size,
        fallback_size=fallback_size,
        device=device,
        backend=backend,
        precision=precision,
        max_memory=max_memory,
        workers=workers,
        timeout=timeout,
        profiles=profiles,
        shard=shard,
        output=output,
        resume=resume,
        overwrite=overwrite,
    )
    return job.rows()


def _check_not_read(output: PathLike, sources: Sequence[Any]) -> None:
    """Raise OutputError if the output is what the job reads."""
    for source in sources:
        several = [source] if isinstance(source, (str, os.PathLike)) else source if isinstance(source, list) else []
        for one in several:
            if isinstance(one, (str, os.PathLike)) and os.path.realpath(one) == os.path.realpath(output):
                raise OutputError(f"The output {output} is one of the sources. Name another one.")


def _check_not_there(path: PathLike | None, instead: str = "") -> None:
    """Raise OutputError if a file would be replaced; a folder of rows is looked into elsewhere."""
    if path is not None and os.path.isfile(path):  # noqa: PTH113 - it may be no name of a file
        raise OutputError(f"{os.fspath(path)} is there already: {instead}name another one, or overwrite it (--force).")


def _open_predictors(
    metrics: Sequence[str],
    weights: PathLike,
    size: str | SizePolicy | None,
    device: str | torch.device | None,
    backend: Backend,
) -> list[Predictor]:
    from topiq_metrics.inference import open_predictor

    return [open_predictor(name, weights, size=size, device=device, backend=backend) for name in metrics]


def _open_engine(
    open_predictors: Callable[[], list[Predictor]],
    *,
    workers: int | None,
    fallback: SizePolicy | None,
    timeout: float,
    profiles: str,
    progress: Progress | None = None,
) -> Engine:
    return Engine(
        open_predictors(), workers=workers, fallback=fallback, timeout=timeout, profiles=profiles, progress=progress
    )


def _weights_hashes(describe: Callable[[], Sequence[MetricProvenance]]) -> dict[str, str]:
    """SHA-256 of the weights files as this machine has them."""
    files = [file for metric in describe() for file in (metric.weights, *metric.further) if file is not None]
    return {file.name: file.sha256 for file in files}


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)
