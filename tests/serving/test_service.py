"""The thread that scores: what waits is done in order, what fails harms nobody else."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError

import pytest

from topiq_metrics.serving.limits import Limits
from topiq_metrics.serving.service import NotLoadedError, Picture, Service

NR, FR = "topiq_nr-lite", "topiq_fr-lite"


@pytest.fixture
def service():
    service = Service(Limits(), device="cpu", workers=1)
    yield service
    service.close()


@pytest.fixture
def held(service):
    """Holds the service at a job until it is called."""
    started, release = threading.Event(), threading.Event()

    def wait() -> None:
        started.set()
        release.wait(30)

    service._predictors["held"] = None
    original = service._predictor
    service._predictor = lambda name: wait() if name == "held" else original(name)
    service.warm_up(["held"])
    assert started.wait(30)
    yield release.set
    release.set()


def scores(future):
    return [scored.row.scores for scored in future.result(60)]


def assert_same(found, expected):
    # Of two batches: the same but for rounding.
    assert found == [pytest.approx(each, abs=1e-6) for each in expected]


def test_those_that_wait_for_the_same_metrics_are_scored_as_one(service, held, coffee, monkeypatch):
    pictures = [Picture(name, data) for name, data in list(coffee.items())[:4]]
    calls = []
    original = service._engine
    monkeypatch.setattr(service, "_engine", lambda metrics: calls.append(metrics) or original(metrics))
    first = [service.score([picture], None, (NR,)) for picture in pictures[:3]]
    pair = service.score(pictures[1:2], pictures[0], (FR,))
    last = service.score(pictures[:2], None, (NR,))
    held()
    found = [scores(future) for future in (*first, pair, last)]
    assert calls == [(NR,), (FR,), (NR,)]
    assert [row[NR] for rows in found[:2] for row in rows] == pytest.approx([row[NR] for row in found[4]], abs=1e-5)
    assert list(found[3][0]) == [FR]


def test_a_job_that_nobody_waits_for_is_passed_over(service, held, coffee):
    picture = Picture("a", coffee["blur-1"])
    first, gone, last = (service.score([picture], None, (NR,)) for _ in range(3))
    assert gone.cancel()
    held()
    assert_same(scores(first), scores(last))
    assert gone.cancelled()


def test_a_job_that_nobody_waits_for_is_forgotten_at_once(service, held, coffee):
    jobs = [service.score([Picture("a", coffee["blur-1"])], None, (NR,)) for _ in range(3)]
    assert jobs[1].cancel()
    assert [job.answer for job in service._jobs] == [jobs[0], jobs[2]]
    held()
    assert_same(scores(jobs[0]), scores(jobs[2]))


def test_a_device_that_fails_is_an_answer_and_the_next_job_goes_on(service, coffee):
    picture = Picture("a", coffee["blur-1"])
    expected = scores(service.score([picture], None, (NR,)))
    predictor = service._predictors[NR]

    def fail(*_, **__):
        raise RuntimeError("CUDA error: device-side assert triggered")

    fail.max_batch = 1
    service._engines[(NR,)]._predictors[NR] = fail
    with pytest.raises(RuntimeError, match="CUDA error"):
        service.score([picture], None, (NR,)).result(60)
    assert service._predictors[NR] is predictor
    assert scores(service.score([picture], None, (NR,))) == expected


def test_a_metric_that_cannot_be_loaded(service, coffee):
    with pytest.raises(NotLoadedError, match="no metric named 'nothing'"):
        service.score([Picture("a", coffee["blur-1"])], None, ("nothing",)).result(60)
    assert scores(service.score([Picture("a", coffee["blur-1"])], None, (NR,)))[0][NR]


def test_few_sets_of_metrics_keep_their_processes(service, coffee):
    picture = Picture("a", coffee["blur-1"])
    service.warm_up([NR]).result(60)
    for index in range(5):
        service._predictors[f"other-{index}"] = service._predictors[NR]
        service.score([picture], None, (f"other-{index}",)).result(60)
    assert list(service._engines) == [(f"other-{index}",) for index in range(1, 5)]


def test_what_has_not_begun_when_it_ends_is_cancelled(service, held, coffee):
    waiting = service.score([Picture("a", coffee["blur-1"])], None, (NR,))
    threading.Timer(0.5, held).start()
    service.close()
    with pytest.raises(CancelledError):
        waiting.result(1)
    with pytest.raises(CancelledError):
        service.score([Picture("a", b"")], None, (NR,)).result(1)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="`workers` must be 1 or more"):
        Service(Limits(), workers=0)
    with pytest.raises(ValueError, match="`pixels` must be above 0"):
        Limits(pixels=0)
