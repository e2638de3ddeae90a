from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("ray.data", reason="Ray is not installed", exc_type=ImportError)

from topiq_metrics.errors import WeightsNotFoundError
from topiq_metrics.inference import NetworkPredictor
from topiq_metrics.scoring.engine import score_items
from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.job import RayOptions, ScoreJob
from topiq_metrics.scoring.ray import ClusterError, score_with_ray
from topiq_metrics.scoring.rows import ScoreRow
from topiq_metrics.scoring.sources import SourceError, open_source

if TYPE_CHECKING:
    from topiq_metrics.scoring.engine import Engine
    from topiq_metrics.scoring.sources import Source

# Ray sets options of its own that it has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")

METRIC = "topiq_nr-lite"


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster of two workers on this machine, with a token of its own instead of one in the home folder."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("RAY_AUTH_MODE", raising=False)
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        handler = signal.getsignal(signal.SIGTERM)
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="CRITICAL")
        yield
        ray.shutdown()
        ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
        signal.signal(signal.SIGTERM, handler)


@dataclass(frozen=True)
class OpenEngine:
    """Opens an engine with an untrained network; the first of them waits in the middle of a chunk to be killed."""

    weights: Path
    victim: Path

    def __call__(self) -> Engine:
        from topiq_metrics.inference import NetworkPredictor
        from topiq_metrics.scoring.engine import Engine

        predictor = NetworkPredictor(METRIC, self.weights, device="cpu")
        return VictimEngine(Engine([predictor]), self.victim)


@dataclass
class VictimEngine:
    engine: Engine
    victim: Path

    def rows(self, items: Iterable[Item]) -> Iterator[ScoreRow]:
        for count, row in enumerate(self.engine.rows(items)):
            yield row
            if count == 20 and not self.victim.exists():
                with contextlib.suppress(FileExistsError):
                    self.victim.mkdir()
                    (self.victim / str(os.getpid())).touch()
                    time.sleep(60)

    def close(self) -> None:
        self.engine.close()


def kill_in(victim: Path, killed: list[int]) -> None:
    end = time.monotonic() + 300
    while not killed and time.monotonic() < end:
        for path in victim.glob("*"):
            os.kill(int(path.name), signal.SIGKILL)
            killed.append(int(path.name))
        time.sleep(0.05)


class FakeEngine:
    """Scores without looking at the image."""

    def rows(self, items: Iterable[Item]) -> Iterator[ScoreRow]:
        for item in items:
            yield ScoreRow(item.name, {METRIC: 0.5}, 8, 8, "native", "ok", "")

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Piece:
    held: Sequence[Item]

    def items(self) -> Iterator[Item]:
        return iter(self.held)


@dataclass(frozen=True)
class Pieces:
    """A source whose fragments hold their items."""

    pieces: Sequence[Piece]

    def fragments(self) -> Iterator[Piece]:
        return iter(self.pieces)


@dataclass(frozen=True)
class AllBut:
    names: frozenset[str] = frozenset()

    def __call__(self, name: str) -> bool:
        return name not in self.names


def pieces(*names: Sequence[str]) -> Pieces:
    return Pieces([Piece([Item(name) for name in held]) for held in names])


def score(source: Source, keep: AllBut = AllBut(), engine: Callable[[], Engine] = FakeEngine, **options) -> list[str]:
    return [row.path for row in score_with_ray(source, keep, engine, **options)]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, save_picture) -> Path:
    """A folder of pictures, one of them damaged, and a shard of others."""
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(170):
        save_picture(folder / "folder" / f"{i:03}.png", 40 + 8 * (i % 2), 40, seed=i)
    (folder / "folder" / "damaged.png").write_bytes(b"not an image")
    with tarfile.open(folder / "shard.tar", "w") as shard:
        for i in range(90):
            path = save_picture(folder / "unpacked" / f"{i:03}.jpg", 48, 40, seed=1000 + i)
            shard.add(path, path.name)
    return folder


@pytest.mark.slow
def test_killed_worker_costs_no_row_and_repeats_none(cluster, pictures, lite_weights, tmp_path):
    source = open_source([pictures / "folder", pictures / "shard.tar"])
    predictor = NetworkPredictor(METRIC, lite_weights, device="cpu")
    expected = list(score_items(source.items(), [predictor]))
    assert len(expected) == 261

    killed: list[int] = []
    killer = threading.Thread(target=kill_in, args=(tmp_path / "victim", killed))
    killer.start()
    rows = list(score_with_ray(source, AllBut(), OpenEngine(lite_weights, tmp_path / "victim")))
    killer.join()
    assert len(killed) == 1
    assert [row.path for row in rows] == [row.path for row in expected]
    assert [row.status for row in rows].count("error") == 1
    for row, other in zip(rows, expected, strict=True):
        assert row.scores == {METRIC: pytest.approx(other.scores[METRIC], abs=1e-5)}
        assert replace(row, scores={}) == replace(other, scores={})


@pytest.mark.slow
def test_what_is_done_is_left_out_and_what_comes_twice_comes_once(cluster):
    names = [f"caf\udce9 {i:03}" for i in range(230)]
    source = pieces(names[:100], names[90:130], names[130:])
    assert score(source, AllBut(frozenset(names[50:80]))) == names[:50] + names[80:]
    assert score(source, AllBut(frozenset(names))) == []


@pytest.mark.slow
def test_name_of_two_images_is_an_error(cluster):
    source = Pieces([Piece([Item("a", data=b"1")]), Piece([Item("a", data=b"2")])])
    with pytest.raises(SourceError, match="a comes twice, as different images"):
        score(source)


def test_no_image_is_an_error(cluster):
    with pytest.raises(SourceError, match="no image"):
        score(pieces([]))


@pytest.mark.slow
def test_other_weights_on_a_machine_end_the_job(cluster):
    here = os.getpid()

    def identify() -> dict[str, str]:
        return {"lite.safetensors": "aaaa" if os.getpid() == here else "bbbb"}

    with pytest.raises(ClusterError, match=r"lite\.safetensors is bbbb on .*, but aaaa where the job was started"):
        score(pieces(["a"]), identify=identify)


@pytest.mark.slow
def test_error_of_an_engine_arrives_as_itself(cluster):
    def fail() -> FakeEngine:
        raise WeightsNotFoundError("there are no weights here")

    with pytest.raises(WeightsNotFoundError, match="there are no weights here"):
        score(pieces(["a"]), engine=fail)


def test_error_of_a_source_arrives_as_itself(cluster):
    class Broken(Piece):
        def items(self) -> Iterator[Item]:
            yield from self.held
            raise SourceError("the list ends here")

    with pytest.raises(SourceError, match="the list ends here"):
        score(Pieces([Broken([Item("a")])]))


def test_cluster_without_room(cluster):
    with pytest.raises(ClusterError, match="No machine of the Ray cluster has 64 processors and 0 GPUs"):
        score(pieces(["a"]), cpus_per_actor=64)


def test_cluster_that_is_not_there():
    script = "from topiq_metrics.scoring.ray import score_with_ray; list(score_with_ray(None, bool, bool))"
    environment = {**os.environ, "RAY_ADDRESS": "127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert "ClusterError: There is no Ray cluster at 127.0.0.1:1: " in done.stderr


def test_starts_a_cluster_and_leaves_nothing_behind(tmp_path):
    """In a process of its own, with relative paths: only rows on stdout, nothing on stderr, no process left."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"not an image")
    (tmp_path / "job.py").write_text(
        "from topiq_metrics.scoring.ray import score_with_ray\n"
        "from topiq_metrics.scoring.rows import ScoreRow\n"
        "from topiq_metrics.scoring.sources import open_source\n"
        "class Engine:\n"
        "    def rows(self, items):\n"
        "        for item in items:\n"
        "            yield ScoreRow(item.name, {}, len(open(item.path).read()), None, '', 'ok', '')\n"
        "    def close(self): pass\n"
        "for row in score_with_ray(open_source('photos'), bool, Engine, actors=1):\n"
        "    print(row.path, row.width)\n"
    )
    token = secrets.token_hex(32)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "job.py"],
        cwd=tmp_path,
        env={**environment, "RAY_AUTH_TOKEN": token},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("photos/a.png 12\n", "")
    end = time.monotonic() + 10
    while (left := processes_with(token)) and time.monotonic() < end:
        time.sleep(0.1)
    assert left == []


def processes_with(token: str) -> list[str]:
    """Processes that have inherited it; none where the system does not tell."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if token.encode() in path.read_bytes():
                found.append((path.parent / "cmdline").read_text())
    return found


def test_a_job_with_an_output(cluster, save_picture, tmp_path):
    for i in range(6):
        save_picture(tmp_path / "photos" / f"{i}.png", 64, 48, seed=i)
    (tmp_path / "photos" / "text.jpg").write_text("no image")
    here = list(ScoreJob(tmp_path / "photos", workers=0, device="cpu").rows())
    output = tmp_path / "scores.jsonl"
    list(ScoreJob(tmp_path / "photos" / "0.png", output=output, device="cpu").rows())
    options = {"output": output, "resume": True, "device": "cpu", "ray": RayOptions(actors=1)}
    there = list(ScoreJob(tmp_path / "photos", **options).rows())
    assert [row.path for row in there] == [row.path for row in here][1:]
    for row, expected in zip(there, here[1:], strict=True):
        assert (row.status, row.error) == (expected.status, expected.error)
        assert row.scores == pytest.approx(expected.scores, abs=1e-5)
    assert len(output.read_text().splitlines()) == len(here)
