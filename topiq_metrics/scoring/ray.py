"""The same job on a Ray cluster: tasks read the source, actors hold the networks, the driver gets the rows.

Ray Data streams ``fragments -> chunks of items -> their rows``. A chunk is what an actor scores at a time, and what is
done again where an actor or its machine dies. An error of our own travels as the outcome of a chunk, not as an
exception in Ray's hands: it arrives as itself, and nothing is tried again that would fail again.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from topiq_metrics._extras import import_extra
from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.rows import ScoreRow
from topiq_metrics.scoring.sources.base import LeftOut
from topiq_metrics.scoring.sources.errors import SourceError
from topiq_metrics.scoring.sources.names import Mark, Names

if TYPE_CHECKING:
    from topiq_metrics.scoring.engine import Engine
    from topiq_metrics.scoring.sources import Fragment, Source

_CHUNK_IMAGES = 64
_CHUNK_BYTES = 16 << 20
_WINDOW_FRAGMENTS = 4096
_CONNECT_SECONDS = 10

_QUIET = {
    # Ray prints what befalls its workers on the driver's stdout, where rows may go.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DATA_LOG_LEVEL": "CRITICAL",
}


class ClusterError(RuntimeError):
    """A cluster that cannot do the job; the message says what to do."""


def score_with_ray(
    source: Source,
    keep: Callable[[str], bool],
    open_engine: Callable[[], Engine],
    *,
    identify: Callable[[], Mapping[str, str]] = dict,
    actors: int | None = None,
    cpus_per_actor: float = 1,
    gpus_per_actor: float | None = None,
    address: str | None = None,
    left_out: LeftOut | None = None,
    verbose: bool = False,
) -> Iterator[ScoreRow]:
    """Score a source on a Ray cluster; yields one row for each image, in the source's order.

    What an actor had under way when it was killed is scored again, by its successor, and yielded once. An existing
    connection to a cluster is used; else one is made, and ended with all that was started for it.

    Args:
        source: is listed here and read on the cluster, where its paths must lead to the same files.
        keep: whether the image of that name is to be scored; goes to every machine once.
        open_engine: makes an actor's engine, on the actor's machine; like ``keep`` and ``identify``, it must pickle.
        identify: names what scores depend on, such as the SHA-256 of weights files, as found where it is called. An
            actor that finds something else than this process ends the job.
        actors: how many processes score; by default as many as the cluster holds now.
        cpus_per_actor: processors that each of them reserves, and threads that PyTorch uses in it.
        gpus_per_actor: GPUs, likewise; by default 1 if the cluster has any, else 0.
        address: of the cluster, ``"auto"`` for the one that this machine belongs to, ``"local"`` for one that is
            started for this job on this machine; by default what ``RAY_ADDRESS`` says, else ``"local"``.
        left_out: is told of images in the source that were not asked for, by suffix.
        verbose: let Ray log.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        ClusterError: the cluster cannot be reached, cannot hold an actor, fails, or finds other weights.
        SourceError: there is no image, or one name stands for different images or has different references.
        Exception: what reading the source or opening an engine raised on the cluster.
    """
    with _connection(address, verbose=verbose) as ray:
        gpus = _gpus_per_actor(ray) if gpus_per_actor is None else gpus_per_actor
        pool = _Pool(actors or _room(ray, cpus_per_actor, gpus), cpus_per_actor, gpus)
        folder = str(Path.cwd())
        selection = _Selection(ray.put(keep), folder)
        opener = _Opener(open_engine, identify, dict(identify()), folder, gpus > 0)
        names = Names()
        fragments = iter(source.fragments())
        is_empty = True
        # Ray Data takes its inputs as a whole; a source may have more of them than fit into memory.
        while window := list(islice(fragments, _WINDOW_FRAGMENTS)):
            for scored in _stream(ray, window, selection, opener, pool):
                if isinstance(scored, Counter):
                    if left_out is not None:
                        left_out.update(scored)
                    continue
                is_empty = False
                yield from (row for row, mark in scored if names.is_new(row.path, mark))
        if is_empty:
            raise SourceError("There is no image in the source.")


_Marked = list[tuple[Item, Mark]]
_Scored = list[tuple[ScoreRow, Mark]]


@dataclass(frozen=True)
class _Pool:
    size: int
    cpus: float
    gpus: float


@dataclass(frozen=True)
class _Selection:
    """What reading needs of the job; ``keep`` is a reference to the function."""

    keep: Any
    folder: str


@dataclass(frozen=True)
class _Opener:
    """What scoring needs of the job."""

    open_engine: Callable[[], Engine]
    identify: Callable[[], Mapping[str, str]]
    identity: Mapping[str, str]
    folder: str
    with_gpu: bool

    def open(self) -> Engine:
        identity = dict(self.identify())
        for name in sorted({*identity, *self.identity}):
            here, there = identity.get(name), self.identity.get(name)
            if here != there:
                raise ClusterError(
                    f"{name} is {here} on {socket.gethostname()}, but {there} where the job was started. "
                    "Make it the same on every machine."
                )
        return self.open_engine()


def _stream(
    ray: ModuleType, fragments: Sequence[Fragment], selection: _Selection, opener: _Opener, pool: _Pool
) -> Iterator[_Scored | LeftOut]:
    from ray import cloudpickle
    from ray.data import ActorPoolStrategy, TaskPoolStrategy
    from ray.exceptions import RayError

    data = ray.data.from_items(
        [{"fragment": cloudpickle.dumps(fragment)} for fragment in fragments],  # type: ignore[no-untyped-call]
        override_num_blocks=len(fragments),
    )
    # Each chunk is a block, and goes on as soon as it is there.
    data.context.target_max_block_size = 1
    data.context.execution_options.preserve_order = True
    data.context.enable_progress_bars = False
    # Reading must not wait for a processor: actors may hold them all.
    readers = TaskPoolStrategy(size=max(2, pool.size))
    # A source may well be smaller than the cluster.
    warnings.filterwarnings("ignore", r"The (minimum|maximum) number of concurrent (actors|tasks) for ", UserWarning)
    chunks = data.flat_map(_read, fn_kwargs={"selection": selection}, num_cpus=0, compute=readers)
    outcomes = chunks.map(
        _Scorer,
        fn_constructor_kwargs={"opener": opener},
        num_cpus=pool.cpus,
        num_gpus=pool.gpus,
        compute=ActorPoolStrategy(size=pool.size),
    )
    try:
        for row in outcomes.iter_rows():
            outcome: _Scored | LeftOut | Exception = pickle.loads(row["outcome"])  # noqa: S301 - of our own actors
            if isinstance(outcome, Exception):
                raise outcome
            yield outcome
    except RayError as error:
        *_, reason = str(error).strip().splitlines()
        raise ClusterError(f"The Ray cluster failed: {reason}") from error


def _read(row: dict[str, bytes], selection: _Selection) -> Iterator[dict[str, bytes]]:
    """Read a fragment, in a task: its items in chunks."""
    _enter(selection.folder)
    try:
        keep = _fetched(selection.keep)
        fragment: Fragment = pickle.loads(row["fragment"])  # noqa: S301 - of our own driver
        for chunk in _chunks(fragment.items(), keep):
            yield {"chunk": pickle.dumps(chunk)}
        if left_out := getattr(fragment, "left_out", None):
            yield {"chunk": pickle.dumps(left_out)}
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the driver's to raise
        yield {"chunk": _packed(error)}


@lru_cache(maxsize=1)
def _fetched(reference: Any) -> Callable[[str], bool]:
    """What a reference stands for; once in a process, as it takes its time where many images are done."""
    import ray

    keep: Callable[[str], bool] = ray.get(reference)
    return keep


def _chunks(items: Iterable[Item], keep: Callable[[str], bool]) -> Iterator[_Marked]:
    """The items to be scored; one empty chunk if there are others only."""
    chunk: _Marked = []
    size, count, is_empty = 0, 0, True
    for item in items:
        is_empty = False
        if not keep(item.name):
            continue
        chunk.append((item, Mark.of(item)))
        size += item.held_bytes
        if len(chunk) >= _CHUNK_IMAGES or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size, count = [], 0, count + 1
    if chunk or not (count or is_empty):
        yield chunk


class _Scorer:
    """An actor: scores chunks with one engine."""

    def __init__(self, opener: _Opener) -> None:
        _enter(opener.folder)
        if not opener.with_gpu:
            # The machine may have GPUs that were not reserved.
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        self._engine: Engine | None = None
        self._problem = b""
        try:
            self._engine = opener.open()
        except Exception as error:  # noqa: BLE001 - see `_read`
            self._problem = _packed(error)

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        if self._engine is None:
            return {"outcome": self._problem}
        chunk: _Marked | LeftOut | Exception = pickle.loads(row["chunk"])  # noqa: S301 - of our own task
        if isinstance(chunk, (Counter, Exception)):
            return {"outcome": row["chunk"]}
        try:
            rows = self._engine.rows(item for item, _ in chunk)
            return {"outcome": pickle.dumps([(row, mark) for row, (_, mark) in zip(rows, chunk, strict=True)])}
        except Exception as error:  # noqa: BLE001 - see `_read`
            return {"outcome": _packed(error)}

    def __del__(self) -> None:
        if self._engine is not None:
            self._engine.close()


def _enter(folder: str) -> None:
    """Go where relative paths start from; absolute paths and URLs do not need such a folder."""
    with contextlib.suppress(OSError):
        os.chdir(folder)


def _packed(error: Exception) -> bytes:
    """An exception's pickle; of one that does not survive it, what it says."""
    try:
        packed = pickle.dumps(error)
        pickle.loads(packed)  # noqa: S301
    except Exception:  # noqa: BLE001 - exceptions of other packages may fail in any way
        packed = pickle.dumps(ClusterError(f"{type(error).__name__}: {error}"))
    return packed


@contextlib.contextmanager
def _connection(address: str | None, *, verbose: bool) -> Iterator[ModuleType]:
    if not verbose:
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
    ray: ModuleType = import_extra("ray", "ray", "The Ray runner needs")
    import_extra("ray.data", "ray", "The Ray runner needs")
    if ray.is_initialized():
        yield ray
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    _check_reachable(address)
    with _sigterm_kept(), contextlib.nullcontext() if verbose else _silence():
        try:
            ray.init(
                address=address,
                include_dashboard=False,
                log_to_driver=verbose,
                logging_level="INFO" if verbose else "CRITICAL",
            )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise ClusterError(f"There is no connection to the Ray cluster {address}: {error}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Ray itself would try for a quarter of an hour."""
    host, _, port = address.rpartition(":")
    if port.isdigit() and "/" not in host:
        try:
            socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
        except OSError as error:
            raise ClusterError(f"There is no Ray cluster at {address}: {error}") from error


@contextlib.contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Keep Ray from putting its own handler in place of the program's."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Nothing on stderr, where Ray's C++ library tells that it was told to be quiet."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _gpus_per_actor(ray: ModuleType) -> float:
    return 1 if ray.cluster_resources().get("GPU", 0) >= 1 else 0


def _room(ray: ModuleType, cpus: float, gpus: float) -> int:
    """How many actors the machines of the cluster hold."""
    wanted = {"CPU": cpus, "GPU": gpus}
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    room = sum(
        min(int(machine.get(kind, 0) // amount) for kind, amount in wanted.items() if amount) for machine in machines
    )
    if not room:
        raise ClusterError(
            f"No machine of the Ray cluster has {cpus:g} processors and {gpus:g} GPUs for an actor. Start one that "
            "has, or say how many actors there are to be, if the cluster grows when asked to."
        )
    return room
