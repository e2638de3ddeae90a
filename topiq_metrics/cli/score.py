"""``topiq score``: images from anywhere to one row per image."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from topiq_metrics.catalog import DEFAULT_FR, DEFAULT_NR, default_metric, get_card
from topiq_metrics.cli.console import FULL_DISK, exit_on_error, fail, is_full_disk, printable
from topiq_metrics.cli.memory_limit import limit_memory
from topiq_metrics.cli.options import REFERENCE_NAMES, DecodeOption, ForceOption, Precision, ProfilesOption, split_names
from topiq_metrics.cli.progress import log_event, shown_progress
from topiq_metrics.cli.rows import printed_rows
from topiq_metrics.cli.threads import limit_threads
from topiq_metrics.scoring.children import started_early

if TYPE_CHECKING:
    from topiq_metrics.scoring import ScoreRow
    from topiq_metrics.scoring.job import ScoreJob
    from topiq_metrics.scoring.selection import Shard

_ADVICE = {"profiles-differ": " (a program that drops profiles does that; --profiles ignore reads both alike)"}
_SOURCES, _RUN, _CLUSTER = "Sources", "Running", "More than one machine"


def score(
    context: typer.Context,
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Images, folders, globs; lists (.txt, - for stdin), tables (.csv, .tsv, .parquet), shards (.tar); "
            "URLs of any of these; hf:NAME:SPLIT.",
        ),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "-m",
            "--metric",
            "--metrics",
            metavar="NAME",
            help="A metric, or several with commas; may be repeated. "
            f"Default: {DEFAULT_NR}; with references {DEFAULT_FR}.",
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(*REFERENCE_NAMES, help="Folder (or one file) of reference images, for full-reference metrics."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write rows to this .csv or .jsonl file, or .parquet folder."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the job of this output has stopped.")] = False,
    force: ForceOption = False,
    html: Annotated[Path | None, typer.Option(help="Write a page to look at, .html.")] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="native, max_side=N, max_short_side=N, short_side=N or square=N, "
            "instead of each metric's own size rule."
        ),
    ] = None,
    fallback_size: Annotated[
        str | None, typer.Option(help="Size rule for an image for which memory does not suffice.")
    ] = None,
    profiles: ProfilesOption = "apply",
    decode: DecodeOption = "exact",
    weights: Annotated[
        Path | None, typer.Option(help="A weights file for the metric, instead of the catalogue's.")
    ] = None,
    path_column: Annotated[
        str | None, typer.Option(help="Column of paths or URLs in a table.", rich_help_panel=_SOURCES)
    ] = None,
    image_column: Annotated[
        str | None,
        typer.Option(help="Column of images, files or paths; in a shard, their extension.", rich_help_panel=_SOURCES),
    ] = None,
    reference_column: Annotated[
        str | None, typer.Option(help="Likewise, for reference images.", rich_help_panel=_SOURCES)
    ] = None,
    root: Annotated[
        str | None,
        typer.Option(
            help="Where relative paths in lists and tables start, instead of beside them.", rich_help_panel=_SOURCES
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes that decode; 0: threads. Default: one a processor.", rich_help_panel=_RUN),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds to fetch an image, and to decode it.", rich_help_panel=_RUN)
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, …", rich_help_panel=_RUN)] = None,
    backend: Annotated[
        str,
        typer.Option(
            help="torch, compile, onnxruntime, openvino, or auto: the fastest that is installed.", rich_help_panel=_RUN
        ),
    ] = "torch",
    precision: Annotated[
        Precision,
        typer.Option(
            help="float32 is exact; bfloat16 and float16 are faster where there is hardware.", rich_help_panel=_RUN
        ),
    ] = "float32",
    max_memory: Annotated[
        str | None,
        typer.Option(
            help="For a batch in a network, such as 2GB: larger images are scored in strips.", rich_help_panel=_RUN
        ),
    ] = None,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Progress and summary as lines of JSON on stderr.", rich_help_panel=_RUN)
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            help="i/n: score only part i of n, 0/n to n-1/n. Default: torchrun's rank.", rich_help_panel=_CLUSTER
        ),
    ] = None,
    runner: Annotated[str, typer.Option(help="local or ray.", rich_help_panel=_CLUSTER)] = "local",
    ray_address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster, instead of one of its own.", rich_help_panel=_CLUSTER)
    ] = None,
    ray_actors: Annotated[
        int | None, typer.Option(min=1, help="Processes that hold the networks.", rich_help_panel=_CLUSTER)
    ] = None,
) -> None:
    """Score images: one row per image, with a status and the reason where one cannot be scored.

    Exit code 0: every image has every score. 1: some do not. 2: the command cannot start. 3: the output cannot be
    written, as on a full disk: --resume goes on.
    """
    default = default_metric(with_reference=bool(reference or reference_column))
    names = list(dict.fromkeys(split_names(metric or [default])))
    if not names:
        fail("Name a metric with -m.")
    _check_references(names, reference, reference_column)
    if runner not in {"local", "ray"}:
        fail(f"--runner must be local or ray, but got {runner!r}.")
    if runner == "local" and (ray_address or ray_actors):
        fail("--ray-address and --ray-actors go with --runner ray.")
    if weights is not None and len(names) > 1:
        fail("--weights goes with one metric.")
    if resume and output is None:
        fail("--resume goes with -o: the output of the job to go on with.")
    if force and output is None and html is None:
        fail("--force goes with -o or --html.")
    if runner == "local" and workers != 0:
        # It starts while torch is imported.
        context.with_resource(started_early())
    from topiq_metrics.scoring.job import ScoreJob
    from topiq_metrics.scoring.options import DECODE_SECONDS, RayOptions

    limit_threads()
    with exit_on_error(refused=(ValueError, OSError, ImportError, RuntimeError)):
        part, output, html = _part(shard, output, html)
        job = ScoreJob(
            sources,
            names,
            references=reference,
            path_column=path_column,
            image_column=image_column,
            reference_column=reference_column,
            root=root,
            weights=weights or "default",
            size=size,
            fallback_size=fallback_size,
            device=device or _local_device(),
            backend=backend,
            precision=precision,
            **({} if max_memory is None else {"max_memory": max_memory}),
            workers=_local_workers() if workers is None else workers,
            timeout=timeout or DECODE_SECONDS,
            profiles=profiles,
            decode=decode,
            shard=part,
            output=output,
            resume=resume,
            overwrite=force,
            report=html,
            ray=RayOptions(ray_address, ray_actors) if runner == "ray" else None,
        )
    _limit_memory(runner)
    _run(job, output, log_json=log_json)


def _check_references(names: list[str], reference: str | None, reference_column: str | None) -> None:
    with exit_on_error():
        full_reference = [name for name in names if get_card(name).mode == "FR"]
    if full_reference and reference is None and reference_column is None:
        fail(
            f"{full_reference[0]} is a full-reference metric: give the references with -r, or the column that has them "
            "with --reference-column."
        )
    if (reference is not None or reference_column is not None) and not full_reference:
        option = "-r" if reference is not None else "--reference-column"
        fail(
            f"None of {', '.join(names)} uses a reference: leave out {option}, or add a metric such as "
            "-m topiq_fr-lite."
        )


def _part(shard: str | None, output: Path | None, html: Path | None) -> tuple[Shard, Path | None, Path | None]:
    """The shard of this process, and its own files: those of `torchrun` are given the same arguments."""
    from topiq_metrics.scoring.selection import Shard

    launched = Shard.of_this_process()
    if shard is not None or launched is None or launched.count == 1:
        return Shard.parse(shard or "0/1"), output, html
    if output is None:
        raise ValueError("Under torchrun, several processes would print their rows at once: name an output with -o.")
    if output.suffix.lower() != ".parquet":
        output = _with_part(output, launched)
    return launched, output, None if html is None else _with_part(html, launched)


def _with_part(path: Path, shard: Shard) -> Path:
    return path.with_name(f"{path.stem}.{shard.index}-of-{shard.count}{path.suffix}")


def _local_device() -> str | None:
    rank = os.environ.get("LOCAL_RANK")
    if rank is None:
        return None
    import torch

    return f"cuda:{int(rank) % torch.cuda.device_count()}" if torch.cuda.is_available() else None


def _local_workers() -> int | None:
    """A share of the machine's processors, where `torchrun` has started several processes."""
    from topiq_metrics.scoring.processors import usable_processors

    neighbours = os.environ.get("LOCAL_WORLD_SIZE")
    return None if neighbours is None else max(1, usable_processors() // int(neighbours))


def _limit_memory(runner: str) -> None:
    import torch

    # CUDA reserves addresses far beyond what it uses.
    if runner == "local" and not torch.cuda.is_available():
        limit_memory()


def _run(job: ScoreJob, output: Path | None, *, log_json: bool) -> None:
    from topiq_metrics.errors import WeightsError
    from topiq_metrics.scoring.sinks import OutputError, OutputWriteError
    from topiq_metrics.scoring.sources import SourceError

    try:
        # Rows on a terminal are printed when the bar has gone.
        printing = printed_rows(job.metrics) if output is None else contextlib.nullcontext(_drop)
        with printing as write, shown_progress(job, log_json=log_json):
            for row in job.rows():
                write(row)
    except BrokenPipeError:
        # The reader of our output has gone.
        _discard_stdout()
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        _stopped(job, "Interrupted", "", 130)
    except OutputError as error:
        fail(error)
    except OutputWriteError as error:
        _unwritten(job, error)
    except (OSError, SourceError, WeightsError, ImportError, RuntimeError, ValueError) as error:
        if output is None and is_full_disk(error):
            _discard_stdout()
            fail(
                f"The disk is full: the standard output cannot be written after {job.progress.images} images. Make "
                "room, and name an output with -o, with which --resume goes on.",
                code=FULL_DISK,
            )
        if not job.progress.images:
            fail(error)
        _stopped(job, "The job ended", f": {error}", 1)
    _summarize(job, output, log_json=log_json)


def _drop(row: ScoreRow) -> None:
    """The row is in the output."""


def _discard_stdout() -> None:
    """Let Python not complain once more at exit that it cannot write what is left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unwritten(job: ScoreJob, error: OSError) -> NoReturn:
    images = job.progress.images
    if not images and not is_full_disk(error):
        fail(error)
    full = "The disk is full: " if is_full_disk(error) else ""
    kept = f" The rows of {images} images are kept." if images else ""
    fail(f"{full}{error.filename} {error.strerror}.{kept} Make room, and go on with --resume.", code=FULL_DISK)


def _stopped(job: ScoreJob, what: str, why: str, code: int) -> NoReturn:
    images = job.progress.images
    is_kept = images and job.place is not None and job.place.exists()
    kept = f" They are in {job.place}; --resume goes on." if is_kept else ""
    fail(f"{what} after {images} images{why.rstrip('.')}.{kept}", code=code)


def _summarize(job: ScoreJob, output: Path | None, *, log_json: bool) -> None:
    progress = job.progress
    if log_json:
        fields: dict[str, Any] = progress.as_dict(progress.images)
        log_event("finished", **fields, output=None if output is None else str(output))
    elif progress.failed or progress.left_out or output is not None:
        reasons = ", ".join(f"{count} {reason}" for reason, count in progress.reasons.most_common())
        earlier = f" ({progress.earlier} of them before)" if progress.earlier else ""
        place = f" -> {output}" if output is not None else ""
        errors = f"{progress.failed} with errors" + (f" ({reasons})" if reasons else "")
        suffixes = ", ".join(f"{count} {suffix}" for suffix, count in sorted(progress.left_out.items()))
        left_out = f", {progress.left_out.total()} left out of shards ({suffixes})" if suffixes else ""
        typer.echo(
            f"{progress.images} images{earlier}: {progress.statuses['ok']} ok, {errors}{left_out}{place}", err=True
        )
    for word, count in () if log_json else progress.notes.most_common():
        typer.echo(
            printable(f"Note on {count} of them: {progress.first_notes[word]}{_ADVICE.get(word, '')}."), err=True
        )
    if progress.failed:
        raise typer.Exit(1)
