"""``topiq serve``: a page and an API on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from topiq_metrics.cli.console import exit_on_error, printable
from topiq_metrics.cli.memory_limit import limit_memory
from topiq_metrics.cli.options import DeviceOption, Precision
from topiq_metrics.cli.threads import limit_threads

_LIMITS = "Limits"


def serve(
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. On other than this machine's own (127.0.0.1, localhost, ::1), a token is "
            "required."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.")] = 8642,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="TOPIQ_METRICS_TOKEN",
            help="Token that every call to the API must carry, at least 16 characters. Default: none on this "
            "machine's own address, else a random one.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Another host name by which clients may address the server; may be repeated."
        ),
    ] = None,
    device: DeviceOption = None,
    backend: Annotated[
        str,
        typer.Option(
            help="What runs the network: torch, compile, onnxruntime, openvino, or auto: the fastest installed one."
        ),
    ] = "torch",
    precision: Annotated[
        Precision,
        typer.Option(
            help="float32 is exact; bfloat16 and float16 are faster on hardware that supports them, and change scores "
            "slightly."
        ),
    ] = "float32",
    max_memory: Annotated[
        str | None,
        typer.Option(
            help="Memory for a batch in the network, such as 2GB: larger images are scored in strips. none: no limit. "
            "Default: 1.5GB.",
            rich_help_panel=_LIMITS,
        ),
    ] = None,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Most pixels of an image, in millions.", rich_help_panel=_LIMITS)
    ] = 100,
    max_upload: Annotated[
        int, typer.Option(min=1, help="Largest request, in megabytes.", rich_help_panel=_LIMITS)
    ] = 100,
    max_images: Annotated[
        int, typer.Option(min=2, help="Most images in one request, besides the reference.", rich_help_panel=_LIMITS)
    ] = 64,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Processes that decode images. Default: one per processor, at most 8.", rich_help_panel=_LIMITS
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.001, help="Seconds to decode an image.", rich_help_panel=_LIMITS)
    ] = 30.0,
) -> None:
    """Score images in the browser: drop them on a page, sort, filter by score, compare; with an HTTP API.

    Page and scoring run on this machine and need no internet access. Stop with Ctrl-C.
    """
    from topiq_metrics._extras import import_extra

    with exit_on_error(failed=(RuntimeError,), interrupted="Ended."):
        for module in ("starlette", "uvicorn", "python_multipart"):
            import_extra(module, "serve", "`topiq serve` needs")
        import torch

        from topiq_metrics.serving.limits import Limits
        from topiq_metrics.serving.run import serve

        limit_threads()
        if not torch.cuda.is_available():
            # CUDA reserves addresses far beyond what it uses.
            limit_memory()
        serve(
            host,
            port,
            token=token,
            names=allow_host or [],
            limits=Limits(request_bytes=max_upload * 1_000_000, pictures=max_images, pixels=max_pixels * 1_000_000),
            device=device,
            backend=backend,
            precision=precision,
            max_memory=max_memory,
            workers=workers,
            timeout=timeout,
            announce=_announce,
        )


def _announce(address: str) -> None:
    typer.echo(printable(f"Open {address} in a browser. Ctrl-C ends the server."))
