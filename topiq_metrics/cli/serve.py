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
        str, typer.Option(help="To listen on. Beyond this machine's own 127.0.0.1, a token is asked for.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="To listen on; 0: a free one.")] = 8642,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="TOPIQ_METRICS_TOKEN",
            help="Asked for by every call; 16 characters at least. Default: none on 127.0.0.1, else one that is made.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A further host name under which the server is addressed; may be repeated."),
    ] = None,
    device: DeviceOption = None,
    backend: Annotated[
        str, typer.Option(help="torch, compile, onnxruntime, openvino, or auto: the fastest that is installed.")
    ] = "torch",
    precision: Annotated[
        Precision, typer.Option(help="float32 is exact; bfloat16 and float16 are faster where there is hardware.")
    ] = "float32",
    max_memory: Annotated[
        str | None,
        typer.Option(
            help="For a batch in a network, such as 2GB: larger pictures are scored in strips.", rich_help_panel=_LIMITS
        ),
    ] = None,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Millions of pixels of a picture.", rich_help_panel=_LIMITS)
    ] = 100,
    max_upload: Annotated[int, typer.Option(min=1, help="Megabytes of one request.", rich_help_panel=_LIMITS)] = 100,
    max_images: Annotated[int, typer.Option(min=2, help="Pictures of one request.", rich_help_panel=_LIMITS)] = 64,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that decode. Default: one a processor.", rich_help_panel=_LIMITS),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.001, help="Seconds to decode a picture.", rich_help_panel=_LIMITS)
    ] = 30.0,
) -> None:
    """Score pictures in the browser: drag them into a page, sort, choose by a threshold, compare; and an API.

    The page is on this machine and works without a network. Ends with Ctrl-C.
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
