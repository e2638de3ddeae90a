"""Files into a folder: nothing is overwritten or lost, whenever it is stopped."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from topiq_metrics.scoring.errors import OutputError
from topiq_metrics.scoring.selecting import placing
from topiq_metrics.scoring.selecting.log import NAME, SelectLog
from topiq_metrics.scoring.selecting.placing import ACTIONS, Placer, Places

EVERY = pytest.mark.parametrize("action", ACTIONS)
DONE = {"link": "linked", "copy": "copied", "move": "moved"}
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="links and kills of POSIX")
pytestmark = POSIX


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    """Two files of one name in two folders, and one above them, from where relative paths start."""
    monkeypatch.chdir(tmp_path)
    for name in ("a/1.png", "b/1.png", "2.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"pixels of {name}".encode())
        os.utime(path, (1e9, 1e9))
    return tmp_path / "photos"


PATHS = ["photos/2.png", "photos/a/1.png", "photos/b/1.png"]


def place(action, folder, paths=PATHS, root=".", every=None, **options):
    with Placer(action, Path(folder), Places(every or paths, Path(root)), **options) as placer:
        return list(placer.place(paths))


def whats(placed):
    return [each.what for each in placed]


def contents(folder) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and path.name != NAME
    }


def files_in(folder) -> int:
    return sum(1 for _ in Path(folder).iterdir()) if Path(folder).exists() else 0


def log_of(folder) -> list[dict[str, str]]:
    return [json.loads(line) for line in (Path(folder) / NAME).read_text().splitlines()]


@EVERY
class TestWhereFilesGo:
    def test_names_that_would_meet_keep_their_folders(self, action, photos):
        before = contents(photos)
        assert whats(place(action, "out")) == [DONE[action]] * 3
        assert contents("out") == before
        assert contents(photos) == ({} if action == "move" else before)
        assert Path("out/a/1.png").is_symlink() == (action == "link")
        assert Path("out/a/1.png").stat().st_mtime == 1e9
        lines = [line for line in log_of("out") if line["what"] == DONE[action]]
        assert [(line["source"], line["target"]) for line in lines] == [
            (str(photos.parent / path), path.removeprefix("photos/")) for path in PATHS
        ]

    def test_again_there_is_nothing_to_do(self, action, photos):
        place(action, "out")
        before = contents("out"), log_of("out")
        assert whats(place(action, "out")) == ["there"] * 3
        assert (contents("out"), log_of("out")) == before

    def test_a_dry_run_changes_nothing(self, action, photos):
        before = contents(".")
        assert whats(place(action, "out", dry_run=True)) == [DONE[action]] * 3
        assert contents(".") == before
        assert not Path("out").exists()

    def test_a_place_does_not_depend_on_what_is_chosen(self, action, photos):
        (placed,) = place(action, "out", ["photos/a/1.png"], every=PATHS)
        assert placed.target == "a/1.png"

    def test_relative_paths_start_at_the_root(self, action, photos):
        (photos.parent / "elsewhere").mkdir()
        os.chdir("elsewhere")
        assert [each.reason.partition(":")[0] for each in place(action, "out")] == ["missing"] * 3
        assert whats(place(action, "out", root="..")) == [DONE[action]] * 3

    def test_what_is_there_stays(self, action, photos):
        Path("out/a").mkdir(parents=True)
        Path("out/a/1.png").write_text("mine")
        Path("out/b").write_text("a file where a folder is to be")
        placed = place(action, "out")
        assert whats(placed) == [DONE[action], "failed", "failed"]
        assert placed[1].reason == f"taken: {photos.parent}/out/a/1.png exists already, with other content"
        assert Path("out/a/1.png").read_text() == "mine"
        assert Path("out/b").read_text() == "a file where a folder is to be"
        assert len(contents(photos)) == (2 if action == "move" else 3)
        assert [line["what"] for line in log_of("out")][-2:] == ["failed", "failed"]
        # What was in the way has gone.
        Path("out/a/1.png").unlink()
        assert whats(place(action, "out")) == ["there", DONE[action], "failed"]

    def test_missing_files_and_what_are_none(self, action, photos):
        (photos / "2.png").unlink()
        urls = ["https://example.com/a.png", "s3://bucket/b.png"]
        placed = place(action, "out", [*PATHS, "photos/shard.tar/a.png", "photos/a", *urls])
        assert whats(placed) == ["failed", DONE[action], DONE[action], *["failed"] * 4]
        words = [each.reason.partition(":")[0] for each in placed if each.reason]
        assert words == ["missing", "missing", "no-file", "no-file", "no-file"]

    def test_a_file_that_is_named_twice_comes_once(self, action, photos):
        placed = place(action, "out", ["photos/2.png", "./photos/a/../2.png", str(photos / "2.png")])
        assert whats(placed) == [DONE[action]]

    def test_from_a_folder_into_one_below_it(self, action, photos):
        assert whats(place(action, "photos/good")) == [DONE[action]] * 3
        assert set(contents("photos/good")) == {"2.png", "a/1.png", "b/1.png"}

    def test_names_that_are_not_unicode(self, action, photos):
        if sys.platform != "linux":
            pytest.skip("file names are Unicode there")
        name = "photos/caf\udce9.png"
        Path(name).write_text("coffee")
        # As CSV and JSON have it, then as Parquet has it.
        assert whats(place(action, "out", [name])) == [DONE[action]]
        Path(name).write_text("coffee")
        assert whats(place(action, "other", ["photos/caf\\udce9.png"])) == [DONE[action]]
        assert Path("out/caf\udce9.png").read_text() == Path("other/caf\udce9.png").read_text() == "coffee"


class TestRefusals:
    def test_a_file_as_folder(self, photos):
        Path("out").write_text("mine")
        with pytest.raises(OutputError, match="out is a file: give a folder"):
            place("copy", "out")

    def test_a_folder_in_none(self, photos):
        with pytest.raises(OutputError, match=r"There is no folder .*nowhere: create it first"):
            place("copy", "nowhere/out")

    def test_another_command_at_work(self, photos):
        places = Places(PATHS, Path())
        with (
            Placer("copy", Path("out"), places),
            pytest.raises(OutputError, match="Another job is writing out"),
        ):
            Placer("copy", Path("out"), places)

    def test_a_log_of_something_else(self, photos):
        Path("out").mkdir()
        (Path("out") / NAME).write_text('{"a": 1}\n')
        with pytest.raises(OutputError, match="is damaged in line 1: it is no line of"):
            place("copy", "out")

    def test_a_full_disk_ends_it(self, photos, monkeypatch):
        def full(*_, **__):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(shutil, "copy2", full)
        with pytest.raises(OSError, match="No space left"):
            place("copy", "out")
        assert contents("out") == {}


@contextlib.contextmanager
def nobody():
    """Rights of files do not count for root."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


class TestLinksThatLeadBack:
    def test_a_folder_that_is_a_link_to_where_its_files_were_moved(self, photos):
        before = contents(photos)
        place("move", "out")
        shutil.rmtree(photos)
        photos.symlink_to("out")
        assert whats(place("move", "out")) == ["there"] * 3
        assert contents("out") == before

    @pytest.mark.parametrize("name", ["2.png", "a/1.png"])
    def test_a_target_that_is_a_link_to_the_file(self, name, photos):
        before = contents(photos)
        place("move", "out")
        target = Path("out", name)
        target.rename(photos / name)
        target.symlink_to(photos / name)
        assert whats(place("move", "out", every=PATHS)).count("failed") == 1
        assert (photos / name).read_bytes() == before[name]

    def test_above_a_folder_that_is_a_link(self, photos):
        Path("here").mkdir()
        Path("here/link").symlink_to(photos / "a")
        Path("here/2.png").write_text("another")
        assert whats(place("copy", "out", ["here/link/../2.png"])) == ["copied"]
        assert list(contents("out").values()) == [b"pixels of 2.png"]


def test_files_of_one_size_and_time_are_not_one(photos):
    Path("other").mkdir()
    Path("other/2.png").write_bytes((photos / "2.png").read_bytes()[::-1])
    os.utime("other/2.png", (1e9, 1e9))
    assert whats(place("copy", "out", ["2.png"], root="photos")) == ["copied"]
    assert whats(place("copy", "out", ["2.png"], root="other")) == ["failed"]


@EVERY
def test_long_names(action, photos):
    name = "n" * 250 + ".png"
    (photos / "2.png").rename(photos / name)
    assert whats(place(action, "out", [f"photos/{name}"])) == [DONE[action]]


class TestRights:
    @pytest.fixture
    def shared(self, photos):
        for path in (photos.parent, *photos.rglob("*"), photos):
            path.chmod(0o777)
        # The folders above belong to whoever runs the tests.
        for folder in photos.parents:
            if Path(tempfile.gettempdir()) in folder.parents:
                folder.chmod(folder.stat().st_mode | 0o011)
        yield photos
        for path in (photos, *photos.rglob("*")):
            path.chmod(0o777)

    def test_a_folder_that_must_not_be_written(self, shared):
        Path("out").mkdir(mode=0o555)
        if not os.access("out", os.W_OK, effective_ids=True):
            with pytest.raises(OutputError, match="out cannot be written to"):
                place("copy", "out")

    def test_a_move_out_of_a_folder_that_must_not_be_written(self, shared):
        (shared / "a").chmod(0o555)
        with nobody():
            placed = place("move", "out")
        assert whats(placed) == ["moved", "failed", "moved"]
        assert placed[1].reason.startswith("unreadable: Permission denied: ")
        assert set(contents("out")) == {"2.png", "b/1.png"}
        assert set(contents("photos")) == {"a/1.png"}

    def test_a_file_that_must_not_be_read(self, shared):
        (shared / "2.png").chmod(0)
        with nobody():
            placed = place("copy", "out")
        assert whats(placed) == ["failed", "copied", "copied"]
        assert not list(Path("out").rglob("*.tmp"))


class Killed(BaseException):
    """Nothing runs after it, as after a kill."""


STEPS = [
    *((os, name) for name in ("link", "fsync")),
    *((Path, name) for name in ("unlink", "symlink_to", "rename", "mkdir")),
    (shutil, "copy2"),
    (SelectLog, "write"),
]


@EVERY
@pytest.mark.parametrize("hard_links", [True, False])
def test_a_kill_before_any_step(action, hard_links, photos, monkeypatch):
    if not hard_links:

        def refuse(*_, **__):
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    whole = contents(photos)
    source = photos.with_name("untouched")
    photos.rename(source)
    for number in range(1, 100):
        for folder in ("photos", "out"):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, "photos")
        left = [number]

        def stepped(function, left=left):
            def run(*arguments, **options):
                left[0] -= 1
                if left[0] <= 0:
                    raise Killed
                return function(*arguments, **options)

            return run

        with pytest.MonkeyPatch.context() as patch:
            for home, name in STEPS:
                patch.setattr(home, name, stepped(getattr(home, name)))
            with contextlib.suppress(Killed):
                place(action, "out")
        both = set(contents("photos")) | set(contents("out"))
        assert both >= set(whole), number
        assert all(each.what in {DONE[action], "there"} for each in place(action, "out")), number
        assert contents("out") == whole, number
        assert contents("photos") == ({} if action == "move" else whole), number
        assert not {"tmp", "lock"} & {path.suffix[1:] for path in Path("out").rglob("*")}
        if left[0] > 0:
            break
    assert 10 < number < 99


JOB = """
import sys
from pathlib import Path
from topiq_metrics.scoring.selecting.placing import Placer, Places
action, count = sys.argv[1], int(sys.argv[2])
paths = [f"photos/{number}.png" for number in range(count)]
with Placer(action, Path("out"), Places(paths, Path())) as placer:
    for placed in placer.place(paths):
        assert placed.what != "failed", placed
"""


@EVERY
def test_kills_of_a_process(action, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    count = 1500
    Path("photos").mkdir()
    for number in range(count):
        Path(f"photos/{number}.png").write_text(f"{number} " * 50)
    whole = contents("photos")
    moments = random.Random(action)
    command = [sys.executable, "-c", JOB, action, str(count)]
    kills = 0
    while True:
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as job:
            wanted = files_in("out") + moments.randrange(20, 400)
            while job.poll() is None and files_in("out") < wanted:
                time.sleep(0.001)
            if kills < 3:
                job.send_signal(signal.SIGKILL)
            errors = job.communicate()[1]
        if job.returncode == 0:
            break
        assert job.returncode == -signal.SIGKILL, errors
        kills += 1
    assert kills >= 2
    assert contents("out") == whole
    assert contents("photos") == ({} if action == "move" else whole)
    assert not list(Path("out").glob(".*tmp"))
    assert {line["target"] for line in log_of("out") if line["what"] != "moving"} <= set(whole)


def test_drives_are_told_apart_by_their_folders(monkeypatch):
    assert placing._common("/a/b", "/a/c/d") == "/a"
