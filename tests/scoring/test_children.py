"""A decoding process that starts while torch is imported."""

import sys

import pytest

from topiq_metrics.scoring import Item
from topiq_metrics.scoring.children import started_early, take_early
from topiq_metrics.scoring.decoders import ProcessDecoder
from topiq_metrics.scoring.engine import score_items


@pytest.fixture
def decoders(monkeypatch):
    """The processes that decoders took or started, in order."""
    taken = []
    start = ProcessDecoder._start
    monkeypatch.setattr(ProcessDecoder, "_start", lambda self: taken.append(start(self)) or taken[-1])
    return taken


@pytest.fixture
def item(tmp_path, save_picture):
    return Item(save_picture(tmp_path / "0.png", 48, 48))


def test_the_first_decoder_takes_it(item, fake, decoders):
    with started_early():
        early = take_early()
        assert early.process.poll() is None
        assert take_early() is None
        early.await_ready()
        early.dispose()
    with started_early():
        rows = list(score_items([item] * 3, [fake()], workers=1))
        assert [row.status for row in rows] == ["ok"] * 3
        assert len(decoders) == 1
        assert take_early() is None
    assert decoders[0].process.poll() is not None


def test_it_ends_with_the_command_if_nobody_took_it():
    with started_early():
        child = take_early()
        with started_early():
            pass
        assert child.process.poll() is None
        child.dispose()
    assert take_early() is None


def test_one_that_has_died_is_not_taken(item, fake, decoders):
    from topiq_metrics.scoring import children

    with started_early():
        dead = children._EARLY[0]
        dead.process.kill()
        dead.process.wait()
        assert [row.status for row in score_items([item], [fake()], workers=1)] == ["ok"]
        assert decoders[0] is not dead


def test_one_that_cannot_start_is_told_by_the_job(item, fake, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with started_early(), pytest.raises(RuntimeError, match="A process that decodes images cannot be started"):
        list(score_items([item], [fake()], workers=1))


@pytest.mark.skipif(sys.platform != "linux", reason="sets limits of other processes as Linux does")
def test_it_gets_the_limit_of_memory_that_was_set_meanwhile():
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = 12 << 30
    with started_early():
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
        try:
            child = take_early()
            assert resource.prlimit(child.process.pid, resource.RLIMIT_DATA)[0] == limit
            child.await_ready()
            child.dispose()
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
