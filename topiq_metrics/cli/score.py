"""``topiq score``: images from anywhere to one row per image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from topiq_metrics.catalog import DEFAULT_FR, DEFAULT_NR, default_metric, get_card
from topiq_metrics.cli.allocator import keep_freed_memory
from topiq_metrics.cli.console import exit_on_error, fail
from topiq_metrics.cli.memory_limit import limit_memory
from topiq_metrics.cli.options import (
    REFERENCE_NAMES,
    DecodeOption,
    ForceOption,
    MaxScoreOption,
    MinScoreOption,
    Precision,
    ProfilesOption,
    SortOption,
    split_limits,
    split_names,
)
from topiq_metrics.cli.running import run_job
from topiq_metrics.cli.threads import limit_threads, local_processes
from topiq_metrics.scoring.children import started_early

if TYPE_CHECKING:
    from topiq_metrics.scoring.selection import Shard

_SOURCES, _RUN, _CLUSTER = "Sources", "Running", "More than one machine"


def score(
    context: typer.Context,
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Images, folders, globs; lists (.txt, - for stdin), tables (.csv, .tsv, .parquet), WebDataset shards "
            "(.tar), videos (.mp4, …); URLs of any of these; hf:NAME:SPLIT for a Hugging Face dataset.",
        ),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "-m",
            "--metric",
            "--metrics",
            metavar="NAME",
            help="A metric, or several separated by commas; may be repeated. "
            f"Default: {DEFAULT_NR}; with references {DEFAULT_FR}.",
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(*REFERENCE_NAMES, help="References: a folder, a file, or a pattern such as 'gt/{name}.png'."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Write the rows to this .csv, .jsonl or .json file, or .parquet folder; - prints them, by default "
            "as CSV. Default: print a table on a terminal, else CSV.",
        ),
    ] = None,
    row_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="csv|jsonl|json|parquet",
            help="Format of the rows. Default: that of the output's suffix.",
        ),
    ] = None,
    min_score: MinScoreOption = None,
    max_score: MaxScoreOption = None,
    sort: SortOption = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Resume an interrupted job: score only images that have no row in the output."),
    ] = False,
    force: ForceOption = False,
    html: Annotated[Path | None, typer.Option(help="Write an HTML report to this .html file.")] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="Size rule, N in pixels: native, max_side=N, max_short_side=N, short_side=N or square=N. "
            "Default: each metric's own."
        ),
    ] = None,
    fallback_size: Annotated[
        str | None,
        typer.Option(help="Size rule for images that do not fit into memory. Default: such an image is an error."),
    ] = None,
    profiles: ProfilesOption = "apply",
    decode: DecodeOption = "exact",
    weights: Annotated[
        Path | None, typer.Option(help="Weights file to use instead of the metric's published one; for one metric.")
    ] = None,
    path_column: Annotated[
        str | None,
        typer.Option(
            help="Column of paths or URLs in a table. Default: path, image, filename or a similar name.",
            rich_help_panel=_SOURCES,
        ),
    ] = None,
    image_column: Annotated[
        str | None,
        typer.Option(
            help="Column of images or their paths in a table or dataset; in a shard, the images' extension. "
            "Default: that of --path-column; of a Hugging Face dataset the first column of images; in a shard, the "
            "usual extensions.",
            rich_help_panel=_SOURCES,
        ),
    ] = None,
    reference_column: Annotated[
        str | None,
        typer.Option(
            help="Column of references in a table or dataset; in a shard, their extension. Default: none.",
            rich_help_panel=_SOURCES,
        ),
    ] = None,
    root: Annotated[
        str | None,
        typer.Option(
            help="Where relative paths in lists and tables start. Default: the folder of the list or table.",
            rich_help_panel=_SOURCES,
        ),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option(
            metavar="1s|500ms|10",
            help="Of a video, score one frame per second (1s) or 500 ms, or every 10th frame (10). "
            "Default: every frame.",
            rich_help_panel=_SOURCES,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Processes that decode images; 0: threads of this process. Default: one per processor, at most 8; "
            "1 in each Ray actor.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0.001, help="Seconds to fetch an image, and again to decode it. Default: 60.", rich_help_panel=_RUN
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="cpu, cuda, cuda:1, … Default: a GPU if there is one, else the CPU.", rich_help_panel=_RUN),
    ] = None,
    backend: Annotated[
        str,
        typer.Option(
            help="What runs the network: torch, compile, onnxruntime, openvino, or auto: the fastest installed one.",
            rich_help_panel=_RUN,
        ),
    ] = "torch",
    precision: Annotated[
        Precision,
        typer.Option(
            help="float32 is exact; bfloat16 and float16 are faster on hardware that supports them, and change scores "
            "slightly.",
            rich_help_panel=_RUN,
        ),
    ] = "float32",
    max_memory: Annotated[
        str | None,
        typer.Option(
            help="Memory for a batch in the network, such as 2GB: larger images are scored in strips. none: no limit. "
            "Default: 1.5GB.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    log_json: Annotated[
        bool,
        typer.Option("--log-json", help="Write progress and summary to stderr as JSON lines.", rich_help_panel=_RUN),
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            help="i/n: score only part i of n, from 0/n to n-1/n. Default: this rank's part under torchrun, else all.",
            rich_help_panel=_CLUSTER,
        ),
    ] = None,
    runner: Annotated[str, typer.Option(help="local, or ray for a Ray cluster.", rich_help_panel=_CLUSTER)] = "local",
    ray_address: Annotated[
        str | None,
        typer.Option(
            help="Address of the Ray cluster. Default: that of the environment, else one is started on this machine.",
            rich_help_panel=_CLUSTER,
        ),
    ] = None,
    ray_actors: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Ray processes that hold the networks. Default: as many as the cluster has room for.",
            rich_help_panel=_CLUSTER,
        ),
    ] = None,
) -> None:
    """Score images: one row per image, with a status and the reason where one cannot be scored.

    Rows with a score outside of --min-score or --max-score are written as well, with a note. --sort orders printed rows
    only.

    Exit code 0: every image has every score. 1: some do not. 2: the command cannot start. 3: the output cannot be
    written, for example on a full disk; continue with --resume. 4: all are scored, but some scores are outside of
    --min-score or --max-score.
    """
    default = default_metric(with_reference=bool(reference or reference_column))
    names = list(dict.fromkeys(split_names(metric or [default])))
    if not names:
        fail("Name a metric with -m.")
    _check_references(names, reference, reference_column)
    if runner not in {"local", "ray"}:
        fail(f"--runner must be local or ray, but got {runner!r}.")
    if runner == "local" and (ray_address or ray_actors):
        fail("--ray-address and --ray-actors require --runner ray.")
    if weights is not None and len(names) > 1:
        fail("--weights requires a single metric.")
    output, form = _output_and_form(output, row_format)
    if sort is not None and output is not None:
        fail(
            "--sort applies to printed rows only: an output keeps the order of the sources, which --resume needs. "
            f"`topiq select {output} --sort {sort} -o FILE` sorts it."
        )
    if resume and output is None:
        fail("--resume requires -o: the output of the job to resume.")
    if force and output is None and html is None:
        fail("--force requires -o or --html.")
    if runner == "local" and workers != 0:
        # It starts while torch is imported.
        context.with_resource(started_early())
    from topiq_metrics.scoring.job import ScoreJob
    from topiq_metrics.scoring.options import DECODE_SECONDS, RayOptions
    from topiq_metrics.scoring.ordering import Order

    limit_threads()
    keep_freed_memory()
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
            every=every,
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
            min_score=split_limits("--min-score", min_score),
            max_score=split_limits("--max-score", max_score),
            output=output,
            resume=resume,
            overwrite=force,
            report=html,
            ray=RayOptions(ray_address, ray_actors) if runner == "ray" else None,
        )
        order = None if sort is None else Order.parse(sort, names)
    _limit_memory(runner)
    run_job(job, output, form=form, order=order, log_json=log_json)


def _output_and_form(output: Path | None, row_format: str | None) -> tuple[Path | None, str | None]:
    """The output to write, None where rows are printed, and how these are written."""
    if row_format not in {None, "csv", "jsonl", "json", "parquet"}:
        fail(f"--format must be csv, jsonl, json or parquet, but got {row_format!r}.")
    if output is not None and str(output) != "-":
        if row_format is not None and output.suffix.lower() != f".{row_format}":
            fail(f"--format {row_format} requires an output that ends in .{row_format}, but got {output}.")
        return output, None
    if row_format == "parquet":
        fail("--format parquet requires -o: the folder of its files, such as scores.parquet.")
    return None, row_format if output is None else row_format or "csv"


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

    processes = local_processes()
    return None if processes is None else max(1, usable_processors() // processes)


def _limit_memory(runner: str) -> None:
    import torch

    # CUDA reserves addresses far beyond what it uses.
    if runner == "local" and not torch.cuda.is_available():
        limit_memory()
