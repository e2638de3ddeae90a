"""What only a process of its own shows: pipes, signals, terminals, imports."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time

import pytest

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="pipes, signals and terminals of POSIX")


@pytest.fixture
def many(folder, save_picture):
    for i in range(3, 70):
        os.link(folder / f"{i % 3}.png", folder / f"{i:02}.png")
    return folder


@POSIX
def test_a_reader_that_goes_away_early(start, many):
    process = start("score", many, fake=True, env={"PAUSE": "0.02"})
    assert process.stdout.readline().startswith("path,topiq_nr-lite,")
    process.stdout.close()
    assert process.wait(timeout=300) == 1
    assert process.stderr.read() == ""


@POSIX
def test_rows_reach_a_pipe_as_they_come(start, many):
    process = start("score", many, fake=True, env={"PAUSE": "0.3"})
    process.stdout.readline()
    process.stdout.readline()
    assert process.poll() is None
    assert len(process.stdout.read().splitlines()) == 69
    assert process.wait(timeout=300) == 0


@POSIX
def test_interrupt_keeps_what_was_scored(start, many, tmp_path):
    output, part = tmp_path / "out.csv", tmp_path / "out.csv.part"
    process = start("score", many, "-o", output, fake=True, env={"PAUSE": "0.5"})
    deadline = time.monotonic() + 300
    while not (part.exists() and part.read_text().count("\n") > 1) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=300) == 130
    with part.open(newline="") as stream:
        kept = list(csv.DictReader(stream))
    assert 0 < len(kept) < 70
    assert process.stderr.read() == (
        f"Error: Interrupted after {len(kept)} images. They are in {part}; --resume continues.\n"
    )
    assert not output.exists()


@POSIX
def test_table_on_a_terminal(start, folder, read_terminal):
    import pty

    (folder / "text.jpg").write_text("no image")
    ours, theirs = pty.openpty()
    env = {"TERM": "xterm", "COLUMNS": "110", "NO_COLOR": "1"}
    process = start("score", folder, fake=True, env=env, stdout=theirs, stderr=subprocess.PIPE, cwd=folder)
    os.close(theirs)
    text = read_terminal(ours)
    assert process.wait(timeout=300) == 1
    lines = text.decode().splitlines()
    assert any("path" in line and "topiq_nr-lite" in line and "pixels" in line and "status" in line for line in lines)
    assert sum("64x48" in line for line in lines) == 3
    assert any("error: not-an-image" in line for line in lines)
    assert not any(line.startswith("path,") for line in lines)
    assert process.stderr.read() == "4 images: 3 ok, 1 with errors (1 not-an-image)\n"


def test_weights_that_are_nowhere_offline(start, folder):
    process = start("score", folder, "-m", "topiq_nr", env={"HF_HUB_OFFLINE": "1"})
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("Error: The weights of topiq_nr (cfanet_nr_koniq_res50-9a73138b.pth) were not found.")
    assert "Run `topiq weights fetch topiq_nr` on a machine with network access" in err
    assert "Traceback" not in err


def test_hub_out_of_reach(start):
    process = start("weights", "fetch", "topiq_nr", env={"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"})
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (1, "")
    assert "Licence of the weights: noncommercial use only" in err
    assert "The weights of topiq_nr (cfanet_nr_koniq_res50-9a73138b.pth) were not found." in err
    assert "Traceback" not in err


def test_help_needs_nothing_heavy(start):
    script = (
        "import sys\nfrom typer.testing import CliRunner\nfrom topiq_metrics.cli.app import app\n"
        "texts = [CliRunner().invoke(app, args).stdout for args in (['--help'], ['score', '--help'], ['--version'], "
        "['list'])]\n"
        "print([len(text) > 10 for text in texts])\n"
        "heavy = ('torch', 'numpy', 'torchmetrics', 'pytorch_lightning', 'huggingface_hub', 'PIL')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[True, True, True, True]", "[]"]
