"""Processes that decode: what they give, and how they die."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from topiq_metrics.errors import ImageError, ImageMemoryError
from topiq_metrics.images import load_image
from topiq_metrics.images.arrays import pixels_to_rgb
from topiq_metrics.scoring import Item, score_items
from topiq_metrics.scoring.budget import PixelBudget
from topiq_metrics.scoring.decoded import Request
from topiq_metrics.scoring.decoders import DecoderCrashedError, DecoderTimeoutError, ProcessDecoder

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture
def decoder():
    decoder = ProcessDecoder(timeout=60)
    yield decoder
    decoder.close()


def decode(decoder: ProcessDecoder, encoded, admit=lambda *_: None):
    return decoder.decode(encoded, str(encoded)[:200], Request(10_000_000), admit).whole


def _saved(path: Path, mode: str) -> Path:
    values = np.random.default_rng(0).integers(0, 256, (40, 50, 4), dtype=np.uint8)
    if mode == "I;16":
        Image.fromarray(values[..., 0].astype(np.uint16) * 257).save(path)
    elif mode == "F":
        Image.fromarray(values[..., 0].astype(np.float32) / 255).save(path)
    else:
        Image.fromarray(values, "RGBA").convert(mode).save(path)
    return path


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16", "F"])
def test_the_same_values_as_in_this_process(mode, decoder, tmp_path):
    path = _saved(tmp_path / ("a.tif" if mode == "F" else "a.png"), mode)
    expected = load_image(path)
    for encoded in (path, str(path), path.read_bytes()):
        assert torch.equal(pixels_to_rgb(decode(decoder, encoded), "a"), expected)


def test_errors_are_those_of_this_process(decoder, tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    for path in (tmp_path / "text.jpg", tmp_path / "missing.png", tmp_path):
        with pytest.raises(ImageError) as here:
            load_image(path)
        with pytest.raises(type(here.value)) as there:
            decode(decoder, path)
        assert str(there.value) == str(here.value)


def test_an_image_that_is_not_wanted(decoder, tmp_path):
    def refuse(width, height):
        assert (width, height) == (50, 40)
        raise ImageError("not this one")

    path = _saved(tmp_path / "a.png", "RGB")
    with pytest.raises(ImageError, match="not this one"):
        decode(decoder, path, refuse)
    assert decode(decoder, path).values.shape == (40, 50, 3)


def _kill(decoder: ProcessDecoder, number: int) -> None:
    decoder._child.process.send_signal(number)
    decoder._child.process.wait()


@POSIX
@pytest.mark.parametrize(
    ("number", "error", "message"),
    [
        (signal.SIGSEGV, DecoderCrashedError, "a.png: its decoder died of signal 11"),
        (signal.SIGKILL, ImageMemoryError, "as the system does when memory runs out"),
    ],
)
def test_a_process_that_dies(number, error, message, decoder, tmp_path):
    path = _saved(tmp_path / "a.png", "RGB")
    with pytest.raises(error, match=message):
        decode(decoder, path, lambda *_: _kill(decoder, number))
    assert decode(decoder, path).values.shape == (40, 50, 3)


@POSIX
def test_a_file_that_never_ends(tmp_path):
    path = _saved(tmp_path / "a.png", "RGB")
    decoder = ProcessDecoder(timeout=60)
    try:
        assert decode(decoder, path).values.shape == (40, 50, 3)
        decoder._timeout = 0.3
        with pytest.raises(DecoderTimeoutError, match=r"a\.png: was not decoded within 0\.3 s"):
            decode(decoder, path, lambda *_: decoder._child.process.send_signal(signal.SIGSTOP))
        decoder._timeout = 60
        assert decode(decoder, path).values.shape == (40, 50, 3)
    finally:
        decoder.close()


def test_an_answer_that_could_not_be_taken_is_not_that_to_the_next_question(decoder, tmp_path, monkeypatch):
    grey, white = tmp_path / "grey.png", tmp_path / "white.png"
    Image.new("L", (40, 40), 51).save(grey)
    Image.new("L", (40, 40), 255).save(white)
    assert decode(decoder, white).values.max() == 255
    load, calls = pickle.load, []

    def run_out_once(stream):
        calls.append(stream)
        if len(calls) == 2:
            raise MemoryError
        return load(stream)

    monkeypatch.setattr("topiq_metrics.scoring.children.pickle.load", run_out_once)
    with pytest.raises(MemoryError):
        decode(decoder, white)
    assert decode(decoder, grey).values.max() == 51


@POSIX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_to_the_group_are_for_the_job(number, decoder, tmp_path):
    path = _saved(tmp_path / "a.png", "RGB")
    decode(decoder, path)
    decoder._child.process.send_signal(number)
    time.sleep(0.05)
    assert decode(decoder, path, lambda *_: decoder._child.process.send_signal(number)).values.shape == (40, 50, 3)


def test_a_process_that_died_meanwhile_is_not_the_next_images_fault(decoder, tmp_path):
    path = _saved(tmp_path / "a.png", "RGB")
    for _ in range(2):
        assert decode(decoder, path).values.shape == (40, 50, 3)
        _kill(decoder, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
    assert decode(decoder, path).values.shape == (40, 50, 3)
    decoder._child.late = True
    assert decode(decoder, path).values.shape == (40, 50, 3)


@POSIX
def test_a_pipe_is_no_file(decoder, tmp_path):
    os.mkfifo(tmp_path / "fifo.jpg")
    with pytest.raises(ImageError, match=r"fifo\.jpg: is no regular file"):
        decode(decoder, tmp_path / "fifo.jpg")


@POSIX
@pytest.mark.parametrize("busy", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_process_ends_with_the_job(busy, tmp_path):
    script = (
        "import sys, os\nfrom topiq_metrics.scoring import decoders\n"
        "decoder = decoders.ProcessDecoder(60)\n"
        "decoder.decode(sys.argv[1], 'a', decoders.Request(None), lambda *_: None)\n"
        "print(decoder._child.process.pid, flush=True)\n"
        # Nobody reads the answer, and a full pipe keeps the process from seeing that the other has ended.
        + (
            "import subprocess\nsubprocess.Popen(['sleep', '20'], pass_fds=[decoder._child.requests.fileno()])\n"
            if busy
            else ""
        )
        + "os.kill(os.getpid(), 9)"
    )
    path = _saved(tmp_path / "a.png", "RGB")
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True)
    assert done.returncode == -9
    deadline = time.monotonic() + 20
    while _runs(int(done.stdout)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return not Path("/proc").exists()
    return state != "Z"


def test_it_needs_no_torch():
    script = "import topiq_metrics.scoring.worker, sys\nprint(sorted({'torch', 'torchvision'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_caller_without_a_main_guard(tmp_path):
    path = _saved(tmp_path / "a.png", "RGB")
    script = tmp_path / "script.py"
    script.write_text(
        "from topiq_metrics.scoring.decoders import ProcessDecoder, Request\ndecoder = ProcessDecoder(60)\n"
        f"print(decoder.decode({str(path)!r}, 'a', Request(None), lambda *_: None).whole.values.shape)\n"
        "decoder.close()\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("(40, 50, 3)\n", "")


class TestInAJob:
    def test_rows_are_those_of_threads(self, tmp_path, fake, save_picture):
        items = [Item(save_picture(tmp_path / f"{i}.png", 40 + 8 * (i % 3), 48, seed=i)) for i in range(30)]
        items[4:4] = [Item(tmp_path / "missing.png"), Item("in/a.tar/b.png", data=items[0].path.read_bytes())]
        threads, processes = (list(score_items(items, [fake()], workers=workers)) for workers in (0, 2))
        assert processes == threads
        assert [row.status for row in processes].count("ok") == 31

    @pytest.fixture
    def silent_url(self):
        """Of a server that takes connections and never answers."""
        pytest.importorskip("fsspec")
        pytest.importorskip("aiohttp")
        with socket.create_server(("127.0.0.1", 0)) as server:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/a.png"

    def test_what_keeps_a_decoder_busy_is_a_row(self, tmp_path, fake, save_picture, silent_url):
        items = [Item(save_picture(tmp_path / f"{i}.png", 48, 48, seed=i)) for i in range(10)]
        items.insert(5, Item(silent_url))
        rows = list(score_items(items, [fake()], workers=2, timeout=3))
        assert [row.status for row in rows] == ["ok"] * 5 + ["error"] + ["ok"] * 5
        assert rows[5].error == f"timeout: {silent_url}: was not decoded within 3 s."

    @POSIX
    def test_closing_ends_the_processes(self, tmp_path, fake, save_picture, silent_url, monkeypatch):
        item = Item(save_picture(tmp_path / "0.png", 48, 48))
        children = []
        start = ProcessDecoder._start
        monkeypatch.setattr(ProcessDecoder, "_start", lambda self: children.append(start(self)) or children[-1])
        rows = score_items([item] * 8 + [Item(silent_url)] * 4, [fake()], workers=2)
        next(rows)
        begin = time.monotonic()
        rows.close()
        assert time.monotonic() - begin < 10
        assert len(children) == 2
        assert all(child.process.poll() is not None for child in children)

    def test_a_process_that_cannot_start_ends_the_job(self, tmp_path, fake, save_picture, monkeypatch):
        item = Item(save_picture(tmp_path / "0.png", 48, 48))
        monkeypatch.setattr(sys, "path", ["/nowhere"])
        with pytest.raises(RuntimeError, match="A process that decodes images ended at once, with code 1"):
            list(score_items([item] * 20, [fake()], workers=2))


class TestBudget:
    def test_the_next_image_comes_first(self):
        budget, entered = PixelBudget(100), []

        def enter(number, pixels):
            budget.enter(number, pixels)
            entered.append(number)

        threads = [threading.Thread(target=enter, args=pair) for pair in ((2, 10), (1, 80), (0, 60))]
        for thread in threads:
            thread.start()
            time.sleep(0.05)
        assert entered == [0]
        budget.hold(-60)
        for thread in threads:
            thread.join(10)
        assert entered == [0, 1, 2]

    def test_nobody_waits_after_the_end(self):
        budget = PixelBudget(100)
        failures = []

        def enter():
            try:
                budget.enter(5, 1)
            except RuntimeError as error:
                failures.append(str(error))

        thread = threading.Thread(target=enter)
        thread.start()
        budget.abort()
        thread.join(10)
        assert failures == ["The job has ended."]
