"""The lock of an output."""

from __future__ import annotations

import pytest
from filelock import FileLock

from topiq_metrics.scoring.sinks import OutputError, open_sink
from topiq_metrics.scoring.sinks.files import OutputLock, check_unlocked

pytestmark = pytest.mark.quick


def test_one_job_at_a_time(tmp_path, provenance, make_row):
    with open_sink(tmp_path / "out.csv", provenance) as sink:
        sink.write(make_row())
        with pytest.raises(OutputError, match=r"Another job is writing .*out.csv. Wait for it, or name another output"):
            open_sink(tmp_path / "out.csv", provenance, resume=True)
        open_sink(tmp_path / "other.csv", provenance).__exit__(None, None, None)
    with open_sink(tmp_path / "out.csv", provenance, resume=True) as sink:
        assert len(list(sink.earlier())) == 1


def test_a_lock_file_that_was_left_behind_does_not_matter(tmp_path):
    path = tmp_path / ".lock"
    path.write_text("of a killed job")
    check_unlocked(path, "out.csv")
    OutputLock(path, "out.csv").release()
    assert not path.exists()


def test_a_lock_file_that_its_job_removes_meanwhile_locks_nothing(tmp_path, monkeypatch):
    path, acquire, removed = tmp_path / ".lock", FileLock.acquire, []

    def acquire_late(self, **arguments):
        proxy = acquire(self, **arguments)
        if not removed:
            removed.append(path.unlink())
        return proxy

    monkeypatch.setattr(FileLock, "acquire", acquire_late)
    lock = OutputLock(path, "out.csv")
    with pytest.raises(OutputError):
        OutputLock(path, "out.csv")
    lock.release()
    assert len(removed) == 1
